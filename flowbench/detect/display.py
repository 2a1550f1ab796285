"""Findings as HTML for notebooks, readable in light and dark themes; all text is escaped."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flowbench.text import escape_controls, format_count, format_period, list_some

if TYPE_CHECKING:
    from flowbench.detect.findings import Findings

_ROWS = 25  # findings in one table
# Their columns, with the share of the width: readable in a notebook of 800 pixels too.
_TABLE = {"Severity": 10, "Finding": 20, "Subject, peer": 18, "Period (UTC)": 15, "Summary": 37}
# Borders carry the colour of a severity; text keeps the colour of the theme.
_COLOURS = {"critical": "#a50026", "high": "#d73027", "medium": "#f28e2b", "low": "#4e79a7"}


def describe(findings: Findings) -> str:
    """Return the number of findings by severity: '3 findings: 1 high, 2 low; 1 suppressed'."""
    counts = Counter(finding.severity for finding in findings)
    text = format_count(len(findings), "finding")
    if counts:
        text += ": " + ", ".join(f"{counts[name]} {name}" for name in _COLOURS if counts[name])
    return text + (f"; {len(findings.suppressed)} suppressed" if findings.suppressed else "")


def findings_to_html(rows: Sequence[Mapping[str, Any]], caption: str) -> str:
    """Return a table of findings (rows of FINDINGS), the first ``_ROWS`` of them."""
    body = "".join(_table_row(row) for row in rows[:_ROWS])
    head = "".join(
        f"<th scope='col' style='text-align:left;width:{width}%'>{name}</th>"
        for name, width in _TABLE.items()
    )
    more = len(rows) - _ROWS
    note = f"<p>{more:,} more; .to_pandas() has all.</p>" if more > 0 else ""
    return (
        f"<table style='text-align:left'><caption>{_escape(caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{note}"
    )


def finding_to_html(row: Mapping[str, Any], decision: str | None = None) -> str:
    """Return one finding (a row of FINDINGS) and the decision about it as a definition list."""
    scores = ", ".join(f"{name} {part:.2f}" for name, part in row["scores"])
    facts = {
        "Subject": row["subject"],
        "Peers": list_some(row["peers"]),
        "Period": format_period(row["first_seen"], row["last_seen"]),
        "Score": f"{row['score']:.2f}" + (f" ({scores})" if scores else ""),
        "Technique": row["technique"],
        "Caveats": row["caveats"],
        "Suppressed by": row["suppressed_by"],
        "Decision": decision,
        "Finding id": row["finding_id"],
    }
    items = "".join(
        f"<dt><b>{name}</b></dt><dd>{_escape(value)}</dd>" for name, value in facts.items() if value
    )
    return (
        f"<div style='{_border(row)}'>"
        f"<p><b>{_escape(row['title'])}</b> ({_escape(row['severity'])})</p>"
        f"<p>{_escape(row['summary'])}</p><dl>{items}</dl></div>"
    )


def _table_row(row: Mapping[str, Any]) -> str:
    peers = row["peers"]
    peer = row["peer"] or (format_count(len(peers), "address", "addresses") if peers else "")
    period = format_period(row["first_seen"], row["last_seen"]).removesuffix(" UTC")
    first, separator, last = period.partition(" to ")
    cells = (
        (row["severity"], f"{row['score']:.2f}"),
        (row["title"],),
        (row["subject"], peer),
        (first, f"{separator.strip()} {last}".strip()),
        (row["summary"],),
    )
    first, *rest = ("<br/>".join(_escape(line) for line in cell if line) for cell in cells)
    style = "text-align:left;vertical-align:top;overflow-wrap:anywhere"
    tail = "".join(f"<td style='{style}'>{cell}</td>" for cell in rest)
    return f"<tr><td style='{style};{_border(row)}'>{first}</td>{tail}</tr>"


def _border(row: Mapping[str, Any]) -> str:
    return f"border-left:4px solid {_COLOURS[row['severity']]};padding-left:8px"


def _escape(value: object) -> str:
    return html.escape(escape_controls(value))
