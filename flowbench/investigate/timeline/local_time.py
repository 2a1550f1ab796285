"""Times of the timeline in a time zone, beside UTC."""

from __future__ import annotations

import difflib
import zoneinfo
from typing import TYPE_CHECKING

from flowbench.errors import InputError
from flowbench.text import escape_controls

if TYPE_CHECKING:
    import pandas as pd


def add_local_time(events: pd.DataFrame, zone: str) -> pd.DataFrame:
    """Return a timeline with the column ``local_time`` after ``time``, which remains in UTC.

    Args:
        events: Rows of the timeline (timeline.TABLE).
        zone: A name of the IANA time zone database: ``Europe/Berlin``.

    Raises:
        InputError: There is no such time zone.
    """
    try:
        local = zoneinfo.ZoneInfo(zone)
    except (OSError, ValueError, zoneinfo.ZoneInfoNotFoundError) as error:
        names = sorted(zoneinfo.available_timezones())
        by_case = {name.casefold(): name for name in names}
        close = difflib.get_close_matches(zone.casefold(), sorted(by_case), n=3)
        near = "".join(f", {by_case[name]}" for name in close)
        raise InputError(
            f"{escape_controls(zone)!r} is not a time zone: give a name of the IANA database"
            f"{near or ', such as Europe/Berlin'}"
        ) from error
    events = events.copy()
    events.insert(1, "local_time", events["time"].dt.tz_convert(local))
    return events
