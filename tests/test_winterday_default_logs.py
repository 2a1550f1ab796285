"""Winterday in AWS's default flow logs (version 2, ten minutes): the whole story stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from flowbench import detect, plot, scenario
from flowbench.case import Case
from flowbench.detect import Findings
from flowbench.investigate import attribution, graph, timeline

DETECTORS = ["beacon", "contact", "lateral-movement", "mining", "remote-access"]


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder: Path = tmp_path_factory.mktemp("winterday-v2")
    scenario.write("winterday", folder / "winterday", version=2, window=600)
    case = Case.create(folder / "case", "Winterday")
    case.ingest(folder / "winterday" / "evidence")
    assert case.fields.isdisjoint({"tcp_flags", "flow_direction", "pkt_srcaddr"})
    return case


@pytest.fixture(scope="module")
def findings(case: Case) -> Findings:
    return detect.run(case, only=DETECTORS, keep=False)


def test_the_incident_is_detected(findings: Findings, answers) -> None:
    severe = findings.at_least("high")
    miner, pool, tor = answers["address"], answers["pool"], answers["tor"]
    session = answers["session"]
    assert {(f.detector, f.peer, f.service_port) for f in severe if f.peer} == {
        ("contact", pool["address"], pool["port"]),
        ("contact", tor["address"], tor["port"]),
        ("mining", pool["address"], pool["port"]),
        ("beacon", tor["address"], tor["port"]),
        ("remote-access", session["address"], session["port"]),
    }
    assert {f.subject for f in severe} == {miner}
    (lateral,) = severe.of("lateral-movement")
    assert lateral.connections == answers["rejected"]["connections"]
    (beacon,) = severe.of("beacon")
    assert re.search(rf"\b{answers['tor']['interval_minutes']}(\.0)? min", beacon.summary)


def test_the_operators_session_stands_by_itself(case: Case, findings: Findings, answers) -> None:
    session, miner = answers["session"], answers["address"]
    (operator,) = [f for f in findings.of("remote-access") if f.peer == session["address"]]
    assert operator.severity == "critical"
    assert (operator.first_seen - pd.Timestamp(session["first_seen"])).total_seconds() >= -600
    events = timeline.build(case, miner, findings)
    rows = events[events["activity"] == "Administrative session"]
    assert rows["actor"].tolist() == [session["address"]]
    assert rows["time"].iloc[0] < pd.Timestamp(answers["pool"]["first_seen"])
    near = graph.around(graph.communication(case), miner)
    assert near.nodes[session["address"]]["sessions"] == 1
    figure = plot.network(near)
    drawn = [text for trace in figure.data if trace.mode == "markers+text" for text in trace.text]
    assert session["address"] in drawn


def test_the_chain_leads_to_the_user(case: Case, answers) -> None:
    summary = attribution.trace(case, answers["address"]).summary()
    assert summary["principal"] == answers["user"]["arn"]
    assert summary["creation_event"] == answers["run_instances_event"]
    assert summary["source_address"] == answers["session"]["address"]
