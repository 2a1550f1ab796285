"""API abuse: what a finding states, how severe it is, and that ordinary API activity is silent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flowbench import detect, report
from flowbench.case import Case
from flowbench.detect.detectors import api_abuse
from flowbench.investigate import timeline
from tests.detect.detectors.test_service_abuse import DAY, HOUR, call
from tests.traffic import make_case

OFFICE, ELSEWHERE = "198.51.100.7", "203.0.113.66"
DENIED = {"errorCode": "AccessDenied"}


def create(at: float, source: str = OFFICE, user: str = "eve", **more: Any) -> dict[str, Any]:
    request = {"requestParameters": {"userName": user}}
    return call("mira", source, at, "CreateUser", service="iam", **(request | more))


def stop(at: float, who: str = "mira", source: str = OFFICE, **more: Any) -> dict[str, Any]:
    request = {"requestParameters": {"name": "trail-1"}}
    return call(who, source, at, "StopLogging", service="cloudtrail", **(request | more))


def work(source: str = OFFICE) -> list[dict[str, Any]]:
    """Two days of ordinary calls."""
    return [call("mira", source, n * HOUR, "DescribeInstances", service="ec2") for n in range(49)]


def run(case: Case) -> dict[str, detect.Finding]:
    return {finding.title: finding for finding in detect.run(case, only=["api-abuse"])}


def test_a_finding_states_who_did_what_from_where_when(tmp_path: Path) -> None:
    calls = [create(60), create(120, user="bob", source="2001:db8::7"), create(180, **DENIED)]
    case = make_case(tmp_path, [], json_lines=calls)
    (finding,) = run(case).values()
    assert (finding.title, finding.technique) == ("Persistence: CreateUser", "T1136.003")
    assert (finding.subject, finding.severity) == ("mira", "medium")
    assert finding.peers == (OFFICE, "2001:db8::7")
    assert finding.summary == (
        f"mira called CreateUser 3x from {OFFICE}, 2001:db8::7 between 2026-09-01 00:01 and"
        " 2026-09-01 00:03 UTC: eve, bob. 1 of 3 failed (AccessDenied)."
    )
    assert finding.scores == {"succeeded": 0.667, "new_principal": 0}
    assert finding.caveats.startswith("Possible benign explanation: An administrator")
    events = case.evidence_for(finding)
    assert events["item"].tolist() == [1, 2, 3]
    assert (set(events["kind"]), set(events["file"])) == ({"cloudtrail"}, {"other.jsonl"})


@pytest.mark.parametrize(
    ("calls", "title", "severity"),
    [
        ([create(60)], "Persistence: CreateUser", "medium"),
        ([create(60, **DENIED)], "Persistence: CreateUser", "low"),
        ([*work(), create(DAY, ELSEWHERE)], "Persistence: CreateUser", "high"),
        ([*work(), create(DAY, ELSEWHERE, **DENIED)], "Persistence: CreateUser", "medium"),
        ([stop(60)], "Defense evasion: StopLogging", "high"),
        ([stop(60, **DENIED)], "Defense evasion: StopLogging", "medium"),
        ([create(0), stop(60, "eve", ELSEWHERE)], "Defense evasion: StopLogging", "high"),
        (
            [call("mira", OFFICE, 0, "LeaveOrganization", service="organizations", **DENIED)],
            "Defense evasion: LeaveOrganization",
            "high",
        ),
    ],
)
def test_severity_by_outcome_and_principal(
    tmp_path: Path, calls: list[dict[str, Any]], title: str, severity: str
) -> None:
    assert run(make_case(tmp_path, [], json_lines=calls))[title].severity == severity


def test_a_change_of_format_is_low(tmp_path: Path) -> None:
    names = ("DeleteFlowLogs", "CreateFlowLogs")
    calls = [call("mira", OFFICE, at, name, service="ec2") for at, name in enumerate(names)]
    (finding,) = run(make_case(tmp_path, [], json_lines=calls)).values()
    assert (finding.title, finding.severity) == ("Defense evasion: DeleteFlowLogs", "low")
    assert "The same principal called CreateFlowLogs at 2026-09-01 00:00 UTC." in finding.summary


def test_a_new_principal_is_explained(tmp_path: Path) -> None:
    calls = [*work(), create(DAY), stop(DAY + HOUR, "eve", ELSEWHERE), stop(DAY, source=ELSEWHERE)]
    findings = detect.run(make_case(tmp_path, [], json_lines=calls), only=["api-abuse"])
    by_subject = {f.subject: f for f in findings if "StopLogging" in f.title}
    assert "The user was created by mira at 2026-09-02 00:00 UTC." in by_subject["eve"].summary
    assert f"first recorded call from the network of {ELSEWHERE} was at 2026-09-02 00:00 UTC." in (
        by_subject["mira"].summary
    )


def test_the_id_survives_added_evidence(tmp_path: Path) -> None:
    few = run(make_case(tmp_path / "1", [], json_lines=[create(60)]))
    more = [create(60), create(3 * HOUR, ELSEWHERE, "bob", **DENIED)]
    many = run(make_case(tmp_path / "2", [], json_lines=more))
    title = "Persistence: CreateUser"
    assert few[title].finding_id == many[title].finding_id


def test_principals_of_one_name_have_findings_of_their_own(tmp_path: Path) -> None:
    arn = "arn:aws:iam::444455556666:user/ops"
    other = {"userIdentity": {"type": "IAMUser", "userName": "ops", "arn": arn}}
    elsewhere = {"recipientAccountId": "444455556666"}  # a call in another account
    calls = [
        *(stop(60, "ops"), stop(90, "ops/session"), stop(100, "ops", **elsewhere)),
        stop(120, "ops", **other),
    ]
    found = list(detect.run(make_case(tmp_path, [], json_lines=calls), only=["api-abuse"]))
    assert sorted(finding.subject for finding in found) == [
        "ops (account 111122223333)",
        "ops (account 111122223333)",
        "ops (account 444455556666)",
    ]
    assert len({finding.finding_id for finding in found}) == 3


def test_the_first_use_of_a_region(tmp_path: Path) -> None:
    there = {"awsRegion": "ap-south-2", "readOnly": False}
    calls = [*work(), call("mira", OFFICE, DAY, "CreateVpc", service="ec2", **there)]
    case = make_case(tmp_path, [], json_lines=calls)
    (finding,) = run(case).values()
    assert (finding.title, finding.technique, finding.severity) == (
        "Defense evasion: first use of ap-south-2",
        "T1535",
        "low",
    )
    assert len(case.evidence_for(finding)) == 1


def test_ordinary_activity_is_silent(tmp_path: Path) -> None:
    open_port = {"ipProtocol": "tcp", "fromPort": 8080, "toPort": 8080, "cidrIp": "10.0.0.0/16"}
    launch = {"instanceType": "t3.medium", "instancesSet": {"items": [{"maxCount": 1}]}}
    sign_in = {"additionalEventData": {"MFAUsed": "Yes"}}
    calls = work()
    for day in range(2):
        at = day * DAY + HOUR
        calls += [
            call("mira", OFFICE, at, "ConsoleLogin", service="signin", **sign_in),
            call(
                "deploy/pipeline",
                ELSEWHERE,
                at,
                "AuthorizeSecurityGroupIngress",
                service="ec2",
                requestParameters=open_port,
            ),
            call(
                "deploy/pipeline",
                ELSEWHERE,
                at,
                "RunInstances",
                service="ec2",
                requestParameters=launch,
            ),
        ]
        calls += [
            call(
                f"web/i-0aaaa111{n}",
                ELSEWHERE,
                at + n,
                "GetSecretValue",
                service="secretsmanager",
                requestParameters={"secretId": "db"},
            )
            for n in range(9)
        ]
    assert run(make_case(tmp_path, [], json_lines=calls)) == {}


def test_hostile_names_are_escaped(tmp_path: Path) -> None:
    name = "x\x1b[31m'; DROP TABLE api_events --"
    findings = run(make_case(tmp_path, [], json_lines=[stop(0, name), create(0, user=name)]))
    finding = findings["Defense evasion: StopLogging"]
    assert r"x\x1b[31m" in findings["Persistence: CreateUser"].summary
    assert "\x1b" not in finding.summary
    assert finding.subject == name


def test_cloudtrail_alone_works_whole(tmp_path: Path) -> None:
    case = make_case(tmp_path, [], json_lines=[stop(60), create(90)])
    findings = detect.run(case)
    assert {f.detector for f in findings} == {"api-abuse", "blind-spot"}
    assert all(len(case.evidence_for(finding)) == 1 for finding in findings)
    assert OFFICE in set(timeline.collect_indicators(case, findings)["indicator"])
    page = report.write(case, tmp_path / "report.html", findings).read_text(encoding="utf-8")
    assert "Defense evasion: StopLogging" in page
    assert "mira-StopLogging-60-0" in page


def test_a_case_without_api_events_does_not_run_it(tmp_path: Path) -> None:
    rows = detect.plan(Case.create(tmp_path / "case")).set_index("detector")
    assert rows.loc[api_abuse.DETECTOR.id, "reason"] == "not run: the case has no api_events"
