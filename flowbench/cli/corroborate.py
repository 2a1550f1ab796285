"""flowbench corroborate: GuardDuty findings beside the records that they speak of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowbench.cli import common
from flowbench.cli.filters import filter_options
from flowbench.text import format_count

if TYPE_CHECKING:
    import pandas as pd

    from flowbench.case import Case
    from flowbench.detect import Findings
    from flowbench.investigate.filters import Filters

_ALERTS = "verdict type host peer records reason alert_id first_seen finding_ids".split()
_UNREPORTED = "severity finding_id summary guardduty_type reason first_seen".split()
_VERDICTS = ("confirmed", "contradicted", "not observable", "not seen")  # corroborate.VERDICTS


@click.command()
@common.case_argument
@click.option("--verdict", type=click.Choice(_VERDICTS), help="Only GuardDuty findings so judged.")
@click.option("--unreported", is_flag=True, help="List findings that GuardDuty does not mention.")
@filter_options("peer")
@common.limit_option
@common.output_options
def corroborate(
    case: Path,
    verdict: str | None,
    unreported: bool,
    filters: Filters,
    limit: int | None,
    out: common.Output,
) -> None:
    """Compare the GuardDuty findings of CASE with its logs.

    Each remote address, domain or caller is confirmed (with the number of records and the first of
    them), contradicted (the host's interface was logged without a gap, and has no record of it),
    not observable (with the reason), or not seen. --unreported lists the findings of medium
    severity or above that no GuardDuty finding mentions.
    """
    from flowbench import detect

    opened = common.open_case(case)
    if not opened.has("alerts"):
        common.note("the case has no GuardDuty findings: load some with `flowbench ingest`")
    findings = detect.run(opened, keep=False)
    rows = _select(opened, findings, filters, verdict, unreported=unreported)
    out.write_frame(rows, _UNREPORTED if unreported else _ALERTS, limit)
    if not unreported and len(rows):
        counts = rows["verdict"].value_counts()
        parts = [f"{counts[name]:,} {name}" for name in _VERDICTS if name in counts]
        alerts = format_count(rows["alert_id"].nunique(), "GuardDuty finding")
        common.note(f"{alerts}: {', '.join(parts)}")


def _select(
    case: Case, findings: Findings, filters: Filters, verdict: str | None, *, unreported: bool
) -> pd.DataFrame:
    from flowbench.investigate import corroborate as corroboration
    from flowbench.investigate.filters import filter_changes, filter_frame

    if unreported:
        wanted = filter_changes(findings.to_pandas(), filters)["finding_id"]
        rows = corroboration.unreported(case, findings)
        return rows[rows["finding_id"].isin(wanted)]
    rows = corroboration.alerts(case, findings)
    rows = filter_frame(rows, filters, "alert_first_seen", "alert_last_seen")
    if filters.peer is not None:
        rows = rows[rows["peer"] == filters.peer]
    return rows[rows["verdict"] == verdict] if verdict else rows
