"""The chain from an address to its principal: every step cites its record, every gap says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from flowbench import detect, report
from flowbench.case import Case
from flowbench.investigate import attribution, timeline
from tests.story import (
    CALLER,
    DATABASE,
    HOST,
    HOSTILE,
    INSTANCE,
    INTERFACE,
    KEY,
    MAKER,
    OFFICE,
    ROGUE,
    call,
    calls,
    inventory,
    stamp,
    started,
    story,
)  # fmt: skip
from tests.traffic import T0, interface, make_case, talk

HOUR = 3600
TALK = list(talk(HOST, "203.0.113.9", 443, T0, interface_id=INTERFACE))


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return story(tmp_path_factory.mktemp("attribution") / "story")


def small(
    folder: Path,
    events: list[dict[str, Any]],
    interfaces: list[dict[str, Any]] | None = None,
) -> Case:
    return make_case(folder, TALK, interfaces=interfaces, json_lines=events)


def steps(trace: pd.DataFrame, *names: str) -> list[tuple[str, Any, Any]]:
    some = trace[trace["step"].isin(names)] if names else trace
    some = some.astype(object).where(some.notna(), None)
    return list(some[["step", "value", "ref"]].itertuples(index=False, name=None))


def gaps(trace: pd.DataFrame) -> list[str]:
    return list(trace.loc[trace["step"] == "gap", "what"])


def test_the_whole_chain_cites_its_events(case: Case) -> None:
    trace = attribution.trace(case, HOST)
    assert list(trace.columns) == attribution.TRACE.columns
    assert steps(trace) == [
        ("address", HOST, None),
        ("interface", INTERFACE, None),
        ("instance", INSTANCE, None),
        ("start", "e5", "e5"),
        ("principal", ROGUE, "e5"),
        ("access key", KEY, "e5"),
        ("called from", CALLER, "e5"),
        ("origin", MAKER, "e1"),
        ("origin", MAKER, "e2"),
        ("usual", None, "e0"),
        ("deed", "ListBuckets", "e3"),
        ("deed", "RunInstances", "e4"),
        ("deed", "CreateAccessKey", "e6"),
    ]


def test_every_step_but_the_question_names_file_and_record(case: Case) -> None:
    trace = attribution.trace(case, HOST)
    assert trace.loc[1:, ["file", "evidence_id", "line", "item"]].notna().all().all()
    start = trace[trace["step"] == "start"].iloc[0]
    assert (start["file"], start["line"]) == ("other.jsonl", 6)
    assert trace[trace["step"] == "interface"].iloc[0]["file"] == "enis.json"


def test_the_sentences_say_what_happened(case: Case) -> None:
    what = list(attribution.trace(case, HOST)["what"])
    assert what[1] == f"It is {INTERFACE} (ec2) in subnet-1, vpc-1 (Name tag: {HOSTILE})."
    assert what[3] == "RunInstances at 2026-08-31 23:01:00 UTC made it."
    assert what[9] == f"Of ada's 3 calls 2 came from {CALLER}; the other 1 came from {OFFICE}."
    assert what[11] == (
        f"eve called RunInstances from {CALLER}: refused, Client.VcpuLimitExceeded."
    )
    assert what[12] == (
        f"eve called CreateAccessKey for user root-of-all from {CALLER}: refused, AccessDenied."
    )


def test_what_the_maker_did_from_an_unusual_place_counts(tmp_path: Path) -> None:
    login = call("m1", "ConsoleLogin", T0 - 5 * HOUR, arn=MAKER, key="ASIAADA")
    usual = [
        call(f"u{n}", "ListBuckets", T0 - 20 * HOUR + n, arn=MAKER, key="AKIAADA", ip=OFFICE)
        for n in range(5)
    ]
    trace = attribution.trace(small(tmp_path, [login, *usual, *calls()], inventory()), HOST)
    assert steps(trace, "maker") == [("maker", "ConsoleLogin", "m1")]
    assert "Of ada's 9 calls 3 came from" in trace.loc[trace["step"] == "usual", "what"].iloc[0]


def test_what_the_maker_did_from_the_usual_place_is_routine(tmp_path: Path) -> None:
    login = call("m1", "ConsoleLogin", T0 - 5 * HOUR, arn=MAKER, key="ASIAADA")
    trace = attribution.trace(small(tmp_path, [login, *calls()], inventory()), HOST)
    assert steps(trace, "maker") == []


def test_the_summary(case: Case) -> None:
    assert attribution.summary(attribution.trace(case, HOST)) == {
        "address": HOST, "interface": INTERFACE, "instance": INSTANCE, "start": "e5",
        "principal": ROGUE, "access_key": KEY, "called_from": CALLER,
        "started_at": "2026-08-31T23:01:00+00:00", "created_by": MAKER,
    }  # fmt: skip


def test_an_address_nobody_knows(case: Case) -> None:
    trace = attribution.trace(case, "10.9.9.9")
    assert gaps(trace) == [
        "No inventory lists an interface with 10.9.9.9.",
        "No RunInstances or CreateNetworkInterface event names 10.9.9.9: it was made outside what"
        " the CloudTrail evidence covers (2026-08-31 15:00 to 2026-09-01 07:00 UTC).",
    ]
    assert set(attribution.summary(trace).values()) == {"10.9.9.9", None}


def test_a_services_interface_has_no_instance(case: Case) -> None:
    found = gaps(attribution.trace(case, DATABASE))
    assert found[0] == "No instance is attached: the interface belongs to a service."
    assert "event names eni-db: it was made outside" in found[1]


def test_an_instance_that_no_event_names(tmp_path: Path) -> None:
    events = [event for event in calls() if event["eventID"] != "e5"]
    trace = attribution.trace(small(tmp_path, events, inventory()), HOST)
    assert steps(trace)[-1][0] == "gap"
    assert f"event names {INSTANCE}: it was made outside" in gaps(trace)[0]
    # A refused RunInstances made nothing.
    assert "e4" not in set(trace["ref"].dropna())


def test_without_cloudtrail(tmp_path: Path) -> None:
    case = make_case(tmp_path, TALK, interfaces=inventory())
    assert gaps(attribution.trace(case, HOST)) == [
        f"There is no CloudTrail evidence: who started {INSTANCE} cannot be told."
    ]


def test_without_an_inventory_the_event_itself_gives_interface_and_instance(
    tmp_path: Path,
) -> None:
    trace = attribution.trace(small(tmp_path, calls()), HOST)
    assert steps(trace, "gap", "interface", "instance", "start") == [
        ("gap", None, None), ("interface", INTERFACE, "e5"), ("instance", INSTANCE, "e5"),
        ("start", "e5", "e5"),
    ]  # fmt: skip


def test_an_address_that_was_given_twice_is_not_passed_over(tmp_path: Path) -> None:
    again = call("e5b", "RunInstances", T0 + HOUR, response=started("i-0cccc3333", "eni-y", HOST))
    case = small(tmp_path, [*calls(), again])
    trace = attribution.trace(case, HOST)
    assert steps(trace, "start") == [("start", "e5", "e5")]
    assert "also stands at eni-y (i-0cccc3333) from 2026-09-01 01:00" in trace["what"].iloc[2]
    later = attribution.trace(case, HOST, pd.Timestamp(T0 + 2 * HOUR, unit="s", tz="UTC"))
    assert steps(later, "start") == [("start", "e5b", "e5b")]
    assert attribution.summary(later)["instance"] == "i-0cccc3333"


def test_who_ran_the_instance_counts_not_who_made_its_interface(tmp_path: Path) -> None:
    made = call(
        "e4b", "CreateNetworkInterface", T0 - 2 * HOUR, arn=MAKER, key="AKIAOTHER",
        response={"networkInterface": {"networkInterfaceId": INTERFACE, "privateIpAddress": HOST}},
    )  # fmt: skip
    trace = attribution.trace(small(tmp_path, [made, *calls()], inventory()), HOST)
    assert steps(trace, "start", "principal") == [
        ("start", "e5", "e5"), ("principal", ROGUE, "e5"),
    ]  # fmt: skip


def test_a_user_nobody_was_seen_to_make(tmp_path: Path) -> None:
    events = [event for event in calls() if event["eventID"] not in ("e1", "e2")]
    trace = attribution.trace(small(tmp_path, events, inventory()), HOST)
    assert gaps(trace) == ["No event in the evidence shows who made user eve."]
    assert len(steps(trace, "deed")) == 3


def test_a_refused_making_made_nothing(tmp_path: Path) -> None:
    tried = call("e0b", "AttachUserPolicy", T0 - 5 * HOUR, arn="arn:aws:iam::1:user/zoe",
                 key="AKIAZOE", error="AccessDenied", request={"userName": "eve"})  # fmt: skip
    trace = attribution.trace(small(tmp_path, [tried, *calls()], inventory()), HOST)
    assert steps(trace, "origin")[0] == ("origin", None, "e0b")
    assert attribution.summary(trace)["created_by"] == MAKER


def session(event: dict[str, Any], role: str, key: str) -> dict[str, Any]:
    """The call as made by a role's session instead of a user."""
    who = {"type": "AssumedRole", "accessKeyId": key, "accountId": "111122223333",
           "arn": f"arn:aws:sts::111122223333:assumed-role/{role}"}  # fmt: skip
    return event | {"userIdentity": who}


