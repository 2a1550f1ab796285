"""flowbench findings: the findings of the last run, and the history of findings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowbench.cli import common
from flowbench.cli.filters import filter_options
from flowbench.errors import CaseError, InputError
from flowbench.text import escape_controls, format_utc

if TYPE_CHECKING:
    import pandas as pd

    from flowbench.case import Case
    from flowbench.investigate.filters import Filters

_FINDINGS = "severity finding_id summary subject first_seen score".split()
_HISTORY = "run change finding_id what severity subject run_time".split()
_RUNS = "run run_time findings new changed gone by version note".split()
_SEVERITIES = ("low", "medium", "high", "critical")  # detect.SEVERITIES, without importing it


@click.command()
@common.case_argument
@click.argument("finding", required=False)
@click.option("--history", is_flag=True, help="Show new, changed and gone findings, run by run.")
@click.option("--runs", is_flag=True, help="List the runs that the case keeps.")
@click.option("--severity", type=click.Choice(_SEVERITIES), help="Only this severity or above.")
@click.option("--detector", "detectors", multiple=True, metavar="ID", help="Only this detector.")
@filter_options("peer", "port", "rejected")
@common.limit_option
@common.output_options
def findings(  # each is an option
    case: Path,
    finding: str | None,
    history: bool,
    runs: bool,
    severity: str | None,
    detectors: tuple[str, ...],
    filters: Filters,
    limit: int | None,
    out: common.Output,
) -> None:
    """List the findings of CASE's last run.

    The detectors are not run again. With FINDING, an id or its start: only this one. With
    --history: in which run each finding was new, changed or gone. `flowbench detect CASE` runs the
    detectors and keeps the run if it differs. Suppressed and dismissed findings are shown with
    FINDING only.
    """
    from flowbench.detect import finding_history, registered
    from flowbench.investigate.filters import filter_changes

    if unknown := set(detectors) - set(registered()):
        raise InputError(
            f"no detector is called {', '.join(sorted(unknown))}; there are:"
            f" {', '.join(registered())}"
        )
    opened = common.open_case(case)
    kept, changes = finding_history.list_history(opened)
    if not len(kept):
        common.note(f"the case has no findings: run `flowbench detect {case}`")
    for problem in kept["note"].dropna():
        common.note(f"warning: {escape_controls(problem)}")
    if runs:
        out.write_frame(kept, _RUNS, limit)
        return
    if len(kept) and kept["note"].notna().all():
        raise CaseError("no run that the case keeps can be read: run `flowbench detect` again")
    rows = changes if history else _read_last(opened, with_suppressed=finding is not None)
    rows = filter_changes(rows, filters)
    if finding is not None:
        rows = rows[rows["finding_id"].str.startswith(finding)]
    if severity is not None:
        rows = rows[rows["severity"].isin(_SEVERITIES[_SEVERITIES.index(severity) :])]
    if detectors:
        rows = rows[rows["detector"].isin(detectors)]
    if history and out.is_terminal:  # one column: what changed, or the summary
        rows = rows.assign(what=rows["changed"].where(rows["changed"] != "", rows["summary"]))
    columns = [*_FINDINGS, "decision"] if rows["decision"].notna().any() else _FINDINGS
    out.write_frame(rows, _HISTORY if history else columns, limit)
    readable = kept[kept["note"].isna()]
    if len(readable) and not history:
        common.note(f"findings of the run of {format_utc(readable['run_time'].iloc[-1])}")


def _read_last(case: Case, *, with_suppressed: bool) -> pd.DataFrame:
    """Return the findings of the last run that can be read, with the decisions about them."""
    from flowbench.detect import Findings, history
    from flowbench.detect.decisions import apply_decisions

    for entry in reversed(history.kept_runs(case)):
        try:
            findings = apply_decisions(case, history.read_run(case, entry).findings)
        except CaseError:  # reported with the runs
            continue
        return (findings.all if with_suppressed else findings).to_pandas()
    return Findings().to_pandas()
