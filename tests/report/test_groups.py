"""Sections of finding groups: hosts, principals, common external addresses, and their parts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from flowbench import detect
from flowbench.case import Case
from flowbench.detect import Findings
from flowbench.investigate import attribution, graph, timeline
from flowbench.report.groups import GroupSection, Sources, describe_groups
from tests.incident_case import (
    DATABASE,
    EXIT,
    HOST,
    INSTANCE,
    KEY,
    POOL,
    api_event,
    make_incident_case,
)
from tests.traffic import T0, connect, make_case


def describe(case: Case, findings: Findings) -> tuple[list[GroupSection], list[str]]:
    sources = Sources(
        findings,
        attribution.trace_subjects(case, findings.at_least("high")),
        graph.communication(case),
        timeline.build(case, findings=findings),
        timeline.collect_indicators(case, findings),
        detect.link_groups(case, findings),
    )
    return describe_groups(case, sources)


def test_a_host(tmp_path: Path) -> None:
    case = make_incident_case(tmp_path)
    (group,), more = describe(case, detect.run(case, keep=False))
    assert (group.subject, group.kind, group.severity, more) == (HOST, "Host", "high", [])
    assert [subject.subject for subject in group.subjects] == [HOST]
    assert {row["indicator"] for row in group.to_block} >= {POOL, EXIT}
    assert {row["indicator"] for row in group.own_assets} >= {HOST, INSTANCE, KEY}
    rows = [*group.rows.shown, *group.rows.folded]
    activities = {row["activity"] for row in rows}
    assert {"RunInstances", "StopInstances", "Crypto-mining traffic", "DNS query"} <= activities
    assert "CreateUser" not in activities  # about the creator's user, not about the host


def test_a_principal_without_any_host(tmp_path: Path) -> None:
    attached = {"userName": "mallory", "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}
    events = [
        api_event("e1", "CreateUser", T0, request={"userName": "mallory"}),
        api_event("e2", "AttachUserPolicy", T0 + 60, request=attached),
    ]
    case = make_case(tmp_path, [], json_lines=events)
    (group,), _ = describe(case, detect.run(case, only=["api-abuse"], keep=False))
    assert (group.subject, group.kind) == ("eve", "Principal")
    (subject,) = group.subjects
    assert dict(subject.facts)["access keys"] == KEY
    assert any("created mallory" in sentence for sentence in subject.sentences)
    assert (len(subject.figures), subject.names) == (1, ("eve", KEY))
    assert [row["activity"] for row in group.rows.shown if row["data_source"] == "CloudTrail"] == [
        "CreateUser", "AttachUserPolicy",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Case:
    hosts = [f"10.0.0.{n}" for n in range(5, 9)]
    records = [record for host in hosts for record in connect(host, POOL, 443, T0)]
    others = [f"192.0.2.{n}" for n in range(1, 8)]
    for n, peer in enumerate(others):
        records += connect(f"10.0.1.{n}", peer, 443, T0)
    text = "indicator,kind\n" + "".join(f"{peer},c2\n" for peer in [POOL, *others])
    return make_case(tmp_path_factory.mktemp("campaign"), records, indicators=text)


def test_a_common_external_address_and_more_groups(campaign: Case) -> None:
    found = detect.run(campaign, only=["contact"], keep=False)
    severe = Findings([replace(finding, severity="high") for finding in found])
    groups, more = describe(campaign, severe)
    assert (len(groups), len(more)) == (5, 3)
    peer = next(group for group in groups if group.subject == POOL)
    assert (peer.kind, len(peer.findings)) == ("External address", 4)
    (subject,) = peer.subjects
    assert dict(subject.facts)["hosts"] == "10.0.0.5, 10.0.0.6, 10.0.0.7 and 10.0.0.8"
    assert len(subject.figures) == 1
    assert [row["indicator"] for row in peer.to_block] == [POOL]


def test_no_severe_finding_is_no_group(campaign: Case) -> None:
    assert describe(campaign, Findings()) == ([], [])


def test_a_host_that_no_record_names(campaign: Case) -> None:
    (finding, *_) = detect.run(campaign, only=["contact"], keep=False)
    absent = replace(finding, subject=DATABASE, severity="high", detector="x", peer=None, peers=())
    (group,), _ = describe(campaign, Findings([absent]))
    assert [subject.subject for subject in group.subjects] == [DATABASE]
    assert len(group.subjects[0].figures) == 1  # the chain alone
