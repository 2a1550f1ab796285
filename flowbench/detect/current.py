"""The findings of a case as it is now: those of the run that it keeps, or of a new run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbench.case import set_aside
from flowbench.detect import history
from flowbench.detect.decisions import apply_decisions
from flowbench.detect.run import run
from flowbench.detect.unknown_ends import warn_of_unknown_ends
from flowbench.errors import CaseError

if TYPE_CHECKING:
    from flowbench.case import Case
    from flowbench.detect.findings import Findings


def current_findings(case: Case) -> Findings:
    """Return the findings of all detectors, without running them again where nothing has changed.

    The run that the case keeps is used if it read the same evidence and segmentation policy with
    the same code. Otherwise, and where its findings are damaged or lost, all detectors run, and
    the run is kept (see ``run``).

    Args:
        case: The case.

    Returns:
        What ``run(case)`` returns.
    """
    try:
        kept = history.last_run(case)
    except CaseError:  # the next run is kept in its place
        kept = None
    if kept is None or not history.is_current(case, kept):
        return run(case)
    findings = kept.findings
    findings.kept = True
    findings.warnings = (*warn_of_unknown_ends(case), *set_aside.describe_changes(case.log))
    return apply_decisions(case, findings)
