"""What happened at Winterday is in its evidence, and the five kinds of it agree."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import pytest

from tests.scenario.conftest import DATA, content, queries, seconds


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
    pool = [q for q in queries() if q["query_name"].rstrip(".") in answers["pool"]["names"]]
    assert {q["srcaddr"] for q in pool} == {answers["address"]}
    assert {a["Rdata"] for q in pool for a in q["answers"]} == {answers["pool"]["address"]}
    assert min(q["query_timestamp"] for q in pool) < answers["pool"]["first"]
    listed = (DATA / "evidence/feeds/tor-exits.txt").read_text().splitlines()
    assert answers["tor"]["address"] in listed
    assert len(listed) > 10


def test_sessions_and_keys_are_as_cloudtrail_tells_them(events) -> None:
    for event in events:
        who, address = event["userIdentity"], event["sourceIPAddress"]
        kind = {"IAMUser": "AKIA", "AssumedRole": "ASIA"}.get(who["type"])
        if event["eventName"] == "ConsoleLogin":
            assert "accessKeyId" not in who  # a password, not a key
        elif kind:
            assert re.fullmatch(rf"{kind}EXAMPLE[A-Z0-9]{{9}}", who["accessKeyId"])
        # A private address is seen only of a call that came by an endpoint.
        assert address.startswith("10.") == ("vpcEndpointId" in event)
    sessions: dict[str, set[str]] = {}
    for event in events:
        if event["userIdentity"]["type"] == "AssumedRole":
            who = event["userIdentity"]
            sessions.setdefault(who["accessKeyId"], set()).add(who["arn"])
    assert {len(arns) for arns in sessions.values()} == {1}


def test_the_pool_is_looked_up_before_each_session_but_one(flows, answers) -> None:
    pool = answers["pool"]
    asked = sorted(
        seconds(q["query_timestamp"])
        for q in queries()
        if q["query_name"].rstrip(".") in pool["names"]
    )
    opened = sorted(
        (int(f["start"]), int(f["end"]))
        for f in flows
        if f["dstaddr"] == pool["address"] and f["tcp-flags"] == "2"
    )
    assert len(opened) == pool["connections"]
    told = [any(start - 3 <= at <= end for at in asked) for start, end in opened]
    assert told.count(False) == 1  # the pool itself had said where to go on
    assert len(asked) == pool["connections"] - 1


def test_alerts_tell_what_the_logs_hold(flows, answers) -> None:
    export = next(DATA.glob("evidence/AWSLogs/*/GuardDuty/**/*.gz"))
    alerts = [json.loads(line) for line in content(export).decode().splitlines()]
    assert {alert["id"] for alert in alerts} == set(answers["alerts"])
    assert len(alerts) == len(answers["alerts"]) + 1  # one came twice, updated
    connections = {
        (f["srcaddr"], f["srcport"], f["dstaddr"], f["dstport"])
        for f in flows
        if f["interface-id"] == answers["interface"]
    }
    for alert in alerts:
        action = alert["service"]["action"].get("networkConnectionAction")
        if action:
            remote = (action["remoteIpDetails"]["ipAddressV4"], action["remotePortDetails"]["port"])
            local = (action["localIpDetails"]["ipAddressV4"], action["localPortDetails"]["port"])
            assert tuple(map(str, (*local, *remote))) in connections
        else:
            asked = [
                q["query_timestamp"]
                for q in queries()
                if q["query_name"] == action_domain(alert) + "."
                and q["query_timestamp"][:19] <= alert["service"]["eventLastSeen"][:19]
            ]
            assert len(asked) == alert["service"]["count"]
            assert min(asked)[:19] == alert["service"]["eventFirstSeen"][:19]
            assert max(asked)[:19] == alert["service"]["eventLastSeen"][:19]
    printed = json.loads((DATA / "evidence/guardduty/get-findings.json").read_text())["Findings"]
    (probe,) = [one for one in printed if one["Type"].startswith("Recon:")]
    details = probe["Service"]["Action"]["PortProbeAction"]["PortProbeDetails"]
    let_in = {f["srcaddr"] for f in flows if f["dstport"] == "22" and f["action"] == "ACCEPT"}
    assert len(details) == probe["Service"]["Count"]
    assert {one["RemoteIpDetails"]["IpAddressV4"] for one in details} <= let_in


def action_domain(alert: dict[str, Any]) -> str:
    return alert["service"]["action"]["dnsRequestAction"]["domain"]