def assume(event_id: str, at: int, key: str) -> dict[str, Any]:
    given = {"credentials": {"accessKeyId": key, "sessionToken": "secret"}}
    return call(event_id, "AssumeRole", at, response=given)


def test_a_role_session_leads_back_to_who_took_it_up(tmp_path: Path) -> None:
    ran = call("r2", "RunInstances", T0, response=started(INSTANCE, INTERFACE, HOST))
    events = [assume("r1", T0 - HOUR, "ASIAROLE"), session(ran, "build/s1", "ASIAROLE")]
    trace = attribution.trace(small(tmp_path, events, inventory()), HOST)
    assert steps(trace, "principal", "access key", "origin", "gap") == [
        ("principal", "arn:aws:sts::111122223333:assumed-role/build/s1", "r2"),
        ("access key", "ASIAROLE", "r2"),
        ("origin", ROGUE, "r1"),
    ]


def test_a_role_session_nobody_was_seen_to_take_up(tmp_path: Path) -> None:
    ran = call("r2", "RunInstances", T0, response=started(INSTANCE, INTERFACE, HOST))
    case = small(tmp_path, [session(ran, "build/s1", "ASIAROLE")], inventory())
    assert gaps(attribution.trace(case, HOST)) == [
        "No event in the evidence shows who took up the session build/s1."
    ]


