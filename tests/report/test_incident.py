"""The first screen: what happened, severity, confidence, scope and actions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from flowbench import detect
from flowbench.case import Case
from flowbench.detect import LINKS, Findings
from flowbench.investigate import attribution
from flowbench.report.incident import Incident, summarize_incident
from tests.incident_case import HOST, INSTANCE, KEY, POOL, api_event, make_incident_case
from tests.traffic import T0, connect, make_case


def summarize(case: Case, findings: Findings | None = None) -> Incident | None:
    findings = detect.run(case, keep=False) if findings is None else findings
    traces = attribution.trace_subjects(case, findings.at_least("high"))
    return summarize_incident(case, findings, traces, LINKS.frame([]))


@pytest.fixture(scope="module")
def incident(tmp_path_factory: pytest.TempPathFactory) -> Incident:
    found = summarize(make_incident_case(tmp_path_factory.mktemp("incident") / "case"))
    assert found is not None
    return found


def test_severity_confidence_and_sources(incident: Incident) -> None:
    assert incident.severity == "high"
    assert incident.confidence == "medium"  # a match with an indicator list is no further source
    assert list(incident.sources) == ["flow logs", "DNS logs"]
    assert dict(incident.scope)["hosts"] == HOST


def test_containment_and_actions(incident: Incident) -> None:
    assert incident.containment.status == "unknown"  # the instance was stopped, no key disabled
    assert KEY in incident.containment.remaining
    titles = [action.what for action in incident.actions]
    assert titles[0] == f"Disable access key {KEY} of eve"
    assert titles[2] == f"Preserve the disks of {INSTANCE}"  # after the key of eve's creator
    assert f"access key {KEY} of eve" in incident.remaining
    assert any(title.startswith("Block ") and POOL in title for title in titles)


def test_one_data_source_gives_low_confidence(tmp_path: Path) -> None:
    mining = connect(HOST, POOL, 3333, T0, seconds=40 * 3600, out=950_000, back=1_100_000)
    case = make_case(tmp_path, mining)
    found = detect.run(case, only=["mining"], keep=False)
    (finding,) = found
    incident = summarize(case, Findings([replace(finding, severity="high")]))
    assert incident is not None
    assert (incident.confidence, list(incident.sources)) == ("low", ["flow logs"])
    assert incident.containment.status == "not contained"


def test_what_the_same_host_sent_is_told_also_where_it_is_less_severe(tmp_path: Path) -> None:
    """Its peers are to be checked, and it may go on after what is severe has ended."""
    mining = connect(HOST, POOL, 3333, T0, seconds=20 * 3600, out=475_000, back=550_000)
    other = connect(HOST, "198.51.100.7", 3333, T0, seconds=40 * 3600, out=950_000, back=1_100_000)
    case = make_case(tmp_path, [*mining, *other])
    found = detect.run(case, only=["mining"], keep=False)
    severities = {POOL: "high", "198.51.100.7": "medium"}
    found = Findings(replace(each, severity=severities[each.peer or ""]) for each in found)
    incident = summarize(case, found)
    assert incident is not None
    assert incident.last_seen[0].startswith("Last connection 2026-09-02 16:00 UTC")
    actions = [action.what for action in incident.actions]
    assert actions[-2:] == [f"Block {POOL}", "Check 198.51.100.7"]
    assert "198.51.100.7" in incident.happened[0][1]


def test_a_case_of_cloudtrail_alone(tmp_path: Path) -> None:
    """A stolen key: no host, no flow log."""
    policy = "arn:aws:iam::aws:policy/AdministratorAccess"
    attached = {"userName": "mallory", "policyArn": policy}
    events = [
        api_event("e1", "CreateUser", T0, request={"userName": "mallory"}),
        api_event("e2", "AttachUserPolicy", T0 + 60, request=attached),
        api_event("e3", "StopLogging", T0 + 90, request={"name": "main"}),
    ]
    case = Case.create(tmp_path / "case")
    (tmp_path / "trail.json").write_text(json.dumps({"Records": events}))
    case.ingest(tmp_path / "trail.json")
    incident = summarize(case)
    assert incident is not None
    assert list(incident.sources) == ["CloudTrail"]
    assert dict(incident.scope)["principals"] == "eve"
    ((_, sentence),) = incident.happened
    assert sentence == (
        "The credentials of eve were used from 192.0.2.66 to attach a policy to mallory and"
        " stop trail main (AttachUserPolicy, StopLogging). Policy AdministratorAccess of mallory"
        " allows all actions of all AWS services."
    )
    assert incident.outbound == "unknown: the case has no flow logs"
    assert incident.last_seen[0].startswith("Last API call from the external addresses 2026-09-01")
    assert incident.containment.status == "unknown"
    assert f"Disable access key {KEY} of eve and issue another" in [
        action.what for action in incident.actions
    ]


def test_no_severe_finding_is_no_incident(tmp_path: Path) -> None:
    assert summarize(make_case(tmp_path, connect(HOST, POOL, 443, T0)), Findings()) is None
