"""STIX indicators, observables and patterns."""

from __future__ import annotations

from typing import Any

import pytest

from tests.loaders.intel.conftest import utc

MADE_BY = "identity--5ec9f5b3-1a2c-4d3e-8f90-0a1b2c3d4e5f"


def stix(*patterns: str, **more: Any) -> dict[str, Any]:
    made = [
        {"type": "indicator", "id": f"indicator--5ec9f5b3-1a2c-4d3e-8f90-{n:012}",
         "pattern": pattern, "pattern_type": "stix", "valid_from": "2026-09-01T00:00:00Z",
         "created_by_ref": MADE_BY} | more
        for n, pattern in enumerate(patterns)
    ]  # fmt: skip
    return {
        "type": "bundle",
        "objects": [{"type": "identity", "id": MADE_BY, "name": "CERT"}, *made],
    }


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("[ipv4-addr:value = '192.0.2.55']", [("192.0.2.55", None)]),
        (
            "[ipv4-addr:value = '192.0.2.1' OR ipv6-addr:value = '2001:db8::1']",
            [("192.0.2.1", None), ("2001:db8::1", None)],
        ),
        (
            "[ipv4-addr:value = '192.0.2.1'] OR [domain-name:value = 'a.example']",
            [("192.0.2.1", None), ("a.example", None)],
        ),
        (
            "[ipv4-addr:value IN ('192.0.2.1', '192.0.2.2')]",
            [("192.0.2.1", None), ("192.0.2.2", None)],
        ),
        ("[ipv4-addr:value ISSUBSET '198.51.100.0/24']", [("198.51.100.0/24", None)]),
        (
            "[network-traffic:dst_ref.type = 'ipv4-addr' AND network-traffic:dst_ref.value ="
            " '192.0.2.55' AND network-traffic:dst_port = 3333]",
            [("192.0.2.55", 3333)],
        ),
        ("[url:value = 'http://192.0.2.70/a']", [("192.0.2.70", None)]),
    ],
)
def test_stix_patterns(load, pattern, expected) -> None:
    rows, reasons = load(stix(pattern, indicator_types=["malicious-activity"], name="C2 server"))
    assert [(row["indicator"], row.get("port")) for row in rows] == expected
    assert reasons == []
    stated = {(row["kind"], row["feed"], row["valid_from"]) for row in rows}
    assert stated == {("c2", "STIX: CERT", utc(9, 1))}


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        (
            "[ipv4-addr:value = '192.0.2.1'] FOLLOWEDBY [ipv4-addr:value = '192.0.2.2']",
            "a pattern of",
        ),
        ("[ipv4-addr:value = '192.0.2.1'] AND [ipv4-addr:value = '192.0.2.2']", "a pattern of"),
        (
            "([ipv4-addr:value = '192.0.2.1'] AND [domain-name:value = 'a.example']) OR"
            " [ipv4-addr:value = '192.0.2.2']",
            "a pattern of",
        ),
        (
            "[ipv4-addr:value = '192.0.2.1'] REPEATS 5 TIMES WITHIN 9 SECONDS",
            "a pattern of several",
        ),
        ("[domain-name:value LIKE 'a%.example']", "a pattern with LIKE"),
        ("[ipv4-addr:value != '192.0.2.1']", "a pattern with !="),
        ("[ipv4-addr:value NOT = '192.0.2.1']", "a pattern with NOT ="),
        ("[file:hashes.md5 = 'aa']", "a pattern without address"),
        ("[ipv4-addr:value = ", "not a STIX pattern"),
        ("[" + "(" * 5000, "a pattern too long"),
        ("", "not a STIX pattern"),
    ],
)
def test_stix_patterns_that_cannot_be_matched(load, pattern, reason) -> None:
    rows, reasons = load(stix(pattern))
    assert rows == []
    assert len(reasons) == 1
    assert reasons[0].startswith(reason)


def test_stix_observables_without_indicators(load) -> None:
    observed = {"type": "ipv4-addr", "id": "ipv4-addr--" + MADE_BY[10:], "value": "192.0.2.9"}
    assert [row["indicator"] for row in load([observed])[0]] == ["192.0.2.9"]
    assert [row["indicator"] for row in load({"more": False, "objects": [observed]})[0]] == [
        "192.0.2.9"
    ]
    bundle = stix("[ipv4-addr:value = '192.0.2.1']")
    bundle["objects"].append(observed)
    assert [row["indicator"] for row in load(bundle)[0]] == ["192.0.2.1"]
    assert load(stix("[ipv4-addr:value = '192.0.2.1']", revoked=True)) == (
        [],
        ["revoked by its creator"],
    )


@pytest.mark.parametrize("port", ["8000", "'8000'"])
def test_the_port_of_a_pattern_may_be_quoted(load, port) -> None:
    pattern = f"[ipv4-addr:value = '192.0.2.1' AND network-traffic:dst_port = {port}]"
    assert [(row["indicator"], row["port"]) for row in load(stix(pattern))[0]] == [
        ("192.0.2.1", 8000)
    ]


def test_either_of_two_sightings_is_enough(load) -> None:
    rows, _ = load(stix("[ipv4-addr:value = '192.0.2.1'] OR [ipv4-addr:value = '192.0.2.2']"))
    assert [row["indicator"] for row in rows] == ["192.0.2.1", "192.0.2.2"]
