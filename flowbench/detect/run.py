"""Run the detectors over a case."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from flowbench.detect.base import FINDINGS, Detector, in_order
from flowbench.detect.registry import registered
from flowbench.detect.suppress import HIDDEN, hide
from flowbench.errors import InputError

if TYPE_CHECKING:
    from flowbench.case import Case


def plan(case: Case) -> pd.DataFrame:
    """What each detector asks, and whether this case's evidence can answer.

    Columns: detector, title, question, technique, runs (bool), reason (what is missing, or '').
    """
    rows = [
        (d.id, d.title, d.question, d.technique, not (reason := _missing(case, d)), reason)
        for d in registered().values()
    ]
    columns = ["detector", "title", "question", "technique", "runs", "reason"]
    return pd.DataFrame(rows, columns=columns)


def run(case: Case, only: Sequence[str] | None = None, *, hidden: bool = False) -> pd.DataFrame:
    """The findings (FINDINGS) of all detectors that can run, the gravest first.

    ``only`` names the detectors to run. Findings that allow lists cover are left out; with
    ``hidden`` they are there, and two columns say which they are and why (HIDDEN, see ``apart``).
    Raises InputError for a name that is no detector's.
    """
    chosen = registered()
    if only is not None:
        unknown = [name for name in only if name not in chosen]
        if unknown:
            raise InputError(
                f"no detector is called {', '.join(unknown)}; there are: {', '.join(chosen)}"
            )
        chosen = {name: d for name, d in chosen.items() if name in only}
    able = [d for d in chosen.values() if not _missing(case, d)]
    rows: list[dict[str, Any]] = []
    for done, d in enumerate(able):
        case.progress(done, len(able), f"asking: {d.id}")
        rows += d.function(case)
    rows = in_order(rows)
    hide(case, rows)
    case.progress(len(able), len(able), "")
    if hidden:
        return HIDDEN.frame(rows)
    return FINDINGS.frame(row for row in rows if row["suppressed_by"] is None)


def _missing(case: Case, detector: Detector) -> str:
    fields = sorted(detector.needs - case.fields)
    if fields:
        return "not run: needs " + ", ".join(name.replace("_", "-") for name in fields)
    empty = sorted(name for name in detector.tables if not case.has(name))
    return f"not run: the case has no {', '.join(empty)}" if empty else ""
