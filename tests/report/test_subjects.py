"""The report about hosts: facts, sentences in order of time, and figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowbench import detect
from flowbench.case import Case
from flowbench.investigate import attribution, graph
from flowbench.report.subjects import SubjectSection, describe_subject
from tests.incident_case import HOST, INSTANCE, INTERFACE, POOL, ROGUE, make_incident_case
from tests.traffic import T0, connect, make_case


def section(case: Case) -> SubjectSection:
    findings = detect.run(case, keep=False)
    (traced,) = attribution.trace_subjects(case, findings.at_least("high"))
    return describe_subject(case, traced, graph.communication(case))


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> SubjectSection:
    return section(make_incident_case(tmp_path_factory.mktemp("subjects") / "incident"))


def test_facts_are_what_the_attribution_established(host: SubjectSection) -> None:
    facts = dict(host.facts)
    assert facts["address"] == HOST
    assert facts["instance"] == INSTANCE
    assert facts["interface"] == INTERFACE
    assert facts["principal"] == ROGUE
    assert facts["created at (UTC)"] == "2026-08-31 23:01:00"
    assert host.steps[0].step == "address"


def test_it_has_the_names_that_the_timeline_uses(host: SubjectSection) -> None:
    assert host.names == (HOST, INTERFACE, INSTANCE)


def test_a_figure_of_communication_and_one_per_peer(host: SubjectSection) -> None:
    titles = [figure.layout.title.text for figure in host.figures]
    assert titles[0].startswith(f"<b>Attribution of {HOST}</b>")
    assert titles[1].startswith(f"<b>Communication of {HOST}</b>")
    assert sorted(POOL in title for title in titles[2:]) == [False, True]


def test_gaps_are_stated_without_inventory_and_cloudtrail(tmp_path: Path) -> None:
    case = make_case(
        tmp_path,
        connect(HOST, POOL, 3333, T0, seconds=7 * 3_600),
        indicators=f"indicator,kind\n{POOL},mining\n",
    )
    host = section(case)
    assert f"No inventory lists an interface with {HOST}." in host.sentences
    assert "There is no CloudTrail evidence of who created eni-a." in host.sentences
    assert "principal" not in dict(host.facts)
