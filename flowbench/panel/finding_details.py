"""One finding as HTML: what it states, what analysts wrote about it, its supporting records.

Evidence and notes are untrusted: every value is escaped.
"""

from __future__ import annotations

import html
from collections.abc import Sequence, Sized
from typing import TYPE_CHECKING, Any

import pandas as pd

from flowbench.detect import display
from flowbench.text import escape_controls, format_time

if TYPE_CHECKING:
    from flowbench.case import Case
    from flowbench.detect.finding import Finding

PAGE = 25  # records shown at once
# The columns of each kind of record that are shown, with what tells where it is.
_WHERE = ("line", "item", "file")  # the last columns: a path is wider than all others
_RECORDS = {
    "flow-logs": (
        "Flow records",
        "start srcaddr srcport dstaddr dstport protocol action packets bytes end interface_id",
    ),
    "cloudtrail": ("API events", "event_time event_name principal_name source_ip error_code"),
    "dns": ("DNS queries", "query_time srcaddr name query_type rcode answers"),
}
_CELL = "text-align:left;vertical-align:top;padding:2px 8px 2px 0"
_WRITTEN = ("written", "by", "kind", "decision", "text", "tags", "removed_tags", "starred")


def escape(value: object) -> str:
    """Return a value as text for HTML."""
    return html.escape(escape_controls(value))


def to_paragraphs(content: str) -> str:
    """Return HTML in lines that are readable, where the style of widgets is for single lines."""
    return f"<div style='line-height:1.4;overflow-wrap:anywhere;max-width:90ch'>{content}</div>"


def describe_finding(case: Case, finding: Finding) -> str:
    """Return what a finding states, its star and tags, and what was written about it."""
    mark = case.marks.get(finding.finding_id, {"starred": False, "tags": []})
    tags = ", ".join(map(escape, mark["tags"]))
    marks = " ".join([*["★ starred"] * mark["starred"], *[f"Tags: {tags}"] * bool(tags)])
    notes = case.list_notes()
    about = notes[notes["about"] == finding.finding_id]
    written = ""
    if len(about):
        written = "<h4>Notes and decisions</h4>" + to_table(about, _WRITTEN, wraps=True)
    stated = display.finding_to_html(finding.to_row(), finding.decision_text)
    return to_paragraphs(f"{stated}<p>{marks}</p>{written}")


def describe_records(records: pd.DataFrame, first: int, count: int) -> str:
    """Return a page of supporting records (Case.evidence_for), a table for each kind.

    Args:
        records: The records of the page.
        first: The number of the first one, from 0.
        count: How many records support the finding.
    """
    if not count:
        return "<p>No record of the case supports this finding by itself; see its caveats.</p>"
    parts = [
        f"<p>Records {first + 1:,} to {first + len(records):,} of {count:,}; times are UTC.</p>"
    ]
    for kind, rows in records.groupby("kind", sort=False):
        title, columns = _RECORDS[str(kind)]
        names = [name for name in (*columns.split(), *_WHERE) if name in rows]
        parts.append(f"<h4>{title}</h4>" + to_table(rows, names))
    return "".join(parts)


def to_table(rows: pd.DataFrame, columns: Sequence[str], *, wraps: bool = False) -> str:
    """Return columns of a frame as an HTML table, without those that are empty.

    A table that does not wrap is as wide as its lines, and scrolls.
    """
    style = _CELL if wraps else f"{_CELL};white-space:nowrap"
    names = [name for name in columns if rows[name].map(_is_given).any()]
    head = "".join(f"<th scope='col' style='{style}'>{escape(name)}</th>" for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td style='{style}'>{_cell(row[name])}</td>" for name in names) + "</tr>"
        for row in rows[names].to_dict("records")
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    # As wide as its place, not as the table: else a box around it scrolls, with all that is in it.
    place = "width:0;min-width:100%;overflow-x:auto;line-height:1.4"
    return f"<div style='{place}' tabindex='0'>{table}</div>"


def _is_given(value: Any) -> bool:
    if isinstance(value, Sized):  # text, or a list
        return len(value) > 0
    return not pd.isna(value)


def _cell(value: Any) -> str:
    if not _is_given(value):
        return ""
    if isinstance(value, pd.Timestamp):
        return escape(format_time(value, seconds=True))
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a column of whole numbers, some of them missing
    is_list = isinstance(value, Sized) and not isinstance(value, str)
    return escape(", ".join(map(str, value)) if is_list else value)
