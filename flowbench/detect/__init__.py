"""Detectors: each asks one question of a case. One module each; a new one is a new file here."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import TYPE_CHECKING

import pandas as pd

from flowbench.detect.base import FINDINGS, REGISTRY, SEVERITIES, Detector, in_order
from flowbench.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowbench.case import Case

__all__ = ["FINDINGS", "SEVERITIES", "plan", "registered", "run"]


@cache
def registered() -> dict[str, Detector]:
    """Every detector by its id."""
    for found in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{found.name}")
    return dict(sorted(REGISTRY.items()))


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


def run(case: Case, only: Sequence[str] | None = None) -> pd.DataFrame:
    """The findings (FINDINGS) of all detectors that can run, the gravest first.

    ``only`` names the detectors to run. Raises InputError for a name that is none.
    """
    chosen = registered()
    if only is not None:
        unknown = [name for name in only if name not in chosen]
        if unknown:
            raise InputError(
                f"no detector is called {', '.join(unknown)}; there are: {', '.join(chosen)}"
            )
        chosen = {name: d for name, d in chosen.items() if name in only}
    rows = [row for d in chosen.values() if not _missing(case, d) for row in d.function(case)]
    return FINDINGS.frame(in_order(rows))


def _missing(case: Case, detector: Detector) -> str:
    fields = sorted(detector.needs - case.fields)
    if fields:
        return "not run: needs " + ", ".join(name.replace("_", "-") for name in fields)
    empty = sorted(name for name in detector.tables if not case.has(name))
    return f"not run: the case has no {', '.join(empty)}" if empty else ""
