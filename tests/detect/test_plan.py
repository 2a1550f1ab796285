"""Which detectors can run, and what the others lack."""

from __future__ import annotations

from pathlib import Path

from flowbench import detect
from flowbench.case import Case
from flowbench.detect.detector import Detector
from flowbench.detect.plan import missing_input
from tests.detect.detectors.common import HOST, TOR
from tests.traffic import T0, connect, make_case


def test_a_detector_that_cannot_run_has_a_reason(tmp_path: Path) -> None:
    fields = ["srcaddr", "dstaddr", "srcport", "dstport", "start", "end"]
    case = make_case(tmp_path, connect(HOST, TOR, 443, T0), fields=fields)
    plan = detect.plan(case).set_index("detector")
    assert list(plan.index) == list(detect.registered())
    assert plan.loc["beacon", "runs"]
    assert plan.loc["beacon", "reason"] == ""
    assert plan.loc["contact", "reason"] == "not run: the case has no indicators"
    assert plan.loc["lateral-movement", "reason"] == "not run: needs action"
    (finding,) = detect.run(case)
    assert finding.detector == "blind-spot"  # it reports the missing fields


def test_fields_are_named_as_aws_does(tmp_path: Path) -> None:
    case = make_case(tmp_path, connect(HOST, TOR, 443, T0), fields=["srcaddr", "dstaddr"])
    detector = Detector("x", "X", "?", "T1", frozenset({"tcp_flags", "pkt_srcaddr"}))
    assert missing_input(case, detector) == "not run: needs pkt-srcaddr, tcp-flags"


def test_a_case_without_flow_logs_has_one_reason(tmp_path: Path) -> None:
    plan = detect.plan(Case.create(tmp_path / "case"))
    reasons = plan.loc[~plan["runs"], "reason"].value_counts()
    assert reasons.index[0] == "not run: the case has no flow logs"
    assert reasons.iloc[0] == sum(bool(m.DETECTOR.needs) for m in detect.registered().values())


def test_one_of_several_tables_suffices(tmp_path: Path) -> None:
    detector = Detector("x", "X", "?", "T1", frozenset(), any_tables=frozenset({"flows", "dns"}))
    empty = Case.create(tmp_path / "case")
    assert missing_input(empty, detector) == "not run: the case has neither dns nor flows"
    assert missing_input(make_case(tmp_path / "flows", connect(HOST, TOR, 443, T0)), detector) == ""
