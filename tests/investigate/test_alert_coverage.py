"""Why the logs have no record of what a GuardDuty finding claims."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flowbench.case import Case
from tests.incident_case import api_event
from tests.investigate.alert_cases import (
    FIRST,
    HOUR,
    INSTANCE,
    INTERFACE,
    LAST,
    OTHER,
    PEER,
    access_key,
    alert,
    alert_case,
    api_call,
    connection,
    judge,
    silence,
    traffic,
)
from tests.traffic import T0, connect


def test_without_a_record_at_a_logged_interface_it_is_contradicted(tmp_path: Path) -> None:
    early = traffic(at=T0)  # before the period of the alert
    case = alert_case(tmp_path, [*silence(), *early], alert(action=connection()))
    (row,) = judge(case)
    assert (row["verdict"], row["records"], row["file"]) == ("contradicted", 0, None)
    assert row["reason"].startswith(f"{INTERFACE} was logged without a gap 2026-09-01 01:59 to")
    assert row["reason"].endswith(f"without a record of {PEER}.")


GAP = [*silence(last=FIRST), *silence(first=LAST)]
LOST = [
    *silence(last=FIRST),
    *silence(FIRST, FIRST + 600, status="SKIPDATA"),
    *silence(FIRST + 600),
]


@pytest.mark.parametrize(
    ("records", "changes", "verdict", "reason"),
    [
        (traffic(OTHER), {}, "not seen", "too few to show that none is missing"),
        (silence(), {"first": T0 - 9 * HOUR, "last": T0 - 8 * HOUR}, "not observable", "cover"),
        (silence(), {"first": T0 + 5 * HOUR, "last": T0 + 9 * HOUR}, "not seen", "cover only"),
        (GAP, {}, "not observable", f"The logs of {INTERFACE} have a gap, 2026-09-01 01:59 to"),
        (LOST, {}, "not observable", f"AWS lost records of {INTERFACE} (SKIPDATA), 2026-09-01"),
    ],
)
def test_why_nothing_was_seen(
    tmp_path: Path, records: list, changes: dict, verdict: str, reason: str
) -> None:
    case = alert_case(tmp_path, records, alert(action=connection(), **changes))
    (row,) = judge(case)
    assert row["verdict"] == verdict
    assert reason in row["reason"]


def test_an_interface_without_records_is_not_observable(tmp_path: Path) -> None:
    logged = connect("10.0.0.9", OTHER, 443, FIRST, interface_id="eni-other")
    (row,) = judge(alert_case(tmp_path, logged, alert(action=connection())))
    expected = ("not observable", f"{INTERFACE} is not logged: it has no record.")
    assert (row["verdict"], row["reason"]) == expected


def test_a_host_that_nothing_knows_is_not_observable(tmp_path: Path) -> None:
    logged = connect("10.0.0.9", OTHER, 443, FIRST, interface_id="eni-other")
    case = alert_case(tmp_path, logged, alert(action=connection()), interfaces=[])
    (row,) = judge(case)
    assert row["verdict"] == "not observable"
    assert row["reason"] == f"No record was made at an interface of {INSTANCE}: it is not logged."


def test_a_case_without_flow_logs(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(alert(action=connection())))
    case = Case.create(tmp_path / "case")
    assert judge(case) == []
    case.ingest(tmp_path / "a.json")
    (row,) = judge(case)
    assert (row["verdict"], row["reason"]) == ("not observable", "The case has no flow logs.")


def test_the_metadata_service_is_never_logged(tmp_path: Path) -> None:
    case = alert_case(tmp_path, silence(), alert(action=connection("169.254.169.254", 80)))
    (row,) = judge(case)
    assert row["reason"] == "Flow logs leave out traffic to 169.254.169.254."


def test_flow_logs_of_one_action_contradict_nothing(tmp_path: Path) -> None:
    settings = {
        "FlowLogs": [
            {"FlowLogId": "fl-1", "ResourceId": "vpc-1", "TrafficType": "ACCEPT", "LogStatus": "x"}
        ]
    }
    settings["FlowLogs"][0] |= {"FlowLogStatus": "ACTIVE", "LogFormat": "${version}"}
    (tmp_path / "fl.json").write_text(json.dumps(settings))
    case = alert_case(tmp_path / "x", silence(), alert(action=connection()))
    case.ingest(tmp_path / "fl.json")
    (row,) = judge(case)
    assert row["verdict"] == "not seen"
    assert "fl-1 of vpc-1 records ACCEPT only" in row["reason"]


def test_data_events_of_s3_may_not_be_in_the_trail(tmp_path: Path) -> None:
    type_ = "Exfiltration:S3/MaliciousIPCaller"
    s3 = alert(type_, action=api_call("GetObject"), resource=access_key())
    events = [api_event("e1", "RunInstances", FIRST, ip="192.0.2.1")]
    (row,) = judge(alert_case(tmp_path, silence(), s3, more=events))
    assert row["verdict"] == "not observable"
    assert "no data events of S3" in row["reason"]
