"""What came of calls, what became of it, and where the callers' addresses occur."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowbench.case import Case
from flowbench.investigate import consequences as module
from flowbench.investigate.consequences import find_consequences, find_usage
from flowbench.investigate.filters import Filters
from tests.incident_case import api_event, started
from tests.traffic import T0, connect, make_case

KEY = "AKIAEXAMPLENEW"


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    port = {"groupId": "sg-1", "ipPermissions": {"items": [{
        "ipProtocol": "tcp", "fromPort": 22, "toPort": 22,
        "ipRanges": {"items": [{"cidrIp": "0.0.0.0/0"}]}}]}}  # fmt: skip
    key = {"userName": "mallory", "accessKeyId": KEY}
    events = [
        api_event("a1", "CreateUser", T0, request={"userName": "mallory"}),
        api_event("a2", "CreateAccessKey", T0 + 10, request={"userName": "mallory"},
                  response={"accessKey": {"accessKeyId": KEY}}),
        api_event("a3", "AuthorizeSecurityGroupIngress", T0 + 20, request=port),
        api_event("a4", "RunInstances", T0 + 30,
                  response=started("i-0aaaa1111", "eni-a", "10.0.0.5")),
        api_event("a5", "RunInstances", T0 + 40, error="Client.VcpuLimitExceeded"),
        api_event("z1", "UpdateAccessKey", T0 + 50, request=key | {"status": "Active"}),
        api_event("z2", "UpdateAccessKey", T0 + 60, request=key | {"status": "Inactive"}),
        api_event("z3", "TerminateInstances", T0 + 70,
                  request={"instancesSet": {"items": [{"instanceId": "i-0aaaa1111"}]}}),
        *(api_event(f"v{n}", "CreateVolume", T0 + 80 + n, response={"volumeId": f"vol-{n}"})
          for n in range(6)),
        api_event("y1", "DeleteVolume", T0 + 90, request={"volumeId": "vol-2"}),
    ]  # fmt: skip
    folder = tmp_path_factory.mktemp("consequences")
    return make_case(folder, connect("10.0.0.5", "192.0.2.1", 443, T0), json_lines=events)


def test_what_was_created_and_what_became_of_it(case: Case) -> None:
    calls = case.api_events.filter(case.api_events.event_id.startswith("a"))
    found = {c.event.event_id: c.description for c in find_consequences(case, calls)}
    assert found == {
        "a1": "CreateUser created mallory at 2026-09-01 00:00:00 UTC; no event in the evidence ends"
        " it.",
        "a2": f"CreateAccessKey created {KEY} at 2026-09-01 00:00:10 UTC; it was disabled at"
        " 2026-09-01 00:01:00 UTC by eve.",
        "a3": "AuthorizeSecurityGroupIngress opened 22/tcp from 0.0.0.0/0 in sg-1 at 2026-09-01"
        " 00:00:20 UTC; no event in the evidence ends it.",
        "a4": "RunInstances created i-0aaaa1111 at 2026-09-01 00:00:30 UTC; it was terminated at"
        " 2026-09-01 00:01:10 UTC by eve.",
    }


def test_many_equal_things_are_one_sentence(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = case.api_events.filter(case.api_events.event_id.startswith("v"))
    (found,) = find_consequences(case, calls)
    assert found.description == (
        "CreateVolume succeeded 6x at 2026-09-01 00:01 UTC: vol-0, vol-1, vol-2, vol-3, vol-4 and"
        " 1 more; 5 not ended by an event in the evidence, 1 deleted."
    )
    monkeypatch.setattr(module, "MOST_CREATED", 4)
    *_others, rest = find_consequences(case, calls)
    assert rest.description == "The first 4 of 6 resource-creating calls are listed above."


def test_a_group_is_named_by_its_id_and_name(tmp_path: Path) -> None:
    events = [
        api_event("a3", "CreateSecurityGroup", T0, request={"groupName": "web", "vpcId": "vpc-1"},
                  response={"groupId": "sg-1"}),
        api_event("a4", "CreateSecurityGroup", T0, request={"groupName": "db", "vpcId": "vpc-1"}),
    ]  # fmt: skip
    case = make_case(tmp_path, connect("10.0.0.5", "192.0.2.1", 443, T0), json_lines=events)
    names = {c.event.event_id: c.name for c in find_consequences(case, case.api_events)}
    assert names == {"a3": "sg-1 (web)", "a4": "db"}


def test_the_hosts_of_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = [
        *(r for n in range(7) for r in connect(f"10.0.0.{n + 1}", "203.0.113.9", 443, T0)),
        *connect("198.51.100.9", "10.0.0.1", 22, T0 + 3600),
        *connect("198.51.100.9", "10.0.0.1", 22, T0 + 7200, source_port=40_001),
    ]
    case = make_case(tmp_path, records)
    first, second = find_usage(case, ["203.0.113.9", "198.51.100.9", "192.0.2.1"])
    assert first.description == (
        "Flow logs record 7 connections of 203.0.113.9 with 10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4,"
        " 10.0.0.5 and 2 more, at 2026-09-01 00:00 UTC."
    )
    assert second.description == (
        "Flow logs record 2 connections of 198.51.100.9 with 10.0.0.1, from 2026-09-01 01:00 to"
        " 2026-09-01 02:00 UTC."
    )
    early = Filters(until=second.first_seen)
    assert [usage.address for usage in find_usage(case, ["198.51.100.9"], early)] == []
    monkeypatch.setattr(module, "MOST_ADDRESSES", 1)
    _first, rest = find_usage(case, ["203.0.113.9", "198.51.100.9"])
    assert rest.description == (
        "Flow logs record connections of 1 more address, including 198.51.100.9."
    )


def test_no_address(case: Case) -> None:
    assert list(find_usage(case, [])) == []
