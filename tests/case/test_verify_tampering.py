"""A hundred random changes of a case, each found (2,000 in benchmarks/tampering.py)."""

from __future__ import annotations

import pytest

from benchmarks import tampering
from flowbench.case.verify import verify_folder

COUNT, SEED = 100, 20_260_901


@pytest.mark.slow
def test_every_change_is_found(tmp_path) -> None:
    case = tampering.make_case(tmp_path)
    assert verify_folder(case.path, head=case.log.head)["ok"].all()
    trials = list(tampering.try_changes(case.path, tmp_path / "evidence", COUNT, SEED))
    assert [trial for trial in trials if not trial.found_by] == []
    assert len(trials) == COUNT
    # Only a log that was rewritten whole needs the digest noted elsewhere.
    assert {t.change for t in trials if t.found_by == "verify --head"} == {"rewrite_chain"}
    assert {t.target for t in trials} == {
        *("evidence", "tables", "cache", "findings", "report", "log", "case.json", "content")
    }
    assert verify_folder(case.path, head=case.log.head)["ok"].all()
