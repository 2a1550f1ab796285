"""What a case's timeline follows: subjects, linked hosts, alerted hosts, callers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from flowbench import detect
from flowbench.case import Case
from flowbench.detect import Findings
from flowbench.detect.finding import Finding
from flowbench.investigate import timeline
from flowbench.investigate.timeline.followed import follow
from flowbench.selector import ApiEventSelector, EvidenceSelector
from tests.incident_case import api_event
from tests.traffic import T0, connect, interface, make_case

HOST, NEXT, OTHER = "10.0.0.5", "10.0.0.9", "10.0.0.7"
PEER, SOURCE, OFFICE, GATEWAY = "203.0.113.9", "192.0.2.66", "198.51.100.1", "203.0.113.1"
HOUR = 3_600


def at(seconds: float) -> pd.Timestamp:
    return pd.Timestamp(T0 + seconds, unit="s", tz="UTC")


def finding(subject: str, severity: str, **evidence: Any) -> Finding:
    times = {"first_seen": at(HOUR), "last_seen": at(2 * HOUR)}
    evidence.setdefault("peers", (PEER,))
    selector = EvidenceSelector(subject, **evidence)
    return Finding(
        finding_id=f"{subject}-{severity}",
        detector="beacon",
        title="Beaconing",
        severity=severity,
        score=0.5,
        technique="T1071",
        subject=subject,
        peer=selector.peers[0] if len(selector.peers) == 1 else None,
        peers=selector.peers,
        service_port=443,
        protocol=6,
        connections=1,
        bytes_out=1,
        bytes_in=1,
        summary="Called.",
        scores={},
        caveats="",
        evidence=selector,
        **times,
    )


def call(number: int, seconds: int, user: str, ip: str, name: str = "ListUsers") -> dict[str, Any]:
    arn = f"arn:aws:iam::111122223333:user/{user}"
    read = name == "ListUsers"
    return api_event(f"e{number}", name, T0 + seconds, arn=arn, key="AKIA1", ip=ip, read=read)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """The office and a gateway have called for days; another address began with the finding."""
    records = [
        *connect(HOST, NEXT, 22, T0 + HOUR + 60, seconds=900, out=60_000, back=200_000),
        *connect(HOST, PEER, 443, T0 + HOUR),
        *connect(NEXT, PEER, 443, T0 + HOUR + 2_000),
        *connect(OTHER, "203.0.113.77", 443, T0 + HOUR),
    ]
    events = [
        call(1, -3 * 24 * HOUR, "ada", OFFICE),
        call(2, -3 * 24 * HOUR, "bob", OFFICE),
        call(3, 0, "ada", SOURCE, "CreateUser"),
        call(4, 100, "eve", SOURCE),
        call(5, 200, "ada", OFFICE, "CreateUser"),
        call(6, 300, "bob", OFFICE),
        call(7, 400, "ada", GATEWAY, "CreateUser"),
        call(8, 500, "dan", GATEWAY),
    ]
    alert = {
        "schemaVersion": "2.0",
        "accountId": "111122223333",
        "id": "a1",
        "type": "Backdoor:EC2/C&CActivity.B",
        "severity": 8,
        "updatedAt": "2026-09-01T05:00:00Z",
        "resource": {"instanceDetails": {"networkInterfaces": [{"privateIpAddress": OTHER}]}},
        "service": {"eventFirstSeen": "2026-09-01T01:00:00Z"},
    }
    own = {"PrivateIpAddresses": [{"PrivateIpAddress": HOST, "Association": {"PublicIp": GATEWAY}}]}
    listed = [interface(HOST, "a", **own)]
    lines = [{"Records": events}, {"Findings": [alert]}]
    folder = tmp_path_factory.mktemp("followed")
    return make_case(folder, records, interfaces=listed, json_lines=lines)


def test_nothing_severe_leaves_all_findings(case: Case) -> None:
    findings = Findings([finding(HOST, "medium"), finding(NEXT, "low")])
    assert list(follow(case, findings).findings) == list(findings)


def test_linked_and_alerted_hosts_have_their_medium_findings(case: Case) -> None:
    of_host = [finding(HOST, severity) for severity in ("high", "medium", "low")]
    others = [finding(NEXT, "medium"), finding(OTHER, "medium", peers=("203.0.113.77",))]
    unrelated = finding("10.0.0.99", "medium", peers=("203.0.113.200",))
    shown = follow(case, Findings([*of_host, *others, unrelated])).findings
    assert {(f.subject, f.severity) for f in shown} == {
        (HOST, "high"),
        (HOST, "medium"),
        (NEXT, "medium"),
        (OTHER, "medium"),
    }


def followed_calls(case: Case, *event_ids: str) -> set[str]:
    selector = ApiEventSelector(event_ids=event_ids)
    severe = finding("ada", "high", peers=(), flows=False, api_events=selector)
    rows = timeline.build(case, findings=Findings([severe]))
    return set(rows.loc[rows["data_source"] == "CloudTrail", "evidence"])


def test_a_new_address_is_followed_whoever_calls_from_it(case: Case) -> None:
    assert followed_calls(case, "e3") == {"e3", "e4"}


def test_a_known_address_is_followed_for_the_principal_alone(case: Case) -> None:
    assert followed_calls(case, "e5") == {"e1", "e5"}


def test_an_own_address_is_not_followed(case: Case) -> None:
    assert followed_calls(case, "e7") == {"e7"}


def test_calls_without_an_address_name_no_callers(tmp_path: Path) -> None:
    events = [api_event("e1", "StopLogging", T0, arn="arn:aws:iam::111122223333:user/eve")]
    events[0]["sourceIPAddress"] = "cloudformation.amazonaws.com"
    case = make_case(tmp_path, connect("10.0.0.5", "203.0.113.9", 443, T0), json_lines=events)
    findings = detect.run(case, only=["api-abuse"], keep=False)
    assert [finding.subject for finding in findings.at_least("high")] == ["eve"]
    assert follow(case, findings).addresses == frozenset()
    assert "StopLogging" in set(timeline.build(case, findings=findings)["activity"])
