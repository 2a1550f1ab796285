"""What the hunting bench's front end draws, as JSON: activity, bars and rows.

Each bar and cell that can be clicked has the filter expression that the click adds. Text is shown
as text there; characters that hide or reorder text are codes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from flowbench.enrich import ports
from flowbench.investigate.where.syntax import quote
from flowbench.panel.bench_state import BenchState
from flowbench.plot import theme
from flowbench.text import escape_controls, format_bytes, format_count, format_period, format_time

Json = dict[str, Any]

PAGE = 25  # rows
_LABEL = 80  # characters of a bar; its title has all

_PLAIN = ("initiator_port", "srcport", "dstport", "protocol", "line")  # numbers without commas
_CONNECTION_COLUMNS = {
    "first_seen": "First seen (UTC)",
    "initiator": "Initiator",
    "responder": "Responder",
    "service_port": "Service",
    "verdict": "Verdict",
    "bytes_out": "Bytes out",
    "bytes_in": "Bytes in",
    "direction": "Direction",
    "last_seen": "Last seen (UTC)",
    "initiator_port": "Initiator port",
    "records": "Records",
}
_RECORD_COLUMNS = {
    "start": "Start (UTC)",
    "srcaddr": "Source",
    "srcport": "Source port",
    "dstaddr": "Destination",
    "dstport": "Destination port",
    "action": "Action",
    "bytes": "Bytes",
    "packets": "Packets",
    "protocol": "Protocol",
    "end": "End (UTC)",
    "interface_id": "Interface",
    "evidence_id": "Evidence",
    "line": "Line",
}


def format_amount(row: Mapping[str, Any], measure: str) -> str:
    """Write the measure of a row of sums."""
    if measure == "bytes":
        return format_bytes(row["bytes"])
    return f"{row[measure]:,}"


def describe_totals(totals: Mapping[str, int], state: BenchState) -> str:
    """Write the sums of a view as a sentence."""
    connections = format_count(totals["connections"], "connection")
    chosen = state.period
    period = f", starting {format_period(chosen.since, chosen.until)}" if chosen else ""
    return (
        f"{connections}, {totals['rejected']:,} rejected, {format_bytes(totals['bytes'])}{period}."
    )


def activity_content(rows: pd.DataFrame, state: BenchState) -> Json:
    """Convert activity (crossfilter.ACTIVITY) to what the front end draws.

    Returns:
        title; rows with label, end, value, rejected (as high as value) and text; the positions of
        the brushed period, first and until.
    """
    measure = state.measure
    drawn = [
        {
            "label": format_time(row["since"]),
            "end": format_time(row["until"]),
            "value": int(row[measure]),
            "rejected": int(row["rejected"]) if measure != "bytes" else 0,
            "text": f"{format_count(row['connections'], 'connection')}, {row['rejected']:,}"
            f" rejected, {format_bytes(row['bytes'])}",
        }
        for row in rows.to_dict("records")
    ]
    first, until = 0, len(drawn)
    if state.period:
        first = int((rows["until"] <= state.since).sum())
        until = int((rows["since"] < state.until).sum())
    length = rows["until"].iloc[0] - rows["since"].iloc[0] if drawn else pd.Timedelta(0)
    title = f"{measure.capitalize()} by start" + (f", {_length(length)} a bar" if drawn else "")
    if drawn and measure == "connections":
        title += "; the lower part of a bar: rejected"
    return {"title": title, "rows": drawn, "first": first, "until": until}


def bar_content(tables: Mapping[str, pd.DataFrame], state: BenchState) -> list[Json]:
    """Convert hosts, services and countries (crossfilter) to what the front end draws.

    Returns:
        Of each, title, empty (what is said without any), and items with label, title, value, text
        and the condition that a click adds.
    """
    kinds: tuple[tuple[str, str, str, Callable[[Json], tuple[str, str, str]]], ...] = (
        ("hosts", "Top talkers", "No host.", _host),
        ("services", "Service ports", "No service port.", _service),
        ("countries", "Countries", "No country is known for these addresses.", _country),
    )
    return [
        {
            "title": f"{title} by {state.measure}",
            "empty": empty,
            "items": [_item(row, state.measure, describe) for row in _records(tables[name])],
        }
        for name, title, empty, describe in kinds
    ]


def row_content(rows: pd.DataFrame, state: BenchState, most: int) -> Json:
    """Convert a page of connections or flow records to what the front end draws.

    Args:
        rows: A page, and one row more if there is another page.
        state: What is shown.
        most: The number of rows to which one can page.
    """
    is_records = state.rows == "records"
    columns = _RECORD_COLUMNS if is_records else _CONNECTION_COLUMNS
    convert = _record_cells if is_records else _connection_cells
    first = state.page * PAGE
    shown = [convert(row) for row in _records(rows.head(PAGE))]
    has_later = len(rows) > PAGE and first + PAGE < most
    note = f"Rows {first + 1:,} to {first + len(shown):,} by time" if shown else _no_row(state)
    if len(rows) > PAGE and not has_later:
        note += "; a narrower filter shows those that follow"
    return {
        "kind": state.rows,
        "columns": list(columns.values()),
        "rows": shown,
        "note": f"{note}.",
        "has_earlier": state.page > 0,
        "has_later": has_later,
    }


def _no_row(state: BenchState) -> str:
    kind = "flow record" if state.rows == "records" else "connection"
    return f"No {kind} matches" if state.filter or state.period else f"The case has no {kind}"


def _records(rows: pd.DataFrame) -> list[Json]:
    """The rows as dictionaries; missing values are None."""
    frame = rows.astype(object)
    return frame.where(frame.notna(), None).to_dict("records")


def _item(row: Json, measure: str, describe: Callable[[Json], tuple[str, str, str]]) -> Json:
    label, title, condition = describe(row)
    return {
        "label": theme.shorten(escape_controls(label), _LABEL),
        "title": escape_controls(title),
        "value": int(row[measure]),
        "text": format_amount(row, measure),
        "condition": condition,
    }


def _host(row: Json) -> tuple[str, str, str]:
    known = [row["name"], row["country"], row["network_owner"]]
    if row["indicators"]:
        known.insert(0, format_count(row["indicators"], "indicator"))
    label = row["address"] + (f" ({row['name']})" if row["name"] else "")
    words = [row["address"], "internal" if row["internal"] else "external", *filter(None, known)]
    return ("⚠ " if row["indicators"] else "") + label, ", ".join(words), f"ip = {row['address']}"


def _service(row: Json) -> tuple[str, str, str]:
    label = ports.label(row["service_port"], row["protocol"])
    return label, label, _service_condition(row["service_port"], row["protocol"])


def _service_condition(port: int, protocol: int | None) -> str:
    known = "" if protocol is None else ports.PROTOCOLS.get(protocol, str(protocol))
    return f"dport = {port}" + (f" and proto = {known}" if known else "")


def _country(row: Json) -> tuple[str, str, str]:
    return row["country"], row["country"], f"country = {row['country']}"


def _length(length: pd.Timedelta) -> str:
    seconds = int(length.total_seconds())
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= size:
            return format_count(seconds // size, unit)
    return format_count(seconds, "second")


def _cell(text: object, condition: str = "") -> Json:
    return {"text": "" if text is None else escape_controls(text), "condition": condition}


def _connection_cells(row: Json) -> list[Json]:
    verdict, term = "unanswered", "not rejected and not answered"
    if row["rejected"]:
        verdict, term = "rejected", "rejected"
    elif row["answered"]:
        verdict, term = "answered", "answered"
    port, protocol = row["service_port"], row["protocol"]
    conditions = {
        "initiator": f"src = {row['initiator']}",
        "responder": f"dst = {row['responder']}",
        "service_port": _service_condition(port, protocol),
        "direction": f"direction = {row['direction']}",
        "verdict": term,
    }
    texts = row | {"verdict": verdict, "service_port": ports.label(port, protocol)}
    return [_any_cell(name, texts[name], conditions.get(name, "")) for name in _CONNECTION_COLUMNS]


def _record_cells(row: Json) -> list[Json]:
    conditions = {
        "srcaddr": f"src = {row['srcaddr']}",
        "dstaddr": f"dst = {row['dstaddr']}",
        "srcport": f"sport = {row['srcport']}",
        "dstport": f"dport = {row['dstport']}",
        "interface_id": f"interface = {quote(row['interface_id'] or '')}",
    }
    return [
        _any_cell(name, row[name], conditions.get(name, "") if row[name] is not None else "")
        for name in _RECORD_COLUMNS
    ]


def _any_cell(name: str, value: object, condition: str) -> Json:
    if isinstance(value, pd.Timestamp):
        return _cell(format_time(value, seconds=True))
    if isinstance(value, int) and name not in _PLAIN:
        return _cell(f"{value:,}")
    return _cell(value, condition)
