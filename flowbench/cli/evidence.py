"""flowbench evidence: the flow records, API events and DNS queries that support a finding."""

from __future__ import annotations

from pathlib import Path

import click

from flowbench.cli import common
from flowbench.errors import InputError
from flowbench.text import escape_controls, format_count

# By kind of evidence: what one record is called, and the columns that a terminal shows.
_KINDS = {
    "flow-logs": (
        "flow record",
        "start srcaddr srcport dstaddr dstport protocol bytes action file line",
    ),
    "cloudtrail": (
        "API event",
        "event_time event_name principal_name source_ip error_code event_id file line item",
    ),
    "dns": ("DNS query", "query_time srcaddr name query_type rcode answers file line item"),
}


@click.command()
@common.case_argument
@click.argument("finding")
@common.output_options
def evidence(case: Path, finding: str, out: common.Output) -> None:
    """List the records that support a FINDING of CASE.

    They are flow records, API events or DNS queries, each with its file and line (and item, where a
    line holds several). FINDING is a finding id, as `flowbench detect CASE` prints it, or
    its start.
    """
    from flowbench import detect

    opened = common.open_case(case)
    # Only the detector that the id names has to run again.
    only = [name for name in detect.registered() if finding.startswith(f"{name}-")]
    chosen = detect.run(opened, only=only or None, keep=False).by_id(finding)
    if len(chosen) != 1:
        problem = f"{len(chosen):,} findings have an id" if len(chosen) else "no finding has an id"
        raise InputError(
            f"{problem} that starts with {finding!r}; `flowbench detect {case}` prints the ids"
        )
    common.note(
        f"{chosen[0].finding_id} ({chosen[0].severity}): {escape_controls(chosen[0].summary)}"
    )
    records = opened.evidence_for(chosen[0])
    if not out.is_terminal:
        out.write(records)
    counts = []
    for kind, (noun, columns) in _KINDS.items():
        rows = records[records["kind"] == kind]
        if not len(rows):
            continue
        counts.append(format_count(len(rows), noun, "DNS queries" if kind == "dns" else None))
        if out.is_terminal:
            out.write(rows, [name for name in columns.split() if name in rows])
    common.note(", ".join(counts) or "no records")
