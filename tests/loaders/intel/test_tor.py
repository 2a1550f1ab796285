"""Tor exits and relays."""

from __future__ import annotations

from flowbench.loaders.intel import tor


def test_tor_exits_and_relays(load) -> None:
    node = "0011223344556677889900112233445566778899"
    rows, reasons = load(
        f"@type tordnsel 1.0\nExitNode {node}\nPublished 2026-09-01 00:10:50\n"
        "LastStatus 2026-09-01 10:00:00\nExitAddress 192.0.2.10 2026-09-01 10:21:54\n"
        "ExitAddress 192.0.2.11 2026-09-01 10:21:55\nSomething else\n"
    )
    assert [(row["indicator"], row["kind"], "valid_from" in row) for row in rows] == [
        ("192.0.2.10", "tor", False),
        ("192.0.2.11", "tor", False),
    ]
    assert reasons == ["not a line of an exit list: 'Something'"]
    relay = {"nickname": "n", "or_addresses": ["192.0.2.1:9001", "[2001:db8::1]:9001"]}
    rows, reasons = load({"version": "8", "relays": [relay, {"nickname": "m"}]})
    assert [(row["indicator"], row.get("port"), row["kind"]) for row in rows] == [
        ("192.0.2.1", None, "tor"),
        ("2001:db8::1", None, "tor"),
    ]
    assert reasons == ["a relay without or_addresses"]


def test_a_start_that_is_not_an_exit_node() -> None:
    assert tor.matches_head(b"\xef\xbb\xbfExitNode " + b"A" * 40 + b"\n")
    assert not tor.matches_head(b"ExitNode " + b"A" * 39 + b"\n")
    assert not tor.matches_head(b"ExitAddress 192.0.2.1\n")
    assert tor.matches({"relays": [5, {}]}) is None
