"""Attribution: every step cites its record, and every gap states its reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from flowbench import detect, report
from flowbench.case import Case
from flowbench.errors import InputError
from flowbench.investigate import attribution, timeline
from flowbench.investigate.trace import TRACE, Trace
from tests.incident_case import (
    CALLER,
    CREATOR,
    DATABASE,
    HOST,
    HOSTILE,
    INSTANCE,
    INTERFACE,
    KEY,
    OFFICE,
    ROGUE,
    api_event,
    format_time,
    make_api_events,
    make_incident_case,
    make_inventory,
    started,
)
from tests.traffic import T0, connect, interface, make_case

HOUR = 3600
TALK = list(connect(HOST, "203.0.113.9", 443, T0, interface_id=INTERFACE))


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_incident_case(tmp_path_factory.mktemp("attribution") / "incident")


def small(
    folder: Path,
    events: list[dict[str, Any]],
    interfaces: list[dict[str, Any]] | None = None,
) -> Case:
    return make_case(folder, TALK, interfaces=interfaces, json_lines=events)


def steps(trace: Trace, *names: str) -> list[tuple[str, Any, Any]]:
    found = trace.of(*names) if names else trace.steps
    return [(step.step, step.value, step.event_id) for step in found]


def test_the_steps_and_their_events(case: Case) -> None:
    trace = attribution.trace(case, HOST)
    assert steps(trace) == [
        ("address", HOST, None),
        ("interface", INTERFACE, None),
        ("instance", INSTANCE, None),
        ("creation", "e5", "e5"),
        ("principal", ROGUE, "e5"),
        ("access key", KEY, "e5"),
        ("source address", CALLER, "e5"),
        ("created by", CREATOR, "e1"),
        ("created by", CREATOR, "e2"),
        ("creator baseline", None, "e0"),
        ("principal activity", "CreateAccessKey", "e6"),
        ("principal activity", "ListBuckets", "e3"),
        ("principal activity", "RunInstances", "e4"),
        ("outcome", INSTANCE, "e5"),
        ("outcome", "eve", "e1"),
        ("outcome", KEY, "e2"),
        ("gap", None, None),
    ]
    assert set(trace.activity_ids) == {"e3", "e4", "e6"}


@pytest.mark.parametrize("what", [HOST, "eve", KEY, CALLER])
def test_every_step_but_gaps_cites_file_and_record(case: Case, what: str) -> None:
    rows = attribution.trace(case, what).to_pandas()
    assert list(rows.columns) == TRACE.columns
    cited = rows[rows["step"] != "gap"]
    missing = cited[cited[["file", "evidence_id", "line"]].isna().any(axis=1)]
    assert missing["step"].to_list() == []
    assert cited["time"].notna().all()


def test_the_creation_and_the_interface_cite_their_own_files(case: Case) -> None:
    trace = attribution.trace(case, HOST)
    (creation,) = trace.of("creation")
    assert (creation.file, creation.line) == ("other.jsonl", 6)
    assert trace.of("interface")[0].file == "enis.json"


def test_descriptions_of_steps(case: Case) -> None:
    text = [step.description for step in attribution.trace(case, HOST).steps]
    assert text[1] == (
        f"{HOST} was assigned to {INTERFACE} (ec2) in subnet-1, vpc-1 (Name tag: {HOSTILE})."
    )
    assert text[3] == f"RunInstances created {INSTANCE} at 2026-08-31 23:01:00 UTC."
    assert text[9] == (
        f"2 of the 3 API calls by ada came from {CALLER}; the other 1 came from {OFFICE}."
    )
    assert text[10] == (
        "Persistence (T1098.001): eve called CreateAccessKey for user root-of-all from"
        f" {CALLER}: failed (AccessDenied)."
    )
    assert text[11] == f"Discovery: eve called ListBuckets from {CALLER}."
    assert text[12] == (
        "Impact (T1496.001): eve called RunInstances from"
        f" {CALLER}: failed (Client.VcpuLimitExceeded)."
    )
    assert text[8] == f"ada called CreateAccessKey (issued {KEY}) for user eve from {CALLER}."
    assert text[13] == (
        f"RunInstances created {INSTANCE} at 2026-08-31 23:01:00 UTC; it was stopped at"
        " 2026-09-01 07:00:00 UTC by bob."
    )
    assert text[16] == "No event in the evidence disables or deletes access key AKIAEXAMPLEADA."


def test_creator_activity_from_an_unusual_address_is_listed(tmp_path: Path) -> None:
    login = api_event("m1", "ConsoleLogin", T0 - 5 * HOUR, arn=CREATOR, key="ASIAADA")
    usual = [
        api_event(f"u{n}", "ListBuckets", T0 - 20 * HOUR + n, arn=CREATOR, key="AKIAADA", ip=OFFICE)
        for n in range(5)
    ]
    trace = attribution.trace(
        small(tmp_path, [login, *usual, *make_api_events()], make_inventory()), HOST
    )
    assert steps(trace, "creator activity") == [("creator activity", "ConsoleLogin", "m1")]
    assert "3 of the 9 API calls by ada came from" in trace.of("creator baseline")[0].description


def test_creator_activity_from_the_usual_address_is_routine(tmp_path: Path) -> None:
    login = api_event("m1", "ConsoleLogin", T0 - 5 * HOUR, arn=CREATOR, key="ASIAADA")
    trace = attribution.trace(small(tmp_path, [login, *make_api_events()], make_inventory()), HOST)
    assert steps(trace, "creator activity") == []


def test_the_summary(case: Case) -> None:
    assert attribution.trace(case, HOST).summary() == {
        "address": HOST, "interface": INTERFACE, "instance": INSTANCE, "creation_event": "e5",
        "principal": ROGUE, "access_key": KEY, "source_address": CALLER,
        "created_at": "2026-08-31T23:01:00+00:00", "principal_created_by": CREATOR,
    }  # fmt: skip


def test_an_unknown_address(case: Case) -> None:
    trace = attribution.trace(case, "10.9.9.9")
    assert trace.gaps == [
        "No inventory lists an interface with 10.9.9.9.",
        "No RunInstances or CreateNetworkInterface event in the CloudTrail evidence"
        " (2026-08-31 15:00 to 2026-09-01 07:00 UTC) names 10.9.9.9; its creator is unknown.",
    ]
    assert set(trace.summary().values()) == {"10.9.9.9", None}


def test_the_interface_of_an_aws_service_has_no_instance(case: Case) -> None:
    found = attribution.trace(case, DATABASE).gaps
    assert found[0] == "The inventory lists no instance for this interface; its type is rds."
    assert "names eni-db; its creator is unknown" in found[1]


def test_an_instance_whose_creation_is_not_covered(tmp_path: Path) -> None:
    events = [event for event in make_api_events() if event["eventID"] != "e5"]
    trace = attribution.trace(small(tmp_path, events, make_inventory()), HOST)
    assert steps(trace)[-1][0] == "gap"
    assert f"names {INSTANCE}; its creator is unknown" in trace.gaps[0]
    # A failed RunInstances created nothing.
    assert "e4" not in {step.event_id for step in trace.steps}


def test_without_cloudtrail(tmp_path: Path) -> None:
    case = make_case(tmp_path, TALK, interfaces=make_inventory())
    assert attribution.trace(case, HOST).gaps == [
        f"There is no CloudTrail evidence of who created {INSTANCE}."
    ]


def test_without_an_inventory_the_event_itself_gives_interface_and_instance(
    tmp_path: Path,
) -> None:
    trace = attribution.trace(small(tmp_path, make_api_events()), HOST)
    assert steps(trace, "gap", "interface", "instance", "creation") == [
        ("gap", None, None), ("interface", INTERFACE, "e5"), ("instance", INSTANCE, "e5"),
        ("creation", "e5", "e5"), ("gap", None, None),
    ]  # fmt: skip


def test_an_address_that_was_assigned_twice(tmp_path: Path) -> None:
    again = api_event(
        "e5b", "RunInstances", T0 + HOUR, response=started("i-0cccc3333", "eni-y", HOST)
    )
    case = small(tmp_path, [*make_api_events(), again])
    trace = attribution.trace(case, HOST)
    assert steps(trace, "creation") == [("creation", "e5", "e5")]
    offered = [step.description for step in trace.of("assignment")]
    assert offered[1] == (
        f"{HOST} was assigned to eni-y (i-0cccc3333) from 2026-09-01 01:00;"
        " --at 2026-09-01T01:00:00 traces it."
    )
    (chosen,) = trace.of("interface")
    assert "also assigned to eni-y (i-0cccc3333) from 2026-09-01 01:00" in chosen.description
    later = attribution.trace(case, HOST, pd.Timestamp(T0 + 2 * HOUR, unit="s", tz="UTC"))
    assert steps(later, "creation") == [("creation", "e5b", "e5b")]
    assert later.summary()["instance"] == "i-0cccc3333"


def test_the_launch_takes_precedence_over_the_interfaces_creation(tmp_path: Path) -> None:
    made = api_event(
        "e4b", "CreateNetworkInterface", T0 - 2 * HOUR, arn=CREATOR, key="AKIAOTHER",
        response={"networkInterface": {"networkInterfaceId": INTERFACE, "privateIpAddress": HOST}},
    )  # fmt: skip
    trace = attribution.trace(small(tmp_path, [made, *make_api_events()], make_inventory()), HOST)
    assert steps(trace, "creation", "principal") == [
        ("creation", "e5", "e5"), ("principal", ROGUE, "e5"),
    ]  # fmt: skip


def test_a_user_whose_creation_is_not_covered(tmp_path: Path) -> None:
    events = [event for event in make_api_events() if event["eventID"] not in ("e1", "e2")]
    trace = attribution.trace(small(tmp_path, events, make_inventory()), HOST)
    assert trace.gaps == [
        "No event in the evidence shows who created user eve.",
        f"No event in the evidence disables or deletes access key {KEY}.",
    ]
    assert len(steps(trace, "principal activity")) == 3


def test_a_failed_call_creates_nothing(tmp_path: Path) -> None:
    tried = api_event("e0b", "AttachUserPolicy", T0 - 5 * HOUR, arn="arn:aws:iam::1:user/zoe",
                 key="AKIAZOE", error="AccessDenied", request={"userName": "eve"})  # fmt: skip
    trace = attribution.trace(small(tmp_path, [tried, *make_api_events()], make_inventory()), HOST)
    assert steps(trace, "created by")[0] == ("created by", None, "e0b")
    assert trace.summary()["principal_created_by"] == CREATOR


def session(event: dict[str, Any], role: str, key: str) -> dict[str, Any]:
    """The call as made by a role's session instead of a user."""
    who = {"type": "AssumedRole", "accessKeyId": key, "accountId": "111122223333",
           "arn": f"arn:aws:sts::111122223333:assumed-role/{role}"}  # fmt: skip
    return event | {"userIdentity": who}


