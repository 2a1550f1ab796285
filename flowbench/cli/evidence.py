"""flowbench evidence: the records that support a finding, or that name something."""

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

    from flowbench.case import Case
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
    "guardduty": (
        "GuardDuty finding",
        "first_seen type severity_label file line item local_address remote_address alert_id",
        ("first_seen", "last_seen"),
    ),
}


@click.command()
@common.case_argument
@click.argument("what")
@filter_options("peer", "port", "rejected")
@common.limit_option
@common.output_options
def evidence(
    case: Path, what: str, filters: Filters, limit: int | None, out: common.Output
) -> None:
    """List the records of a finding of CASE, or about WHAT.

    They are flow records, API events, DNS queries or GuardDuty findings, each with its file and
    line (and item, where a line holds several).

    WHAT is a finding id, as `flowbench detect CASE` prints it, or its start; or an address, a
    network (10.0.0.0/24), an interface, an instance, the value of a Name tag, a domain, a user, a
    role, a role session or an access key.
    """
    from flowbench import detect
    from flowbench.investigate import about

    opened = common.open_case(case)
    # Only the detectors whose ids may begin like this have to run again.
    starts = {name: f"{name}-" for name in detect.registered()}
    only = [n for n, s in starts.items() if what.startswith(s) or s.startswith(what)]
    if only:
        _show_finding(opened, what, only, filters, limit, out)
        return
    tables = about.evidence(opened, what, filters)
    counts = {kind: int(rows.count().execute()) for kind, rows in tables.items()}
    if out.is_terminal:
        for kind, rows in tables.items():
            if counts[kind]:
                shown = [name for name in _KINDS[kind][1].split() if name in rows.columns]
                out.write_table(opened, rows, shown, limit)
    else:
        out.write_table(opened, about.combine(tables), None, limit)
    _note_counts(counts)


def _show_finding(
    case: Case,
    start: str,
    only: list[str],
    filters: Filters,
    limit: int | None,
    out: common.Output,
) -> None:
    """Show the records of the one finding whose id starts so. Raises InputError for others."""
    from flowbench import detect

    chosen = detect.run(case, only=only, keep=False).by_id(start)
    if len(chosen) != 1:
        problem = f"{len(chosen):,} findings have an id" if len(chosen) else "no finding has an id"
        raise InputError(
            f"{problem} that starts with {start!r}; `flowbench detect {case.path}` prints the ids"
        )
    common.note(
        f"{chosen[0].finding_id} ({chosen[0].severity}): {escape_controls(chosen[0].summary)}"
    )
    records = _filter(case.evidence_for(chosen[0]), filters)
    if not out.is_terminal:
        out.write_frame(records, None, limit)
    counts = {kind: int((records["kind"] == kind).sum()) for kind in _KINDS}
    for kind, (_noun, columns, _times) in _KINDS.items():
        if out.is_terminal and counts[kind]:
            rows = records[records["kind"] == kind]
            out.write_frame(rows, [name for name in columns.split() if name in rows], limit)
    _note_counts(counts)


def _note_counts(counts: dict[str, int]) -> None:
    texts = [
        format_count(counts[kind], noun, "DNS queries" if kind == "dns" else None)
        for kind, (noun, _columns, _times) in _KINDS.items()
        if counts[kind]
    ]
    common.note(", ".join(texts) or "no records")


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
