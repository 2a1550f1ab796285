"""API events: their description, and who created and used a principal."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowbench.case import Case
from flowbench.investigate.api_events import (
    ApiEvent,
    keep_events,
    read_callers,
    read_events,
)
from tests.incident_case import (
    CALLER,
    HOST,
    INSTANCE,
    ROGUE,
    api_event,
    make_incident_case,
)
from tests.traffic import T0, connect, make_case


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_incident_case(tmp_path_factory.mktemp("events") / "incident")


def by_id(case: Case, event_id: str) -> ApiEvent:
    (event,) = read_events(case.api_events.filter(case.api_events.event_id == event_id))
    return event


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


def test_events_are_kept_by_file_line_and_item(case: Case) -> None:
    table = case.api_events
    kept = keep_events(table, table.filter(table.event_id.isin(["e3", "e5"])))
    assert [event.event_id for event in read_events(kept)] == ["e3", "e5"]


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