def assume(event_id: str, at: int, key: str) -> dict[str, Any]:
    given = {"credentials": {"accessKeyId": key, "sessionToken": "secret"}}
    return api_event(event_id, "AssumeRole", at, response=given)


def test_a_role_session_is_traced_to_who_assumed_it(tmp_path: Path) -> None:
    ran = api_event("r2", "RunInstances", T0, response=started(INSTANCE, INTERFACE, HOST))
    events = [assume("r1", T0 - HOUR, "ASIAROLE"), session(ran, "build/s1", "ASIAROLE")]
    trace = attribution.trace(small(tmp_path, events, make_inventory()), HOST)
    assert steps(trace, "principal", "access key", "created by", "gap") == [
        ("principal", "arn:aws:sts::111122223333:assumed-role/build/s1", "r2"),
        ("access key", "ASIAROLE", "r2"),
        ("created by", ROGUE, "r1"),
        ("gap", None, None),
    ]
    assert trace.gaps == ["No event in the evidence disables or deletes access key AKIAEXAMPLEEVE."]


def test_a_role_session_whose_assumption_is_not_covered(tmp_path: Path) -> None:
    ran = api_event("r2", "RunInstances", T0, response=started(INSTANCE, INTERFACE, HOST))
    case = small(tmp_path, [session(ran, "build/s1", "ASIAROLE")], make_inventory())
    assert attribution.trace(case, HOST).gaps == [
        "No event in the evidence shows who assumed the session build/s1."
    ]


