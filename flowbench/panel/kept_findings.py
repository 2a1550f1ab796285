"""The findings that panels begin with: those of the last run that a case keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbench.detect import history
from flowbench.detect.allow_rule import suppress_kept
from flowbench.detect.decisions import apply_decisions

if TYPE_CHECKING:
    from flowbench.case import Case
    from flowbench.detect.findings import Findings


def kept_findings(case: Case) -> Findings | None:
    """Return the findings of the last run, as allow lists and decisions leave them; else None.

    Raises:
        CaseError: They are damaged or lost.
    """
    run = history.last_run(case)
    return None if run is None else apply_decisions(case, suppress_kept(case, run))
