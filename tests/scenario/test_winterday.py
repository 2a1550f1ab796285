"""The Winterday evidence: the same bytes from the same seed, and true to its answer key.

The checks read the files with plain csv, json and gzip, so that no fault of flowbench's own loaders
can hide one of the generator's.
"""

from __future__ import annotations

import gzip
import ipaddress
import json
import zlib
from collections import Counter
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from flowbench import scenario
from flowbench.errors import InputError
from tests.conftest import ROOT

DATA = ROOT / "data" / "winterday"
MADE_WITH_ZLIB = "1.2.13"  # another zlib may compress the same content to other bytes

OUTSIDE = [
    ipaddress.ip_network(text)
    for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "198.18.0.0/15")
]


def content(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def listing(folder: Path) -> dict[Path, Path]:
    """The scenario's files by their name in the folder; the README is ours."""
    files = [p for p in folder.rglob("*") if p.is_file() and p.name != "README.md"]
    return {path.relative_to(folder): path for path in files}


@pytest.fixture(scope="module")
def flows() -> list[dict[str, str]]:
    found = []
    for path in sorted(DATA.glob("evidence/AWSLogs/*/vpcflowlogs/**/*.gz")):
        lines = content(path).decode().splitlines()
        names = lines[0].split(" ")
        assert len(names) == 29
        found += [dict(zip(names, line.split(" "), strict=True)) for line in lines[1:]]
    return found


@pytest.fixture(scope="module")
def events() -> list[dict[str, Any]]:
    paths = sorted(DATA.glob("evidence/AWSLogs/*/CloudTrail/**/*.gz"))
    return [event for path in paths for event in json.loads(content(path))["Records"]]


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def test_the_same_seed_makes_the_same_files(tmp_path) -> None:
    scenario.write("winterday", tmp_path / "again")
    made, kept = listing(tmp_path / "again"), listing(DATA)
    assert set(made) == set(kept)
    for name, path in made.items():
        assert content(path) == content(kept[name]), name
        if zlib.ZLIB_RUNTIME_VERSION == MADE_WITH_ZLIB:
            assert path.read_bytes() == kept[name].read_bytes(), name


def test_another_seed_tells_the_same_story_with_other_traffic(tmp_path, answers) -> None:
    scenario.write("winterday", tmp_path / "other", seed=7)
    other = json.loads((tmp_path / "other" / "answers.json").read_text())
    assert other["flow_records"] != answers["flow_records"]
    assert other["user"] == answers["user"]


def test_what_is_asked_wrongly(tmp_path) -> None:
    (tmp_path / "x").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        scenario.write("winterday", tmp_path)
    with pytest.raises(InputError, match="no scenario is called 'nope'; there are: winterday"):
        scenario.write("nope", tmp_path / "new")


def test_it_is_small_and_the_answers_lie_apart() -> None:
    assert sum(p.stat().st_size for p in DATA.rglob("*") if p.is_file()) < 6_000_000
    assert not list((DATA / "evidence").rglob("answers*"))


def test_three_days_of_more_than_forty_interfaces(flows) -> None:
    starts = [int(flow["start"]) for flow in flows]
    assert max(starts) - min(starts) > 2.99 * 86_400
    inventory = json.loads(
        (DATA / "evidence/inventory/describe-network-interfaces.json").read_text()
    )
    listed = {one["NetworkInterfaceId"]: one for one in inventory["NetworkInterfaces"]}
    assert len(listed) == 42
    assert {flow["interface-id"] for flow in flows} == set(listed)
    assert len({one["VpcId"] for one in listed.values()}) == 2
    for flow in flows[:20_000]:
        own = listed[flow["interface-id"]]["PrivateIpAddress"]
        if flow["log-status"] == "OK":
            assert own in (flow["srcaddr"], flow["dstaddr"])
            assert (flow["flow-direction"] == "egress") == (flow["srcaddr"] == own)


def test_windows_are_58_to_61_seconds_and_shared(flows) -> None:
    lengths = Counter(int(flow["end"]) - int(flow["start"]) for flow in flows)
    assert set(lengths) == {58, 59, 60, 61}
    ends: dict[tuple[str, str], set[str]] = {}
    for flow in flows:
        ends.setdefault((flow["interface-id"], flow["start"]), set()).add(flow["end"])
    assert {len(found) for found in ends.values()} == {1}


def test_records_are_as_real_ones_are(flows) -> None:
    status = Counter(flow["log-status"] for flow in flows)
    assert status["NODATA"] > 5_000
    assert 0 < status["SKIPDATA"] < 20
    assert set(Counter(flow["action"] for flow in flows)) == {"ACCEPT", "REJECT", "-"}
    ok = [flow for flow in flows if flow["log-status"] == "OK"]
    assert {flow["tcp-flags"] for flow in ok if flow["protocol"] == "6"} <= {
        "0", "1", "2", "3", "4", "18", "19"
    }  # fmt: skip
    assert all((f["traffic-path"] == "-") == (f["flow-direction"] == "ingress") for f in ok)
    translated = [
        f for f in ok if (f["pkt-srcaddr"], f["pkt-dstaddr"]) != (f["srcaddr"], f["dstaddr"])
    ]
    assert len(translated) > 10_000  # a NAT gateway's two inner records
    assert sum(flow["account-id"] == "unknown" for flow in ok) > 100
    unordered = sum(int(a["end"]) > int(b["end"]) for a, b in pairwise(flows))
    assert unordered > 1_000


def test_nobodys_real_address_is_accused(flows, events) -> None:
    addresses = {flow[name] for flow in flows for name in ("srcaddr", "dstaddr", "pkt-dstaddr")}
    addresses |= {event["sourceIPAddress"] for event in events}
    for text in addresses - {"-"}:
        if text.endswith(".amazonaws.com"):
            continue
        address = ipaddress.ip_address(text)
        assert address in ipaddress.ip_network("10.0.0.0/8") or any(address in n for n in OUTSIDE)


def test_the_planted_facts_are_in_the_flows(flows, answers) -> None:
    miner = answers["address"]
    mine = [
        f for f in flows if f["interface-id"] == answers["interface"] and f["log-status"] == "OK"
    ]
    assert {miner} == {
        f["srcaddr"] if f["flow-direction"] == "egress" else f["dstaddr"] for f in mine
    }
    assert min(int(f["start"]) for f in mine) > seconds(answers["started"])
    assert max(int(f["start"]) for f in mine) <= seconds(answers["stopped"])
    assert {f["instance-id"] for f in mine} == {answers["instance"]}
    for name, opened in (("pool", 1), ("tor", 0)):
        fact = answers[name]
        syns = [f for f in mine if f["dstaddr"] == fact["address"] and int(f["tcp-flags"]) & 2]
        assert len(syns) == fact["connections"], opened
        assert {f["dstport"] for f in syns} == {str(fact["port"])}
        assert abs(min(int(f["start"]) for f in syns) - seconds(fact["first"])) <= 61
    tor = answers["tor"]["address"]
    calls = [int(f["start"]) for f in mine if f["dstaddr"] == tor and int(f["tcp-flags"]) & 2]
    mean = (max(calls) - min(calls)) / (len(calls) - 1) / 60
    assert mean == pytest.approx(answers["tor"]["period_minutes"], abs=0.05)
    for door in answers["refused"]["doors"]:
        tries = [f for f in flows if f["srcaddr"] == miner and f["dstaddr"] == door["address"]]
        by_action = Counter(f["action"] for f in tries)
        # At its own interface and at the door's; a try may fall into two windows.
        assert min(by_action["ACCEPT"], by_action["REJECT"]) >= 8
        assert {f["dstport"] for f in tries} == {str(door["port"])}
        assert not [f for f in flows if f["srcaddr"] == door["address"] and f["dstaddr"] == miner]


def test_the_five_kinds_agree(events, answers) -> None:
    (start,) = [e for e in events if e["eventID"] == answers["run_instances_event"]]
    assert start["userIdentity"]["arn"] == answers["user"]["arn"]
    assert start["userIdentity"]["accessKeyId"] == answers["user"]["access_key"]
    (instance,) = start["responseElements"]["instancesSet"]["items"]
    assert instance["instanceId"] == answers["instance"]
    (nic,) = instance["networkInterfaceSet"]["items"]
    assert (nic["networkInterfaceId"], nic["privateIpAddress"]) == (
        answers["interface"],
        answers["address"],
    )
    assert len(events) > 400
    assert len({event["eventID"] for event in events}) == len(events)
    made = [e for e in events if e["eventName"] == "CreateAccessKey" and not e.get("errorCode")]
    assert [e["responseElements"]["accessKey"]["accessKeyId"] for e in made] == [
        answers["user"]["access_key"]
    ]
    queries = [
        json.loads(line)
        for path in DATA.glob("evidence/AWSLogs/*/vpcdnsquerylogs/**/*.gz")
        for line in content(path).decode().splitlines()
    ]
    pool = [q for q in queries if q["query_name"].rstrip(".") in answers["pool"]["names"]]
    assert {q["srcaddr"] for q in pool} == {answers["address"]}
    assert {a["Rdata"] for q in pool for a in q["answers"]} == {answers["pool"]["address"]}
    assert min(q["query_timestamp"] for q in pool) < answers["pool"]["first"]
    export = next(DATA.glob("evidence/AWSLogs/*/GuardDuty/**/*.gz"))
    alerts = [json.loads(line) for line in content(export).decode().splitlines()]
    assert {alert["id"] for alert in alerts} == set(answers["alerts"])
    assert len(alerts) == len(answers["alerts"]) + 1  # one came twice, updated
    listed = (DATA / "evidence/feeds/tor-exits.txt").read_text().splitlines()
    assert answers["tor"]["address"] in listed
    assert len(listed) > 10
