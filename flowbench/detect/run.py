"""Run the detectors over a case."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from flowbench.case import set_aside
from flowbench.detect import history
from flowbench.detect.decisions import apply_decisions
from flowbench.detect.finding import Finding
from flowbench.detect.findings import Findings
from flowbench.detect.host_caveats import describe_hosts
from flowbench.detect.plan import missing_input
from flowbench.detect.registry import registered
from flowbench.detect.suppress import suppress
from flowbench.detect.unknown_ends import warn_of_unknown_ends
from flowbench.errors import CaseError, InputError

if TYPE_CHECKING:
    from flowbench.case import Case


def run(case: Case, only: Sequence[str] | None = None, *, keep: bool = True) -> Findings:
    """Run every detector whose input the case has, and return the findings.

    Findings that allow lists suppress, and dismissed ones (see ``decisions``), are in
    ``suppressed`` of the result. A run of all detectors
    is kept in the case (see ``history``); where the case cannot be written it is not, and
    ``kept`` and ``not_kept_reason`` of the result say so. ``warnings`` of the result say what to
    know before the findings are read.

    Args:
        case: The case.
        only: Ids of the detectors to run; all of them otherwise.
        keep: Whether to keep the run.

    Raises:
        InputError: A name in ``only`` is no detector's id.
    """
    chosen = registered()
    if only is not None:
        if unknown := [name for name in only if name not in chosen]:
            raise InputError(
                f"no detector is called {', '.join(unknown)}; there are: {', '.join(chosen)}"
            )
        chosen = {name: module for name, module in chosen.items() if name in only}
    modules = [module for module in chosen.values() if not missing_input(case, module.DETECTOR)]
    found: list[Finding] = []
    for number, module in enumerate(modules):
        case.progress(number, len(modules), f"detector {module.DETECTOR.id}")
        found += module.find(case)
    findings = Findings.separate(describe_hosts(case, suppress(case, found)))
    findings.warnings = (*warn_of_unknown_ends(case), *set_aside.describe_changes(case.log))
    case.progress(len(modules), len(modules), "")
    if not keep:
        findings.not_kept_reason = "not asked for"
    elif only is not None:
        findings.not_kept_reason = "only some detectors ran"
    else:
        try:
            history.keep(case, findings)
            findings.kept = True
        except CaseError as error:
            findings.not_kept_reason = str(error)
    return apply_decisions(case, findings)
