"""One event of a timeline as HTML: what it states, and the record that it comes from.

Evidence and notes are untrusted: every value is escaped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from flowbench.detect.findings import Findings
from flowbench.panel.finding_details import (
    PAGE,
    describe_records,
    escape,
    to_paragraphs,
    to_table,
)
from flowbench.schema import to_frame
from flowbench.text import format_count, format_period, format_utc

if TYPE_CHECKING:
    from flowbench.case import Case

# Data source, as timeline.TABLE has it: the table with its records.
_TABLES = {"CloudTrail": "api_events", "DNS": "dns", "GuardDuty": "alerts", "flow logs": "flows"}


def describe_event(case: Case, event: Mapping[str, Any], findings: Findings) -> str:
    """Return an event's time, sentence and evidence: file, line and record.

    Args:
        case: The case.
        event: A row of timeline.TABLE.
        findings: The findings that the timeline was made of.
    """
    time = format_utc(event["time"], seconds=True)
    if not pd.isna(event["end"]) and event["end"] > event["time"]:
        time = format_period(event["time"], event["end"], seconds=True)
    severity = "" if pd.isna(event["severity"]) else f" Severity: {event['severity']}."
    stated = f"<p><b>{escape(time)}</b>: {escape(event['detail'])}{escape(severity)}</p>"
    return to_paragraphs(stated) + _describe_evidence(case, event, findings)


def _describe_evidence(case: Case, event: Mapping[str, Any], findings: Findings) -> str:
    if event["data_source"] == "flowbench":
        finding = findings.by_id(str(event["evidence"]))[0]
        rows = case.evidence_for(finding, limit=PAGE)
        return describe_records(rows, 0, case.count_evidence(finding))
    if event["data_source"] not in _TABLES or pd.isna(event["evidence_id"]):
        return "<p>This is an analyst's note; it is recorded in the custody log.</p>"
    record = _read_record(case, event)
    rows = pd.DataFrame({"field": list(record), "value": list(record.values())})
    count = 1 if pd.isna(event["count"]) else int(event["count"])
    first = f"<p>The first of {format_count(count, 'record')}:</p>" if count > 1 else ""
    return first + to_table(rows, ["field", "value"], wraps=True)


def _read_record(case: Case, event: Mapping[str, Any]) -> dict[str, Any]:
    """Read the record of an event: its file, line and item, then every field that it has."""
    table = case.table(_TABLES[event["data_source"]])
    where = {name: event[name] for name in ("evidence_id", "line", "item") if name in table.columns}
    known = {name: value for name, value in where.items() if not pd.isna(value)}
    source = "evidence_id" if "evidence_id" in table.columns else "source"
    chosen = [table[source] == event["evidence_id"]]
    chosen += [table[name] == int(known[name]) for name in ("line", "item") if name in known]
    (row,) = to_frame(table.filter(*chosen).limit(1).to_pyarrow()).to_dict("records")
    files = dict(zip(case.evidence["evidence_id"], case.evidence["file"], strict=True))
    first = {"file": files.get(event["evidence_id"]), "line": row.pop("line")}
    return first | row
