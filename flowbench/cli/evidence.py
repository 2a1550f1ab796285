"""flowbench evidence: the flow records, API events and DNS queries that support a finding."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowbench.cli import common
from flowbench.cli.filters import filter_options
from flowbench.errors import InputError
from flowbench.text import escape_controls, format_count

if TYPE_CHECKING:
    import pandas as pd

    from flowbench.investigate.filters import Filters

# By kind of evidence: what one record is called, the columns that a terminal shows, and its times.
_KINDS = {
    "flow-logs": (
        "flow record",
        "start srcaddr dstaddr file line dstport srcport action bytes protocol",
        ("start", "end"),
    ),
    "cloudtrail": (
        "API event",
        "event_time event_name file line item principal_name source_ip error_code event_id",
        ("event_time", "event_time"),
    ),
    "dns": (
        "DNS query",
        "query_time srcaddr name file line item query_type rcode answers",
        ("query_time", "query_time"),
    ),
}


@click.command()
@common.case_argument
@click.argument("finding")
@filter_options()
@common.limit_option
@common.output_options
def evidence(
    case: Path, finding: str, filters: Filters, limit: int | None, out: common.Output
) -> None:
    """List the records that support a FINDING of CASE.

    They are flow records, API events or DNS queries, each with its file and line (and item, where a
    line holds several). FINDING is a finding id, as `flowbench detect CASE` prints it, or
    its start.
    """
    from flowbench import detect

    opened = common.open_case(case)
    # Only the detectors whose ids may begin like this have to run again.
    starts = {name: f"{name}-" for name in detect.registered()}
    only = [n for n, s in starts.items() if finding.startswith(s) or s.startswith(finding)]
    chosen = detect.run(opened, only=only, keep=False).by_id(finding)
    if len(chosen) != 1:
        problem = f"{len(chosen):,} findings have an id" if len(chosen) else "no finding has an id"
        raise InputError(
            f"{problem} that starts with {finding!r}; `flowbench detect {case}` prints the ids"
        )
    common.note(
        f"{chosen[0].finding_id} ({chosen[0].severity}): {escape_controls(chosen[0].summary)}"
    )
    records = _filter(opened.evidence_for(chosen[0]), filters)
    if not out.is_terminal:
        out.write_frame(records, None, limit)
    counts = []
    for kind, (noun, columns, _times) in _KINDS.items():
        rows = records[records["kind"] == kind]
        if not len(rows):
            continue
        counts.append(format_count(len(rows), noun, "DNS queries" if kind == "dns" else None))
        if out.is_terminal:
            out.write_frame(rows, [name for name in columns.split() if name in rows], limit)
    common.note(", ".join(counts) or "no records")


def _filter(records: pd.DataFrame, filters: Filters) -> pd.DataFrame:
    """Keep the records of the period; each kind has columns of its own for it."""
    import pandas as pd

    from flowbench.investigate.filters import filter_frame

    parts = [
        filter_frame(rows, filters, *times)
        for kind, (_noun, _columns, times) in _KINDS.items()
        if len(rows := records[records["kind"] == kind])
    ]
    return pd.concat(parts) if parts else records
