"""The facts of the Winterday scenario are in all kinds of its evidence."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.scenario.conftest import DATA, queries, seconds


def test_the_answers_agree_with_the_flow_records(flows, answers) -> None:
    address = answers["address"]
    own = [
        f for f in flows if f["interface-id"] == answers["interface"] and f["log-status"] == "OK"
    ]
    assert {address} == {
        f["srcaddr"] if f["flow-direction"] == "egress" else f["dstaddr"] for f in own
    }
    assert min(int(f["start"]) for f in own) > seconds(answers["started"])
    assert max(int(f["start"]) for f in own) <= seconds(answers["stopped"])
    assert {f["instance-id"] for f in own} == {answers["instance"]}
    for name in ("pool", "tor"):
        activity = answers[name]
        syns = [f for f in own if f["dstaddr"] == activity["address"] and int(f["tcp-flags"]) & 2]
        assert len(syns) == activity["connections"]
        assert {f["dstport"] for f in syns} == {str(activity["port"])}
        assert abs(min(int(f["start"]) for f in syns) - seconds(activity["first_seen"])) <= 61
    tor = answers["tor"]["address"]
    starts = [int(f["start"]) for f in own if f["dstaddr"] == tor and int(f["tcp-flags"]) & 2]
    mean = (max(starts) - min(starts)) / (len(starts) - 1) / 60
    assert mean == pytest.approx(answers["tor"]["interval_minutes"], abs=0.05)
    operator = answers["session"]
    session = [f for f in own if f["srcaddr"] == operator["address"]]
    assert {(f["dstport"], f["action"]) for f in session} == {(str(operator["port"]), "ACCEPT")}
    assert sum(int(f["tcp-flags"]) & 2 for f in session) == 2 * operator["connections"]
    assert sum(int(f["packets"]) for f in session) > 300
    assert abs(min(int(f["start"]) for f in session) - seconds(operator["first_seen"])) <= 61
    assert seconds(answers["pool"]["first_seen"]) - seconds(operator["first_seen"]) == 1_200
    for service in answers["rejected"]["services"]:
        attempts = [
            f for f in flows if f["srcaddr"] == address and f["dstaddr"] == service["address"]
        ]
        by_action = Counter(f["action"] for f in attempts)
        # Logged at both interfaces; an attempt may be in two windows.
        assert min(by_action["ACCEPT"], by_action["REJECT"]) >= 8
        assert {f["dstport"] for f in attempts} == {str(service["port"])}
        assert not [
            f for f in flows if f["srcaddr"] == service["address"] and f["dstaddr"] == address
        ]


def test_the_kinds_of_evidence_agree(events, answers) -> None:
    (launch,) = [e for e in events if e["eventID"] == answers["run_instances_event"]]
    assert launch["userIdentity"]["arn"] == answers["user"]["arn"]
    assert launch["userIdentity"]["accessKeyId"] == answers["user"]["access_key"]
    (instance,) = launch["responseElements"]["instancesSet"]["items"]
    assert instance["instanceId"] == answers["instance"]
    (nic,) = instance["networkInterfaceSet"]["items"]
    assert (nic["networkInterfaceId"], nic["privateIpAddress"]) == (
        answers["interface"],
        answers["address"],
    )
    assert len(events) > 400
    assert len({event["eventID"] for event in events}) == len(events)
    created = [e for e in events if e["eventName"] == "CreateAccessKey" and not e.get("errorCode")]
    assert [e["responseElements"]["accessKey"]["accessKeyId"] for e in created] == [
        answers["user"]["access_key"]
    ]
    operator = answers["session"]["address"]
    pool = [q for q in queries() if q["query_name"].rstrip(".") in answers["pool"]["names"]]
    assert {q["srcaddr"] for q in pool} == {answers["address"]}
    assert {a["Rdata"] for q in pool for a in q["answers"]} == {answers["pool"]["address"]}
    assert min(q["query_timestamp"] for q in pool) < answers["pool"]["first_seen"]
    callers = {
        e["userIdentity"].get("userName") for e in events if e["sourceIPAddress"] == operator
    }
    assert callers == {answers["user"]["name"], answers["user"]["created_by"]}
    listed = (DATA / "evidence/feeds/tor-exits.txt").read_text().splitlines()
    assert answers["tor"]["address"] in listed
    assert len(listed) > 10


def test_no_connection_with_the_pool_begins_before_its_lookup(flows, answers) -> None:
    pool = answers["pool"]
    lookups = sorted(
        seconds(q["query_timestamp"])
        for q in queries()
        if q["query_name"].rstrip(".") in pool["names"]
    )
    starts = sorted(
        int(f["start"])
        for f in flows
        if f["interface-id"] == answers["interface"]
        and f["dstaddr"] == pool["address"]
        and int(f["tcp-flags"]) & 2
    )
    waits = [start - max(at for at in lookups if at <= start) for start in starts]
    assert len(waits) == pool["connections"]
    assert sum(wait <= 3 for wait in waits) == pool["connections"] - 1  # one has no look-up
