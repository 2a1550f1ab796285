"""The findings of a case as it is now, from the kept run where it is still current."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowbench import detect
from flowbench.case import Case
from flowbench.detect import history, registry
from flowbench.detect.detectors import contact
from tests.traffic import T0, connect, make_case

HOST, BAD, OTHER = "10.0.0.5", "203.0.113.50", "198.51.100.9"


def test_a_run_is_read_until_something_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "MODULES", (contact,))
    listed = f"indicator,kind,feed\n{BAD},c2,feed\n"
    traffic = (*connect(HOST, BAD, 443, T0), *connect(HOST, OTHER, 443, T0))
    case = make_case(tmp_path, traffic, indicators=listed)
    first = detect.current_findings(case)
    assert [(f.detector, f.peer) for f in first] == [("contact", BAD)]
    assert first.kept
    assert len(history.kept_runs(case)) == 1

    with monkeypatch.context() as patch:
        patch.setattr("flowbench.detect.current.run", None)
        again = detect.current_findings(Case.open(case.path))
        assert again == first
        assert again.kept
        case.decide(first[0].finding_id, "dismissed", reason="a test")
        assert not detect.current_findings(case)
        assert len(detect.current_findings(case).suppressed) == 1

    more = tmp_path / "more.csv"
    more.write_text(f"indicator,kind,feed\n{OTHER},c2,feed\n", encoding="utf-8")
    case.ingest(more)
    assert {f.peer for f in detect.current_findings(case).all} == {BAD, OTHER}
    assert len(history.kept_runs(case)) == 2

    for path in (case.path / "findings").glob("*.parquet"):
        path.unlink()
    assert {f.peer for f in detect.current_findings(case).all} == {BAD, OTHER}
