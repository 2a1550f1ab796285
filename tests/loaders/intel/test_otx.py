"""OTX pulses."""

from __future__ import annotations

from flowbench.loaders.intel import otx
from tests.loaders.intel.conftest import utc


def test_otx(load) -> None:
    pulse = {"name": "Winter", "tags": ["ransomware"], "indicators": [
        {"indicator": "192.0.2.90", "type": "IPv4", "created": "2026-09-01T00:00:00",
         "expiration": "2026-10-01", "role": "command_and_control"},
        {"indicator": "198.51.100.0/24", "type": "CIDR"},
        {"indicator": "aa", "type": "FileHash-MD5"},
    ]}  # fmt: skip
    for value in (pulse, {"results": [pulse], "count": 1, "next": None}):
        rows, reasons = load(value)
        assert [(row["indicator"], row["kind"], row["feed"]) for row in rows] == [
            ("192.0.2.90", "c2", "OTX: Winter"),
            ("198.51.100.0/24", "malware", "OTX: Winter"),
        ]
        assert rows[0]["valid_until"] == utc(10, 1, 23, 59, 59, 999999)
        assert reasons == ["an indicator of type 'FileHash-MD5': not in flow logs or DNS logs"]


def test_pulses_that_are_none() -> None:
    item = {"indicator": "192.0.2.1", "type": "IPv4"}
    for value in (
        {"indicators": [item]},
        {"name": "x", "indicators": [item, 5]},
        {"name": "x", "indicators": {}},
        {"results": []},
        {"results": [5]},
        [item],
    ):
        assert otx.matches(value) is None
