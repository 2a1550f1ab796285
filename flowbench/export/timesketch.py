"""The timeline as Timesketch reads it: CSV or JSON lines.

Timesketch needs ``message``, ``datetime`` (ISO 8601) and ``timestamp_desc`` in every row, and takes
any other column as an attribute (docs/guides/user/import-from-json-csv.md of its repository). What
has a period becomes two rows, ``Start Time`` and ``End Time``; a moment is one, ``Event Time``.
Rows without a time, or of a year outside 1700 to 9999, would be dropped by Timesketch with a
warning: they are left out here.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pandas as pd

from flowbench.investigate import timeline
from flowbench.text import escape_formula, replace_unstorable

if TYPE_CHECKING:
    from flowbench.case import Case
    from flowbench.detect import Findings

COLUMNS = (
    "message",
    "datetime",
    "timestamp",
    "timestamp_desc",
    "data_type",
    "actor",
    "activity",
    "object",
    "severity",
    "attack_technique",
    "count",
    "reference",
    "evidence_id",
    "evidence_line",
)
_MOST_TEXT = 32_000  # bytes; Timesketch's index ignores longer values
_YEARS = range(1700, 10_000)


def to_csv(case: Case, findings: Findings) -> bytes:
    """Return the timeline as CSV; what a spreadsheet would run as a formula is quoted."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows(case, findings):
        writer.writerow({name: escape_formula(value) for name, value in row.items()})
    return text.getvalue().encode()


def to_jsonl(case: Case, findings: Findings) -> bytes:
    """Return the timeline as JSON lines; missing attributes are left out."""
    lines = (
        json.dumps({name: value for name, value in row.items() if value is not None})
        for row in rows(case, findings)
    )
    return "".join(f"{line}\n" for line in lines).encode()


def rows(case: Case, findings: Findings) -> Iterator[dict[str, Any]]:
    """Yield the rows of the timeline, in order of its rows; COLUMNS are the keys."""
    for event in timeline.build(case, findings=findings).to_dict("records"):
        common = {
            "message": f"{event['activity']}: {event['detail']}",
            "data_type": f"flowbench:{event['data_source'].replace(' ', '_').lower()}",
            "actor": event["actor"],
            "activity": event["activity"],
            "object": event["object"],
            "severity": event["severity"],
            "attack_technique": event["technique"],
            "count": event["count"],
            "reference": event["evidence"],
            "evidence_id": event["evidence_id"],
            "evidence_line": event["line"],
        }
        common = {name: _clean(value) for name, value in common.items()}
        start, end = event["time"], event["end"]
        if pd.isna(end) or end == start:
            moments = [(start, "Event Time")]
        else:
            moments = [(start, "Start Time"), (end, "End Time")]
        for moment, meaning in moments:
            if not pd.isna(moment) and moment.year in _YEARS:
                yield {name: (common | _time(moment, meaning)).get(name) for name in COLUMNS}


def _time(moment: datetime, meaning: str) -> dict[str, Any]:
    stamp = pd.Timestamp(moment)
    return {
        "datetime": stamp.isoformat(),
        "timestamp": stamp.value // 1_000,  # microseconds
        "timestamp_desc": meaning,
    }


def _clean(value: Any) -> Any:
    if value is None or (not isinstance(value, str) and pd.isna(value)):
        return None
    if isinstance(value, str):
        return replace_unstorable(value)[:_MOST_TEXT]
    return int(value)