def test_activity_includes_issued_keys_and_sessions(tmp_path: Path) -> None:
    second = api_event("d1", "CreateAccessKey", T0 + 60, request={"userName": "backup"},
                  response={"accessKey": {"accessKeyId": "AKIASECOND"}})  # fmt: skip
    events = [
        *make_api_events(), second,
        api_event("d2", "ListUsers", T0 + 120, arn="arn:aws:iam::1:user/backup", key="AKIASECOND"),
        assume("d3", T0 + 180, "ASIATHIRD"),
        session(api_event("d4", "GetObject", T0 + 240), "admin/x", "ASIATHIRD"),
        session(assume("d5", T0 + 300, "ASIAFOURTH"), "admin/x", "ASIATHIRD"),
        session(api_event("d6", "PutObject", T0 + 360), "other/y", "ASIAFOURTH"),
        api_event("x1", "GetObject", T0 + 400, arn="arn:aws:iam::1:user/zoe", key="AKIAZOE"),
    ]  # fmt: skip
    trace = attribution.trace(small(tmp_path, events, make_inventory()), HOST)
    assert sorted(trace.event_ids("principal activity")) == [
        "d1", "d2", "d3", "d4", "d5", "d6", "e3", "e4", "e6",
    ]  # fmt: skip
    (folded,) = [s for s in trace.of("principal activity") if s.value is None]
    assert "2 read-only calls by eve, backup" in folded.description
    assert steps(trace, "consequence") == [("consequence", "AKIASECOND", "d1")]


