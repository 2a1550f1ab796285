"""GuardDuty findings beside the records that they speak of, and beside findings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from flowbench import corroborate
from flowbench.detect import Findings
from tests.detect.examples import example_finding
from tests.incident_case import api_event
from tests.investigate.alert_cases import (
    CALLER,
    FIRST,
    HOST,
    HOUR,
    INSTANCE,
    KEY,
    OTHER,
    PEER,
    access_key,
    alert,
    alert_case,
    api_call,
    connection,
    dns_request,
    judge,
    query,
    silence,
    traffic,
)
from tests.traffic import T0

HOSTILE = "=cmd()|<script>\x1b[31m"


def test_a_connection_is_confirmed_with_its_first_record(tmp_path: Path) -> None:
    case = alert_case(tmp_path, [*silence(), *traffic()], alert(action=connection()))
    finding = example_finding([PEER], subject=HOST)
    other = example_finding([OTHER], subject=HOST)
    (row,) = judge(case, Findings([finding, other]))
    assert (row["verdict"], row["records"], row["data_source"]) == ("confirmed", 2, "flow logs")
    assert (row["host"], row["peer"], row["severity"]) == (INSTANCE, PEER, "high")
    assert row["reason"] == f"2 flow records of {INSTANCE} and {PEER} on 443/tcp (https)."
    assert row["finding_ids"] == [finding.finding_id]
    lines = (tmp_path / "evidence" / row["file"]).read_text().splitlines()
    assert lines[row["line"] - 1].split()[3] == HOST
    assert PEER in lines[row["line"] - 1]
    assert row["first_seen"] == pd.Timestamp(FIRST + 600, unit="s", tz="UTC")


RESTS_ON = {
    "Impact:Runtime/CryptoMinerExecuted": "the agent of Runtime Monitoring",
    "PrivilegeEscalation:Kubernetes/PrivilegedContainer": "EKS audit logs",
    "Execution:EC2/MaliciousFile": "scans of files",
    "Object:S3/MaliciousFile": "scans of files",
    "Backdoor:Lambda/C&CActivity.B": "Lambda's own network logs",
    "CredentialAccess:RDS/MaliciousIPCaller.SuccessfulLogin": "login activity of databases",
    "AttackSequence:EKS/CompromisedCluster": "several kinds of logs",
    "New:Thing/Unknown": "what New:Thing types of GuardDuty report",
}


def test_what_no_log_of_the_case_shows(tmp_path: Path) -> None:
    given = [alert(type_, identifier=f"a{number}") for number, type_ in enumerate(RESTS_ON)]
    rows = judge(alert_case(tmp_path, [*silence(), *traffic()], *given))
    assert [row["type"] for row in rows] == list(RESTS_ON)
    for row in rows:
        assert (row["verdict"], row["data_source"]) == ("not observable", None)
        assert row["reason"].startswith(f"It rests on {RESTS_ON[row['type']]}")


def test_a_sample_finding_is_marked(tmp_path: Path) -> None:
    sample = alert(action=connection(), additionalInfo={"sample": True})
    (row,) = judge(alert_case(tmp_path, [*silence(), *traffic()], sample))
    assert (row["sample"], row["verdict"], row["records"]) == (True, "not observable", 0)
    assert "sample finding" in row["reason"]


DOMAIN_ALERT = alert("Trojan:EC2/DropPoint!DNS", action=dns_request("pool.example"))


@pytest.mark.parametrize(
    ("queries", "verdict", "reason"),
    [
        ([query("eu.pool.example", FIRST)], "confirmed", f"1 DNS query of {INSTANCE} and pool"),
        ([query("xpool.example", FIRST)], "not seen", "None of 1 logged query of"),
        ([query("pool.example", T0)], "not observable", "The DNS query logs cover"),
        (
            [query("a.example", T0), query("b.example", T0 + 9 * HOUR)],
            "not observable",
            f"No DNS query of {INSTANCE} is logged",
        ),
        ([], "not observable", "The case has no DNS query logs."),
    ],
)
def test_domains_are_looked_for_in_dns_logs(
    tmp_path: Path, queries: list, verdict: str, reason: str
) -> None:
    case = alert_case(tmp_path, [*silence(), *traffic()], DOMAIN_ALERT, more=queries)
    finding = example_finding([PEER], subject=HOST)
    (row,) = judge(case, Findings([finding]))
    assert (row["verdict"], row["peer"], row["data_source"]) == (verdict, "pool.example", "DNS")
    assert row["reason"].startswith(reason)
    # By the address that the domain resolved to.
    assert row["finding_ids"] == ([finding.finding_id] if verdict == "confirmed" else [])


KEY_ALERT = alert(
    "UnauthorizedAccess:IAMUser/TorIPCaller", action=api_call(), resource=access_key()
)


@pytest.mark.parametrize(
    ("events", "verdict", "reason"),
    [
        (
            [api_event("e1", "ListBuckets", FIRST, key=KEY, error="AccessDenied")],
            "confirmed",
            f"1 API event of eve and {CALLER} with the call ListBuckets, 1 of them failed.",
        ),
        (
            [api_event("e1", "GetUser", FIRST, key=KEY)],
            "not seen",
            f"1 API event of eve and {CALLER} in this period, none of them with the call",
        ),
        (
            [
                api_event("e1", "ListBuckets", FIRST, key=KEY, ip="192.0.2.1"),
                api_event("e2", "ListBuckets", FIRST, key="K2", arn="arn:aws:iam::1:user/ada"),
            ],
            "not seen",
            f"CloudTrail has no event of eve from {CALLER} in this period.",
        ),
        ([api_event("e1", "ListBuckets", T0)], "not observable", "The CloudTrail events cover"),
        ([], "not observable", "The case has no CloudTrail events."),
    ],
)
def test_callers_are_looked_for_in_cloudtrail(
    tmp_path: Path, events: list, verdict: str, reason: str
) -> None:
    case = alert_case(tmp_path, silence(), KEY_ALERT, more=events)
    finding = example_finding([CALLER], subject="eve")
    (row,) = judge(case, Findings([finding]))
    assert (row["verdict"], row["host"], row["data_source"]) == (verdict, "eve", "CloudTrail")
    assert row["reason"].startswith(reason)
    assert row["finding_ids"] == [finding.finding_id]


def test_the_parts_of_an_attack_sequence_are_judged(tmp_path: Path) -> None:
    sequence = {
        "uid": "s1",
        "actors": [{"user": {"name": "eve", "credentialUid": KEY}}],
        "endpoints": [{"ip": PEER, "port": 443}, {"ip": OTHER}, {"domain": "pool.example"}],
        "resources": [{"uid": f"arn:aws:ec2:us-east-1:1:instance/{INSTANCE}"}],
        "signals": [
            {"name": "Backdoor:EC2/C&CActivity.B", "type": "FINDING"},
            {"type": "DNS_LOGS"},
        ],
    }
    given = alert(
        "AttackSequence:EC2/CompromisedInstanceGroup",
        resource={"resourceType": "AttackSequence"},
        detection={"sequence": sequence},
    )
    events = [api_event("e1", "GetUser", FIRST, key=KEY)]
    case = alert_case(tmp_path, [*silence(), *traffic()], given, more=events)
    rows = judge(case)
    assert [(r["data_source"], r["peer"], r["verdict"]) for r in rows] == [
        ("flow logs", PEER, "confirmed"),
        ("flow logs", OTHER, "contradicted"),
        ("DNS", "pool.example", "not observable"),
        ("CloudTrail", None, "confirmed"),
    ]
    assert rows[3]["host"] == "eve"
    (kept,) = case.alerts.to_pyarrow().to_pylist()
    assert kept["signals"] == ["Backdoor:EC2/C&CActivity.B"]
    assert kept["signal_types"] == ["FINDING", "DNS_LOGS"]
    assert kept["resources"] == [f"arn:aws:ec2:us-east-1:1:instance/{INSTANCE}"]


def test_hostile_values_stay_values(tmp_path: Path) -> None:
    given = alert(HOSTILE, action=dns_request("a" * 300), identifier=HOSTILE)
    (row,) = judge(alert_case(tmp_path, silence(), given))
    assert (row["alert_id"], row["type"]) == (HOSTILE, HOSTILE)


def test_findings_that_no_alert_mentions(tmp_path: Path) -> None:
    records = [*silence(), *traffic(), *traffic("10.0.0.9")]
    case = alert_case(tmp_path, records, alert(action=connection()))
    known = example_finding([PEER], subject=HOST)
    unknown = example_finding([OTHER], subject=HOST, title="Indicator match (tor)")
    near = example_finding(["10.0.0.9"], subject=HOST, score=0.1)
    near = replace(near, detector="beacon", title="Beaconing", finding_id="beacon-near")
    far = replace(unknown, detector="beacon", title="Beaconing", finding_id="beacon-far", score=0.2)
    low = example_finding(["203.0.113.52"], subject=HOST, severity="low")
    rows = corroborate.unreported(case, Findings([known, unknown, low, near, far]))
    assert list(rows.columns) == corroborate.UNREPORTED.columns
    assert rows["finding_id"].tolist() == [unknown.finding_id, "beacon-far", "beacon-near"]
    types = ["UnauthorizedAccess:EC2/TorClient", "Backdoor:EC2/C&CActivity.B", None]
    assert (
        rows["guardduty_type"].astype(object).where(rows["guardduty_type"].notna(), None).tolist()
        == types
    )
    assert "Tor guard" in rows["reason"][0]