def test_deeds_follow_the_keys_and_sessions_it_gave_out(tmp_path: Path) -> None:
    second = call("d1", "CreateAccessKey", T0 + 60, request={"userName": "backup"},
                  response={"accessKey": {"accessKeyId": "AKIASECOND"}})  # fmt: skip
    events = [
        *calls(), second,
        call("d2", "ListUsers", T0 + 120, arn="arn:aws:iam::1:user/backup", key="AKIASECOND"),
        assume("d3", T0 + 180, "ASIATHIRD"),
        session(call("d4", "GetObject", T0 + 240), "admin/x", "ASIATHIRD"),
        session(assume("d5", T0 + 300, "ASIAFOURTH"), "admin/x", "ASIATHIRD"),
        session(call("d6", "PutObject", T0 + 360), "other/y", "ASIAFOURTH"),
        call("x1", "GetObject", T0 + 400, arn="arn:aws:iam::1:user/zoe", key="AKIAZOE"),
    ]  # fmt: skip
    trace = attribution.trace(small(tmp_path, events, inventory()), HOST)
    assert [ref for _, _, ref in steps(trace, "deed")] == [
        "e3", "e4", "e6", "d1", "d2", "d3", "d4", "d5", "d6",
    ]  # fmt: skip


def test_events_of_a_principal_by_name_or_key(case: Case) -> None:
    mine = attribution.principal_events(case, [ROGUE], [])
    assert list(mine["event_id"]) == ["e3", "e4", "e5", "e6"]
    assert list(attribution.principal_events(case, [], [KEY])["event_id"]) == list(mine["event_id"])
    assert attribution.principal_events(case, [], []).empty


