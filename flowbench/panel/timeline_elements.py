"""What the timeline panel's front end draws: lanes, and a bar or mark for each event, as JSON."""

from __future__ import annotations

import textwrap
from typing import Any

import pandas as pd

from flowbench.plot import theme
from flowbench.plot.timeline import LANES, assign_rows
from flowbench.text import escape_controls, format_count, format_period, format_utc

_LABEL = 36  # characters of a lane's label
_FACT = 90  # characters of a line at the pointer
_ROOM = pd.Timedelta(minutes=1)  # at least, before the first event and after the last


def to_elements(events: pd.DataFrame, keys: pd.Series) -> dict[str, Any]:
    """Convert events to what the front end draws.

    Lanes are those of plot.timeline. Findings and alerts have the colour of their severity.

    Args:
        events: Rows of timeline.TABLE.
        keys: The key of each, by the same index; see timeline_state.event_keys.

    Returns:
        title, hint, lanes (labels), marks, first and last (the ends of the axis, in ms).
    """
    if events.empty:
        hint = "There are no events in this period and of these sources."
        return {"title": "Timeline", "hint": hint, "lanes": [], "marks": [], "first": 0, "last": 1}
    rows, labels, omitted = assign_rows(events)
    first, last = events["time"].min(), events["end"].fillna(events["time"]).max()
    room = max((last - first) * 0.02, _ROOM)
    hint = "Drag across the lanes to choose a period; click a mark to see its evidence."
    if omitted:
        hint += f" {format_count(omitted, 'event')} of crowded lanes are not drawn."
    return {
        "title": f"Timeline, {format_period(first, last)}",
        "hint": hint,
        "lanes": [theme.shorten(escape_controls(label), _LABEL) for label in labels],
        "marks": [_mark(event, str(keys[event.Index])) for event in rows.itertuples()],
        "first": _milliseconds(first - room),
        "last": _milliseconds(last + room),
    }


def _mark(event: Any, key: str) -> dict[str, Any]:
    is_period = not pd.isna(event.end) and event.end > event.time
    _label, colour = LANES[event.data_source]
    time = format_utc(event.time, seconds=True)
    if is_period:
        time = format_period(event.time, event.end, seconds=True)
    severity = [] if pd.isna(event.severity) else [f"severity: {event.severity}"]
    lines = textwrap.wrap(escape_controls(event.detail), _FACT)
    return {
        "id": key,
        "lane": event.row,
        "start": _milliseconds(event.time),
        "end": _milliseconds(event.end) if is_period else None,
        "color": theme.SEVERITY.get(str(event.severity), colour),
        "cross": ": failed" in event.detail,
        "facts": [time, escape_controls(event.activity), *severity, *lines],
    }


def _milliseconds(time: pd.Timestamp) -> int:
    return int(time.timestamp() * 1000)
