"""The case at a glance: its evidence as frames, and what a notebook shows of it."""

from __future__ import annotations

import html
import sys
from typing import TYPE_CHECKING

import ibis
import pandas as pd

from flowbench.case.custody import CustodyLog
from flowbench.loaders.evidence import Evidence
from flowbench.schema import to_frame
from flowbench.text import (
    escape_controls,
    escape_undecodable,
    format_bytes,
    format_count,
    format_period,
    format_utc,
)

if TYPE_CHECKING:
    from flowbench.case.case import Case

ROWS_SHOWN = 10  # of a table in a notebook

_CELL = "padding: 2px 12px 2px 0; text-align: {align}; border: none; background: none"


def evidence_frame(log: CustodyLog) -> pd.DataFrame:
    """Return the manifest as a frame; see ``Case.evidence``."""
    columns = [name for name in Evidence.columns() if name != "fields"]
    rows = [entry | {"path": escape_undecodable(entry["path"])} for entry in log.evidence]
    frame = pd.DataFrame(rows, columns=columns)
    for name in ("first_seen", "last_seen"):
        frame[name] = pd.to_datetime(frame[name], utc=True, format="ISO8601", errors="coerce")
    return frame


def summarize_kinds(evidence: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each kind of evidence; see ``Case.info``."""
    kinds = evidence.groupby("kind", as_index=False).agg(
        files=("evidence_id", "size"),
        bytes=("size", "sum"),
        records=("records", "sum"),
        quarantined=("quarantined", "sum"),
        first_seen=("first_seen", "min"),
        last_seen=("last_seen", "max"),
    )
    return kinds.sort_values("kind", ignore_index=True)


def case_to_html(case: Case) -> str:
    """Return the case as HTML for a notebook: kinds, files, records, periods, quarantine.

    Colours are those of the notebook's theme. Names are escaped: folders and files may be named by
    anybody.
    """
    heading = f"<b>{_escape(case.name)}</b> <code>{_escape(case.path)}</code>"
    kinds = case.info()
    if kinds.empty:
        return f"<div>{heading}<br>No evidence yet: <code>case.ingest(folder)</code></div>"
    rows = [
        [
            row.kind,
            f"{row.files:,}",
            format_bytes(row.bytes),
            f"{row.records:,}",
            f"{row.quarantined:,}",
            _period(row.first_seen, row.last_seen),
        ]
        for row in kinds.itertuples()
    ]
    names = ["Kind", "Files", "Size", "Records", "Quarantined", "Period"]
    body = "".join(f"<tr>{_cells(row, 'td')}</tr>" for row in rows)
    quarantined = int(kinds["quarantined"].sum())
    note = ""
    if quarantined:
        count = format_count(quarantined, "entry", "entries")
        note = f"<br>{count} in quarantine: <code>case.quarantine</code>"
    return (
        f'<div>{heading}<table style="border-collapse: collapse">'
        f"<thead><tr>{_cells(names, 'th')}</tr></thead><tbody>{body}</tbody></table>{note}</div>"
    )


def _cells(texts: list[str], tag: str) -> str:
    cells = []
    for position, text in enumerate(texts):
        style = _CELL.format(align="right" if 1 <= position <= 4 else "left")
        cells.append(f'<{tag} style="{style}">{_escape(text)}</{tag}>')
    return "".join(cells)


def _escape(text: object) -> str:
    return html.escape(escape_controls(escape_undecodable(str(text))))


def _period(first: pd.Timestamp, last: pd.Timestamp) -> str:
    if pd.isna(first) or pd.isna(last):
        return ""
    return format_utc(first) if first == last else format_period(first, last)


def show_tables_in_notebook() -> None:
    """Let IPython show the first rows of an Ibis table; do nothing elsewhere.

    Without it a notebook shows an expression's plan. ``ibis.options.interactive`` would also let
    ``repr`` run queries everywhere, and drops the columns that do not fit.
    """
    if (module := sys.modules.get("IPython")) is None or (shell := module.get_ipython()) is None:
        return
    formatters = shell.display_formatter.formatters
    formatters["text/html"].for_type(ibis.Table, lambda table: _first_rows(table).to_html())
    formatters["text/plain"].for_type(
        ibis.Table, lambda table, printer, _: printer.text(_first_rows(table).to_string())
    )


def _first_rows(table: ibis.Table) -> pd.DataFrame:
    frame = to_frame(table.limit(ROWS_SHOWN).to_pyarrow())
    for name in frame.columns:
        if pd.api.types.is_string_dtype(frame[name]) or frame[name].dtype == object:
            frame[name] = frame[name].map(escape_controls, na_action="ignore")
    return frame.rename(columns=escape_controls)