def test_a_hostile_user_name_stays_data(tmp_path: Path) -> None:
    name = "x'); DROP TABLE events;--<b>"
    events = [
        api_event("h1", "RunInstances", T0, arn=f"arn:aws:iam::111122223333:user/{name}", key=name,
             response=started(INSTANCE, INTERFACE, HOST)),
        api_event("h2", "CreateUser", T0 - 60, arn=CREATOR, request={"userName": name}),
    ]  # fmt: skip
    trace = attribution.trace(small(tmp_path, events, make_inventory()), HOST)
    assert steps(trace, "principal", "access key", "created by") == [
        ("principal", f"arn:aws:iam::111122223333:user/{name}", "h1"), ("access key", name, "h1"),
        ("created by", CREATOR, "h2"),
    ]  # fmt: skip


def test_simultaneous_assignments_are_named(tmp_path: Path) -> None:
    twice = [*make_inventory(), interface(HOST, "zz-other")]
    trace = attribution.trace(small(tmp_path, make_api_events(), twice), HOST)
    assert "also assigned to eni-zz-other" in trace.of("interface")[0].description
    assert {step.value for step in trace.of("assignment")} == {INTERFACE, "eni-zz-other"}


def test_each_finding_is_traced_by_the_assignment_at_its_time(tmp_path: Path) -> None:
    """One address, three instances: known from logs and events, events, and the inventory."""
    pools = ["203.0.113.50", "203.0.113.51", "203.0.113.52"]
    names = [("eni-one", "i-0aaaa0001"), ("eni-two", "i-0bbbb0002"), ("eni-three", "i-0cccc0003")]
    hours = [0, 5, 10]
    records = [
        record
        for pool, (eni, _), hour in zip(pools, names, hours, strict=True)
        for record in connect(HOST, pool, 3333, T0 + hour * HOUR, seconds=3 * HOUR, out=60_000,
                           back=80_000, interface_id=eni, source_port=40_000 + hour)
    ]  # fmt: skip
    ends = [
        api_event(f"t{hour}", "TerminateInstances", T0 + (hour + 4) * HOUR,
             request={"instancesSet": {"items": [{"instanceId": instance}]}})
        for hour, (_, instance) in zip(hours[:2], names[:2], strict=True)
    ]  # fmt: skip
    ran = api_event(
        "r1", "RunInstances", T0 + 5 * HOUR - 60, response=started(*names[1][::-1], HOST)
    )
    first = api_event(
        "r0", "RunInstances", T0 - 60, arn=CREATOR, response=started(*names[0][::-1], HOST)
    )
    attached = {"InstanceId": names[2][1], "AttachTime": format_time(T0 + 9 * HOUR)}
    case = make_case(
        tmp_path, records, json_lines=[first, ran, *ends],
        interfaces=[interface(HOST, "three", Attachment=attached)],
        indicators="indicator,kind\n" + "".join(f"{pool},mining\n" for pool in pools),
    )  # fmt: skip
    findings = detect.run(case, only=["contact"])
    assert sorted(finding.peer for finding in findings) == pools
    found = {
        finding.peer: traced.trace.summary()
        for traced in attribution.trace_subjects(case, findings)
        for finding in traced.findings
        if traced.subject == HOST
    }
    assert {pool: (one["interface"], one["instance"]) for pool, one in found.items()} == dict(
        zip(pools, names, strict=True)
    )
    assert [found[pool]["creation_event"] for pool in pools] == ["r0", "r1", None]
    assert [found[pool]["principal"] for pool in pools] == [CREATOR, ROGUE, None]
    signs = timeline.collect_indicators(case, findings)
    assert set(signs.loc[signs["type"] == "instance", "indicator"]) == {i for _, i in names}
    again = report.write(case, tmp_path / "r.html").read_text()
    assert all(instance in again for _, instance in names)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("10.0.0", "is no address"),
        ("", "is no address"),
        ("'; DROP TABLE x", "is no address"),
        ("10.0.0.5/32", "trace one address, instance or principal"),
        ("eu.pool.example", "trace one address, instance or principal"),
    ],
)
def test_what_cannot_be_traced_is_an_error(case: Case, text: str, error: str) -> None:
    with pytest.raises(InputError, match=error):
        attribution.trace(case, text)


