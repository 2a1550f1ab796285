"""What came of calls, what became of it, and chains of roles."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowbench.case import Case
from flowbench.investigate.api_events import read_events
from flowbench.investigate.consequences import find_consequences, find_usage, role_chain
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
        api_event("l1", "AssumeRole", T0, key="ASIALOOP",
                  response={"credentials": {"accessKeyId": "ASIALOOP2"}}),
        api_event("l2", "AssumeRole", T0, key="ASIALOOP2",
                  response={"credentials": {"accessKeyId": "ASIALOOP"}}),
    ]  # fmt: skip
    folder = tmp_path_factory.mktemp("consequences")
    return make_case(folder, connect("10.0.0.5", "192.0.2.1", 443, T0), json_lines=events)


def test_what_was_created_and_what_became_of_it(case: Case) -> None:
    activity = read_events(case.api_events.filter(case.api_events.event_id.startswith("a")))
    found = {c.event.event_id: c.description for c in find_consequences(case, activity)}
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


def test_the_last_ending_counts_and_a_group_is_not_its_vpc(tmp_path: Path) -> None:
    host = {"instancesSet": {"items": [{"instanceId": "i-0aaaa1111"}]}}
    key = {"userName": "mallory", "accessKeyId": KEY}
    events = [
        api_event("a1", "RunInstances", T0, response=started("i-0aaaa1111", "eni-a", "10.0.0.5")),
        api_event("a2", "CreateAccessKey", T0, request={"userName": "mallory"},
                  response={"accessKey": {"accessKeyId": KEY}}),
        api_event("a3", "CreateSecurityGroup", T0, request={"groupName": "web", "vpcId": "vpc-1"}),
        api_event("z1", "StopInstances", T0 + 10, request=host),
        api_event("z2", "TerminateInstances", T0 + 20, request=host),
        api_event("z3", "UpdateAccessKey", T0 + 30, request=key | {"status": "Inactive"}),
        api_event("z4", "UpdateAccessKey", T0 + 40, request=key | {"status": "Active"}),
    ]  # fmt: skip
    case = make_case(tmp_path, connect("10.0.0.5", "192.0.2.1", 443, T0), json_lines=events)
    activity = read_events(case.api_events.filter(case.api_events.event_id.startswith("a")))
    found = {c.event.event_id: c.description for c in find_consequences(case, activity)}
    assert "it was terminated at 2026-09-01 00:00:20 UTC" in found["a1"]
    assert "no event in the evidence ends it" in found["a2"]
    assert found["a3"].startswith("CreateSecurityGroup created web at")


def test_keys_that_issue_each_other_end_the_chain(case: Case) -> None:
    assert [event.event_id for event in role_chain(case, "ASIALOOP")] == ["l2", "l1"]
    assert role_chain(case, None) == []
    assert role_chain(case, "AKIAUNKNOWN") == []


def test_a_caller_that_is_in_no_flow_log(case: Case, tmp_path: Path) -> None:
    assert list(find_usage(case, ["eve"])) == []
    assert list(find_usage(case, [])) == []
