"""The findings of a case as it is now, from the kept run where it is still current."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowbench import detect
from flowbench.case import Case
from flowbench.detect import history
from tests.traffic import T0, connect, make_case

HOST, BAD, OTHER = "10.0.0.5", "203.0.113.50", "198.51.100.9"

pytestmark = pytest.mark.usefixtures("few_detectors")


@pytest.fixture
def case(tmp_path: Path) -> Case:
    listed = f"indicator,kind,feed\n{BAD},c2,feed\n"
    traffic = (*connect(HOST, BAD, 443, T0), *connect(HOST, OTHER, 443, T0))
    return make_case(tmp_path, traffic, indicators=listed)


def test_a_current_run_is_read_and_not_repeated(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = detect.current_findings(case)
    assert [(f.detector, f.peer) for f in first] == [("contact", BAD)]
    assert first.kept
    assert len(history.kept_runs(case)) == 1
    monkeypatch.setattr("flowbench.detect.current.run", None)
    again = detect.current_findings(Case.open(case.path))
    assert again == first
    assert again.kept
    case.decide(first[0].finding_id, "dismissed", reason="a test")
    assert not detect.current_findings(case)


def test_new_evidence_makes_a_new_run(case: Case, tmp_path: Path) -> None:
    assert [f.peer for f in detect.current_findings(case)] == [BAD]
    more = tmp_path / "more.csv"
    more.write_text(f"indicator,kind,feed\n{OTHER},c2,feed\n", encoding="utf-8")
    case.ingest(more)
    assert {f.peer for f in detect.current_findings(case)} == {BAD, OTHER}
    assert len(history.kept_runs(case)) == 2


def test_a_lost_run_is_made_again(case: Case) -> None:
    detect.current_findings(case)
    for path in (case.path / "findings").glob("*.parquet"):
        path.unlink()
    assert [f.peer for f in detect.current_findings(case)] == [BAD]


def test_the_findings_of_a_detector_keep_what_is_known_of_the_run(case: Case) -> None:
    findings = detect.current_findings(case)
    findings.warnings = ("look",)
    own = findings.of("contact")
    assert (own.kept, own.warnings, len(own)) == (True, ("look",), 1)
    assert len(findings.of("mining")) == 0