def test_a_hostile_user_name_stays_data(tmp_path: Path) -> None:
    name = "x'); DROP TABLE events;--<b>"
    events = [
        call("h1", "RunInstances", T0, arn=f"arn:aws:iam::1:user/{name}", key=name,
             response=started(INSTANCE, INTERFACE, HOST)),
        call("h2", "CreateUser", T0 - 60, arn=MAKER, request={"userName": name}),
    ]  # fmt: skip
    trace = attribution.trace(small(tmp_path, events, inventory()), HOST)
    assert steps(trace, "principal", "access key", "origin") == [
        ("principal", f"arn:aws:iam::1:user/{name}", "h1"), ("access key", name, "h1"),
        ("origin", MAKER, "h2"),
    ]  # fmt: skip


def test_an_address_of_two_interfaces_names_both(tmp_path: Path) -> None:
    twice = [*inventory(), interface(HOST, "zz-other")]
    trace = attribution.trace(small(tmp_path, calls(), twice), HOST)
    assert "the address also stands at eni-zz-other" in trace["what"].iloc[1]


def test_each_finding_names_who_held_the_address_at_its_hour(tmp_path: Path) -> None:
    """One address, three instances: known by logs and calls, by calls, by the inventory."""
    pools = ["203.0.113.50", "203.0.113.51", "203.0.113.52"]
    names = [("eni-one", "i-0aaaa0001"), ("eni-two", "i-0bbbb0002"), ("eni-three", "i-0cccc0003")]
    hours = [0, 5, 10]
    records = [
        record
        for pool, (eni, _), hour in zip(pools, names, hours, strict=True)
        for record in talk(HOST, pool, 3333, T0 + hour * HOUR, seconds=3 * HOUR, out=60_000,
                           back=80_000, interface_id=eni, source_port=40_000 + hour)
    ]  # fmt: skip
    ends = [
        call(f"t{hour}", "TerminateInstances", T0 + (hour + 4) * HOUR,
             request={"instancesSet": {"items": [{"instanceId": instance}]}})
        for hour, (_, instance) in zip(hours[:2], names[:2], strict=True)
    ]  # fmt: skip
    ran = call("r1", "RunInstances", T0 + 5 * HOUR - 60, response=started(*names[1][::-1], HOST))
    first = call("r0", "RunInstances", T0 - 60, arn=MAKER, response=started(*names[0][::-1], HOST))
    attached = {"InstanceId": names[2][1], "AttachTime": stamp(T0 + 9 * HOUR)}
    case = make_case(
        tmp_path, records, json_lines=[first, ran, *ends],
        interfaces=[interface(HOST, "three", Attachment=attached)],
        indicators="indicator,kind\n" + "".join(f"{pool},mining\n" for pool in pools),
    )  # fmt: skip
    findings = detect.run(case, only=["contact"])
    assert sorted(findings["peer"]) == pools
    found = {
        peer: attribution.summary(trace)
        for subject, trace, mine in attribution.traces(case, findings)
        for peer in mine["peer"]
        if subject == HOST
    }
    assert {pool: (one["interface"], one["instance"]) for pool, one in found.items()} == dict(
        zip(pools, names, strict=True)
    )
    assert [found[pool]["start"] for pool in pools] == ["r0", "r1", None]
    assert [found[pool]["principal"] for pool in pools] == [MAKER, ROGUE, None]
    signs = timeline.indicators(case, findings)
    assert set(signs.loc[signs["type"] == "instance", "indicator"]) == {i for _, i in names}
    again = report.write(case, tmp_path / "r.html").read_text()
    assert all(instance in again for _, instance in names)
