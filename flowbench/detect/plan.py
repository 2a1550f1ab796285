"""Which detectors a case's evidence lets run, and what the others lack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from flowbench.detect.detector import Detector
from flowbench.detect.registry import registered

if TYPE_CHECKING:
    from flowbench.case import Case

_COLUMNS = ["detector", "title", "question", "technique", "runs", "reason"]


def plan(case: Case) -> pd.DataFrame:
    """Return a row for each detector: its question, and whether the case's evidence suffices.

    Columns: detector, title, question, technique, runs (bool), reason (what is missing, or '').
    """
    rows = [
        (d.id, d.title, d.question, d.technique, not (reason := missing_input(case, d)), reason)
        for d in (module.DETECTOR for module in registered().values())
    ]
    return pd.DataFrame(rows, columns=_COLUMNS)


def missing_input(case: Case, detector: Detector) -> str:
    """Return what a detector needs and the case lacks; empty when it can run."""
    if detector.needs and not case.has("flows"):
        return "not run: the case has no flow logs"
    if fields := sorted(detector.needs - case.fields):
        return "not run: needs " + ", ".join(name.replace("_", "-") for name in fields)
    if detector.any_tables and not any(map(case.has, detector.any_tables)):
        return f"not run: the case has neither {' nor '.join(sorted(detector.any_tables))}"
    tables = sorted(name for name in detector.tables if not case.has(name))
    return f"not run: the case has no {', '.join(tables)}" if tables else ""
