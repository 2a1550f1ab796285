"""flowbench detect: run the detectors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowbench.cli import common
from flowbench.cli.filters import filter_options
from flowbench.errors import CaseError, InputError
from flowbench.text import escape_controls, format_count

if TYPE_CHECKING:
    import pandas as pd

    from flowbench.case import Case
    from flowbench.detect import Findings
    from flowbench.detect.history import Run
    from flowbench.investigate.filters import Filters

_SUPPRESSED = (
    "severity finding_id summary suppressed_by suppression_reason score first_seen".split()
)
_LINKS = "first_seen from_group to_group relation service_port via connections".split()
_MOST_DISMISSED = 5  # findings that are noted one by one


@click.command()
@common.case_argument
@click.option("--only", multiple=True, metavar="ID", help="Run only this detector (repeatable).")
@click.option("--show-suppressed", is_flag=True, help="Include suppressed and dismissed findings.")
@click.option("--links", is_flag=True, help="List the links between finding groups.")
@click.option("--since-last", is_flag=True, help="Show only what changed since the last run.")
@filter_options("peer", "port", "rejected")
@common.output_options
def detect(
    case: Path,
    only: tuple[str, ...],
    show_suppressed: bool,
    links: bool,
    since_last: bool,
    filters: Filters,
    out: common.Output,
) -> None:
    """Run the detectors over CASE.

    A terminal shows the findings by host or principal, the most severe first, with their links;
    the other formats have one row per finding, with --links one per link. A run of all detectors is
    kept in the case; --since-last compares with the last one. The filters select which findings are
    listed; all detectors examine the whole case.
    """
    from flowbench import detect as detectors
    from flowbench.investigate.filters import filter_findings

    if since_last and show_suppressed:
        raise InputError("--since-last includes changes of suppression: omit --show-suppressed")
    if links and (since_last or show_suppressed):
        raise InputError("--links is a table of its own: omit --since-last and --show-suppressed")
    opened = common.open_case(case)
    plan = detectors.plan(opened)
    before = _last_run(opened) if since_last else None
    findings = detectors.run(opened, only=list(only) or None)
    for warning in findings.warnings:
        common.note(f"warning: {escape_controls(warning)}")
    shown = filter_findings(findings, filters)
    if since_last:
        _write_changes(opened, before, findings, only, filters, out)
    elif links:
        out.write(detectors.link_groups(opened, shown), _LINKS)
    else:
        _write_findings(opened, shown, out, show_suppressed=show_suppressed)
    _note_run(plan[plan["detector"].isin(only)] if only else plan, shown)
    if not only and not findings.kept:
        common.note(f"this run is not kept: {escape_controls(findings.not_kept_reason)}")


def _write_findings(
    case: Case, findings: Findings, out: common.Output, *, show_suppressed: bool
) -> None:
    from flowbench.cli import output
    from flowbench.detect import link_groups

    if show_suppressed:
        output.write_findings(findings.all, out.format, out.path, columns=_SUPPRESSED)
    elif out.is_terminal:
        output.print_groups(findings, link_groups(case, findings))
    else:
        output.write_findings(findings, out.format, out.path)


def _note_run(plan: pd.DataFrame, findings: Findings) -> None:
    """Note suppressed findings, detectors that did not run, and how many findings there are."""
    from flowbench.detect import group_findings

    dismissed = [f for f in findings.suppressed if f.decision == "dismissed"]
    for finding in dismissed[:_MOST_DISMISSED]:
        common.note(f"{finding.finding_id}: {escape_controls(finding.decision_text)}")
    if len(dismissed) > _MOST_DISMISSED:
        common.note(f"and {len(dismissed) - _MOST_DISMISSED:,} more dismissed: --show-suppressed")
    suppressed = findings.suppressed.to_pandas().fillna({"suppression_reason": ""})
    suppressed = suppressed[suppressed["decision"] != "dismissed"]
    for (lists, reason), rows in suppressed.groupby(["suppressed_by", "suppression_reason"]):
        because = f": {escape_controls(reason)}" if reason else ""
        common.note(
            f"{format_count(len(rows), 'finding')} suppressed by '{escape_controls(lists)}'"
            f" (allow list{because}): --show-suppressed"
        )
    for reason, rows in plan[~plan["runs"]].groupby("reason", sort=False):
        common.note(f"{', '.join(rows['detector'])}: {reason}")
    groups = format_count(len(group_findings(findings)), "finding group")
    common.note(f"{format_count(len(findings), 'finding')}, {groups}")


def _last_run(case: Case) -> Run | None:
    """Return the run that was kept last; note that there is none, or that it is damaged."""
    from flowbench.detect import history

    try:
        run = history.last_run(case)
    except CaseError as error:
        common.note(f"flowbench: {escape_controls(error)}")
        return None
    if run is None:
        common.note("no earlier run to compare with")
    return run


def _write_changes(
    case: Case,
    before: Run | None,
    findings: Findings,
    only: tuple[str, ...],
    filters: Filters,
    out: common.Output,
) -> None:
    """Write what changed since an earlier run, and note what may explain it."""
    from flowbench import detect as detectors
    from flowbench.detect import history
    from flowbench.detect.decisions import apply_decisions
    from flowbench.investigate.filters import filter_changes

    if before is None:
        changes = detectors.CHANGES.frame([])
    else:
        earlier = apply_decisions(case, before.findings)
        earlier = earlier.of(*only) if only else earlier
        changes = filter_changes(detectors.compare(earlier, findings), filters)
    if len(changes) or not out.is_terminal:
        out.write(changes, ["change", "severity", "finding_id", "changed", "summary"])
    if before is not None:
        counts = changes["change"].value_counts()
        parts = ", ".join(f"{counts.get(name, 0):,} {name}" for name in ("new", "changed", "gone"))
        common.note(f"since the run of {before.time}: {parts}")
        for sentence in history.differences(case, before):
            common.note(f"  {escape_controls(sentence)}")
