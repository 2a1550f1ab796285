"""abuse.ch in JSON: Feodo Tracker and ThreatFox."""

from __future__ import annotations

import pytest

from flowbench.loaders.intel import abusech
from tests.loaders.intel.conftest import utc


def test_feodo_in_json(load) -> None:
    one = {"ip_address": "192.0.2.50", "port": 443, "status": "online", "hostname": None,
           "as_number": 64500, "first_seen": "2026-01-02 03:04:05", "last_online": "2026-04-30",
           "malware": "QakBot"}  # fmt: skip
    rows, reasons = load([one, one | {"ip_address": "nonsense"}, 7])
    assert rows == [{
        "indicator": "192.0.2.50", "type": "address", "kind": "c2", "feed": "Feodo Tracker",
        "valid_from": utc(1, 2, 3, 4, 5), "valid_until": utc(4, 30, 23, 59, 59, 999999),
        "port": 443, "description": "QakBot",
    }]  # fmt: skip
    assert reasons == [
        "not an address, network, range or domain: 'nonsense'",
        "not an indicator: no JSON object",
    ]


@pytest.mark.parametrize("answer", [False, True])
def test_threatfox_in_json(load, answer) -> None:
    one = {"ioc_type": "ip:port", "threat_type": "botnet_cc", "malware_printable": "Cobalt Strike",
           "confidence_level": 75, "first_seen_utc": "2026-09-01 01:39:33",
           "last_seen_utc": None}  # fmt: skip
    hashed = {"ioc_type": "md5_hash", "threat_type": "payload"}
    if answer:
        value: object = {"query_status": "ok", "data": [one | {"ioc": "192.0.2.60:8080"}, hashed]}
    else:
        value = {"1": [one | {"ioc_value": "192.0.2.60:8080"}], "2": [hashed]}
    rows, reasons = load(value)
    assert rows == [{
        "indicator": "192.0.2.60", "type": "address", "kind": "c2", "feed": "ThreatFox",
        "confidence": 75, "valid_from": utc(9, 1, 1, 39, 33), "port": 8080,
        "description": "Cobalt Strike",
    }]  # fmt: skip
    assert reasons == ["not an indicator: None"]


def test_other_json_is_left_to_other_formats() -> None:
    for value in ({}, [], [7], {"data": 5}, {"1": []}, [{"ip_address": "192.0.2.1"}], "x", None):
        assert abusech.matches(value) is None
