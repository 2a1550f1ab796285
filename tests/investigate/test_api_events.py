"""API events: their description, and who created and used a principal."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowbench.case import Case
from flowbench.investigate.api_events import (
    ApiEvent,
    events_of_principals,
    find_activity,
    find_origins,
    read_callers,
    read_events,
)
from tests.incident_case import (
    CALLER,
    HOST,
    INSTANCE,
    KEY,
    ROGUE,
    api_event,
    make_api_events,
    make_incident_case,
)
from tests.traffic import T0, connect, make_case


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_incident_case(tmp_path_factory.mktemp("events") / "incident")


def by_id(case: Case, event_id: str) -> ApiEvent:
    (event,) = read_events(case.api_events.filter(case.api_events.event_id == event_id))
    return event


def test_events_by_principal_or_key_in_order_of_time(case: Case) -> None:
    by_arn = events_of_principals(case, [ROGUE], [])
    assert [event.event_id for event in by_arn] == ["e3", "e4", "e5", "e6"]
    assert events_of_principals(case, [], [KEY]) == by_arn
    assert events_of_principals(case, [], []) == []


def test_descriptions(case: Case) -> None:
    event = by_id(case, "e5")
    assert event.describe().startswith(f"eve called RunInstances on {INSTANCE}, eni-miner from ")
    many = event._replace(instance_ids=list("abcde"), interface_ids=None, source_ip=CALLER)
    assert many.describe() == f"eve called RunInstances on a, b, c and 2 more from {CALLER}."
    unknown = many._replace(principal_name=None, principal_arn=None, principal_type=None)
    assert unknown.caller == "unknown"
    assert by_id(case, "e6").describe().endswith(f"from {CALLER}: failed (AccessDenied).")


def test_the_key_and_status_of_an_updated_access_key_are_named(tmp_path: Path) -> None:
    request = {"userName": "eve", "accessKeyId": "AKIA1", "status": "Inactive"}
    event = api_event("u1", "UpdateAccessKey", T0, arn=ROGUE, request=request)
    (read,) = read_events(
        make_case(tmp_path, connect(HOST, "10.0.0.9", 443, T0), json_lines=[event]).api_events
    )
    assert read.describe().startswith(
        "eve called UpdateAccessKey (access key AKIA1, status Inactive) for user eve from "
    )


def test_origins_are_the_calls_of_others(case: Case) -> None:
    creation = by_id(case, "e5")
    origins = find_origins(case, creation)
    assert [event.event_id for event in origins] == ["e1", "e2"]
    other_account = creation._replace(account_id="999999999999", access_key_id=None)
    assert find_origins(case, other_account) == []
    activity = find_activity(case, creation, origins)
    assert [event.event_id for event in activity] == ["e3", "e4", "e5", "e6"]


def test_keys_that_issue_each_other_end_the_search(tmp_path: Path) -> None:
    events = make_api_events()
    for event, key in ((events[3], "AKIAEXAMPLETWO"), (events[4], KEY)):
        event["responseElements"] = {"accessKey": {"accessKeyId": key}}
    events[4]["userIdentity"] = events[4]["userIdentity"] | {"accessKeyId": "AKIAEXAMPLETWO"}
    case = make_case(tmp_path, connect(HOST, "203.0.113.9", 443, T0), json_lines=events)
    activity = find_activity(case, by_id(case, "e5"), [])
    assert {event.event_id for event in activity} == {"e3", "e4", "e5", "e6"}


def test_the_callers_of_addresses_in_flow_logs(tmp_path: Path) -> None:
    ada = "arn:aws:iam::111122223333:user/a\x1bda"
    events = [
        api_event("e1", "X", T0 + 60),
        api_event("e2", "X", T0, arn=ada),
        api_event("e3", "X", T0, ip="192.0.2.99"),  # in no flow log
    ]
    records = connect("192.0.2.66", "10.0.0.5", 22, T0)
    case = make_case(tmp_path, records, json_lines=events)
    assert read_callers(case) == {"192.0.2.66": "a\\x1bda, eve"}
