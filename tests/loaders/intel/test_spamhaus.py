"""Spamhaus DROP, as JSON lines and as text."""

from __future__ import annotations

from flowbench.loaders.intel import spamhaus


def test_spamhaus(load) -> None:
    rows, reasons = load(
        '{"cidr":"192.0.2.0/24","sblid":"SBL000001","rir":"ripencc"}\n'
        '{"cidr":"192.0.2/24","sblid":"SBL000002"}\n'
        '{"asn":64500,"rir":"arin","asname":"X"}\n'
        '{"type":"metadata","timestamp":1789220642,"size":1,"records":1,"copyright":"(c)"}\n'
    )
    assert rows == [{
        "indicator": "192.0.2.0/24", "type": "network", "kind": "reputation",
        "feed": "Spamhaus DROP", "description": "SBL000001",
    }]  # fmt: skip
    assert [reason.partition(":")[0] for reason in reasons] == [
        "not an address, network, range or domain",
        "an autonomous system, not an address",
    ]
    rows, _ = load("; Spamhaus DROP List\n192.0.2.0/24 ; SBL000001\n", "drop.txt")
    assert (rows[0]["indicator"], rows[0]["description"]) == ("192.0.2.0/24", "SBL000001")


def test_what_is_no_line_of_drop() -> None:
    for value in ([], 5, {}, {"cidr": "192.0.2.0/24"}, {"type": "metadata", "records": 1}):
        assert spamhaus.matches(value) is None
