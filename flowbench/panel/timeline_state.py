"""What the timeline panel shows: one value, from which every view of it is made."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime

import pandas as pd

from flowbench.detect import SEVERITIES


@dataclass(frozen=True)
class TimelineState:
    """Which events are shown, and which is open.

    Attributes:
        about: What the timeline is about; None for the case.
        since: Only what lasted until then or longer, UTC; None for all.
        until: Only what began before then, UTC; None for all.
        sources: Data sources, as timeline.TABLE has them; empty for all.
        severity: The lowest severity of findings and alerts; None for all. Events without one stay.
        event: The open event, see ``event_keys``; None without one.
    """

    about: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    sources: tuple[str, ...] = ()
    severity: str | None = None
    event: str | None = None

    def select(self, events: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of a timeline that are shown, with their index."""
        chosen = pd.Series(True, index=events.index)
        if self.since is not None:
            chosen &= events["end"].fillna(events["time"]) >= pd.Timestamp(self.since)
        if self.until is not None:
            chosen &= events["time"] < pd.Timestamp(self.until)
        if self.sources:
            chosen &= events["data_source"].isin(self.sources)
        if self.severity is not None:
            least = SEVERITIES.index(self.severity)
            chosen &= events["severity"].isna() | events["severity"].isin(SEVERITIES[least:])
        return events[chosen]

    def to_code(self) -> str:
        """Return the call that makes the same view."""
        arguments = ["case"]
        for field in fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                text = value.isoformat() if isinstance(value, datetime) else value
                arguments.append(f"{field.name}={text!r}")
        return f"fb.panel.timeline({', '.join(arguments)})"


def event_keys(events: pd.DataFrame) -> pd.Series:
    """Return a name for each row of a timeline that later timelines of the case have too.

    It is the id of the finding, API event or alert; else the evidence id, line and item of the
    record; else, of a note, its time. Where rows share that, the later ones have a number as well.
    """
    where = events["evidence_id"] + ":" + events["line"].astype("string")
    where += (":" + events["item"].astype("string")).fillna("")
    times = events["time"].map(lambda time: f"note:{time.isoformat()}")
    keys = events["evidence"].fillna(where).fillna(times)
    number = keys.groupby(keys).cumcount()
    return keys.where(number == 0, keys + "#" + (number + 1).astype("string"))