@pytest.mark.parametrize("what", [INSTANCE, INTERFACE])
def test_an_instance_or_interface_is_traced_by_its_address(case: Case, what: str) -> None:
    assert attribution.trace(case, what).summary() == attribution.trace(case, HOST).summary()


@pytest.mark.parametrize("what", ["eve", ROGUE, KEY])
def test_a_principal_is_traced_the_other_way(case: Case, what: str) -> None:
    trace = attribution.trace(case, what)
    assert [ref for _, _, ref in steps(trace, "created by")] == ["e1", "e2"]
    assert [ref for _, _, ref in steps(trace, "principal activity")] == ["e6", "e3", "e4", "e5"]
    (made,) = trace.of("consequence")
    assert made.description == (
        f"RunInstances created {INSTANCE} at 2026-08-31 23:01:00 UTC; it was stopped at"
        " 2026-09-01 07:00:00 UTC by bob."
    )
    (source,) = trace.of("source address")
    assert source.description == (
        f"4 calls came from {CALLER}, from 2026-08-31 22:00 to 2026-08-31 23:01 UTC; the first with"
        " aws-cli/2."
    )


def test_a_chain_of_roles_leads_to_the_user(tmp_path: Path) -> None:
    events = [
        assume("c1", T0 - 3 * HOUR, "ASIAONE"),
        session(assume("c2", T0 - 2 * HOUR, "ASIATWO"), "build/one", "ASIAONE"),
        session(assume("c3", T0 - HOUR, "ASIATHREE"), "deploy/two", "ASIATWO"),
        session(
            api_event("c4", "RunInstances", T0, response=started(INSTANCE, INTERFACE, HOST)),
            "admin/three",
            "ASIATHREE",
        ),
    ]
    trace = attribution.trace(small(tmp_path, events, make_inventory()), HOST)
    assert steps(trace, "created by", "role chain") == [
        ("created by", "arn:aws:sts::111122223333:assumed-role/deploy/two", "c3"),
        ("role chain", "ASIAONE", "c2"),
        ("role chain", KEY, "c1"),
    ]


def test_many_reads_are_one_step(tmp_path: Path) -> None:
    reads = [api_event(f"l{n}", "ListBuckets", T0 + n, read=True) for n in range(40)]
    trace = attribution.trace(small(tmp_path, [*make_api_events(), *reads], make_inventory()), HOST)
    (folded,) = [s for s in trace.of("principal activity") if s.value is None]
    assert folded.description == (
        "Discovery: 41 read-only calls by eve from 2026-08-31 22:00 to 2026-09-01 00:00 UTC:"
        " ListBuckets 41x."
    )
    assert len(trace.activity_ids) == 43
    assert set(trace.event_ids("principal activity")) == set(trace.activity_ids)


def test_the_address_of_a_caller_in_the_flow_logs(tmp_path: Path) -> None:
    records = [*TALK, *connect(CALLER, HOST, 22, T0 - 600)]
    case = make_case(tmp_path, records, json_lines=make_api_events(), interfaces=make_inventory())
    (usage,) = attribution.trace(case, "eve").of("address in flows")
    assert usage.value == CALLER
    assert usage.description == (
        f"Flow logs record 1 connection of {CALLER} with {HOST}, at 2026-08-31 23:50 UTC."
    )
    assert (usage.file, usage.line) == ("flows.log", 4)


def test_a_public_address_is_traced_to_the_interface_that_it_maps_to(tmp_path: Path) -> None:
    public = "192.0.2.44"
    listed = interface(
        "10.0.2.9",
        "b",
        VpcId="vpc-1",
        SubnetId="subnet-1",
        Association={"PublicIp": public},
        Attachment={"InstanceId": "i-b"},
    )
    case = make_case(tmp_path, TALK, interfaces=[listed])
    trace = attribution.trace(case, public)
    assert (trace.value("interface"), trace.value("instance")) == ("eni-b", "i-b")
    assert trace.of("interface")[0].description == (
        f"{public} maps to 10.0.2.9, which was assigned to eni-b (ec2) in subnet-1, vpc-1"
        " (Name tag: b)."
    )
