"""The timeline of a case with four incidents states what their answer keys have."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from flowbench import detect
from flowbench.case import Case
from flowbench.detect import registry
from flowbench.detect.detectors import (
    api_abuse,
    brute_force,
    exfiltration,
    lateral_movement,
    mining,
    remote_access,
    scan,
    service_abuse,
)
from flowbench.investigate import timeline
from flowbench.scenario import exercises
from flowbench.scenario.exercises import organisation
from flowbench.training.matching import match_facts

KINDS = ("crypto-mining", "stolen-role", "lateral-movement", "insider")
NEEDED = (mining, remote_access, lateral_movement, exfiltration, service_abuse, api_abuse)


def test_facts_are_stated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = replace(organisation.DIFFICULTIES["easy"], load=0.1)
    monkeypatch.setitem(organisation.DIFFICULTIES, "easy", tiny)
    monkeypatch.setattr(registry, "MODULES", (*NEEDED, scan, brute_force))
    keys = [
        exercises.write(
            kind,
            tmp_path / "evidence" / kind,
            tmp_path / f"{kind}.json",
            1,
            difficulty="easy",
            days=1,
        )
        for kind in KINDS
    ]
    case = Case.create(tmp_path / "case")
    case.ingest(tmp_path / "evidence")
    rows = timeline.build(case, findings=detect.run(case, keep=False))
    for key in keys:
        stated = match_facts(key, rows)
        missing = [fact for fact, row in zip(key.facts, stated, strict=True) if row is None]
        assert len(key.facts) > 8
        assert not missing, key.scenario
