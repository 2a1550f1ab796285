"""STIX: every object is valid, refers to objects of the bundle, and has the case's facts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import stix2
from stix2patterns.validator import run_validator

from flowbench import detect
from flowbench.detect import Findings
from flowbench.export import stix
from tests.incident_case import EXIT, HOST, POOL
from tests.traffic import T0, connect, make_case


@pytest.fixture(scope="module")
def bundle(case, findings) -> stix2.Bundle:
    return stix2.parse(stix.to_bundle(case, findings).decode(), allow_custom=False)


def by_type(bundle: stix2.Bundle, kind: str) -> list:
    return [each for each in bundle.objects if each["type"] == kind]


def test_every_reference_is_in_the_bundle(bundle) -> None:
    ids = {str(each["id"]) for each in bundle.objects}
    assert len(ids) == len(bundle.objects)
    for each in bundle.objects:
        for name, value in each.items():
            if name.endswith("_ref"):
                assert str(value) in ids, name
            elif name.endswith("_refs"):
                assert set(map(str, value)) <= ids, name


def test_indicators_have_valid_patterns(bundle) -> None:
    patterns = {each["pattern"] for each in by_type(bundle, "indicator")}
    assert f"[ipv4-addr:value = '{POOL}']" in patterns
    assert "[domain-name:value = 'eu.pool.example']" in patterns
    assert all(run_validator(pattern, stix_version="2.1") == [] for pattern in patterns)
    assert not any(HOST in pattern for pattern in patterns)  # an own host is no indicator


def test_sightings_lead_to_traffic(bundle) -> None:
    objects = {str(each["id"]): each for each in bundle.objects}
    seen = set()
    for sighting in by_type(bundle, "sighting"):
        (observed,) = sighting["observed_data_refs"]
        refs = [objects[str(ref)] for ref in objects[str(observed)]["object_refs"]]
        (traffic,) = [each for each in refs if each["type"] == "network-traffic"]
        assert traffic["is_active"] is False
        assert traffic["end"] >= traffic["start"]
        seen.add((refs[0]["value"], refs[1]["value"], traffic["protocols"][-1]))
    assert seen == {(HOST, POOL, "tcp"), (HOST, EXIT, "tcp")}


def test_techniques_by_their_attack_ids(bundle, findings) -> None:
    ids = {
        reference["external_id"]
        for each in by_type(bundle, "attack-pattern")
        for reference in each["external_references"]
    }
    assert ids == {finding.technique for finding in findings.at_least("high")}
    assert by_type(bundle, "relationship")


def test_the_same_bytes_twice(case, findings) -> None:
    assert stix.to_bundle(case, findings) == stix.to_bundle(case, findings)


def test_ipv6_and_hostile_domains(tmp_path: Path) -> None:
    case = make_case(
        tmp_path,
        connect("2001:db8:1::5", "2001:db8:ffff::9", 3333, T0),
        indicators="indicator,kind\n2001:db8:ffff::9,mining\n",
    )
    found = detect.run(case, only=["contact"], keep=False)
    text = stix.to_bundle(case, found).decode()
    assert stix2.parse(text)
    if len(found.at_least("high")):
        assert "ipv6-addr" in text


def test_no_findings(case) -> None:
    bundle = json.loads(stix.to_bundle(case, Findings()))
    assert [each["type"] for each in bundle["objects"]] == ["identity"]
