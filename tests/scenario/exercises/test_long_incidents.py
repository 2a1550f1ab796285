"""Incidents of a day: small parts over hours, and ransomware where a rule lets it."""

from __future__ import annotations

from itertools import pairwise

from flowbench.scenario.network import make_id
from tests.scenario.exercises.conftest import simulated

HOUR = 3_600


def test_data_is_sent_in_small_parts_for_most_of_a_day() -> None:
    recorder = simulated("slow-exfiltration")
    (fact,) = [fact for fact in recorder.key.facts if fact.activity == "data transfer"]
    sent = [
        each
        for each in recorder.connections
        if (each.initiator, each.responder) == (fact.actor, fact.object)
    ]
    assert 22 <= len(sent) <= 34
    assert max(each.bytes_out for each in sent) < 160e6
    gaps = [b.start - a.start for a, b in pairwise(sent)]
    assert HOUR / 3 < min(gaps) <= max(gaps) < 2 * HOUR


def test_smb_is_open_to_the_servers_of_the_rule_alone() -> None:
    recorder = simulated("ransomware")
    servers = recorder.organisation.with_role("app")
    rule = next(
        event["requestParameters"]
        for event in recorder.events
        if (event["requestParameters"] or {}).get("cidrIp") == "10.0.0.0/8"
    )
    group = make_id("sg", servers[0].subnet.vpc, servers[0].group)
    assert (rule["groupId"], rule["fromPort"]) == (group, 445)
    by_smb = [each for each in recorder.connections if each.port == 445 and not each.rejected]
    moved = [each for each in by_smb if each.bytes_out > 1e6]
    assert [each.responder for each in moved] == [host.address for host in servers]
    key = recorder.key
    assert {host.address for host in servers} <= set(key.involved)
    employee = next(f.actor for f in key.facts if f.activity == "AuthorizeSecurityGroupIngress")
    assert employee in key.benign
