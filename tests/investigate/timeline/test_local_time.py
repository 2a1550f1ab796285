"""Local times stand beside UTC, and never replace it."""

from __future__ import annotations

import pandas as pd
import pytest

from flowbench.errors import InputError
from flowbench.investigate.timeline import TABLE, add_local_time


def frame(*times: str) -> pd.DataFrame:
    return TABLE.frame({"time": pd.Timestamp(time), "activity": "x"} for time in times)


def test_summer_and_winter() -> None:
    events = frame("2026-07-01T12:00:00Z", "2026-12-01T12:00:00Z")
    rows = add_local_time(events, "Europe/Berlin")
    assert list(rows.columns[:2]) == ["time", "local_time"]
    assert [str(time) for time in rows["local_time"]] == [
        "2026-07-01 14:00:00+02:00",
        "2026-12-01 13:00:00+01:00",
    ]
    assert list(rows["time"]) == list(events["time"])
    assert list(events.columns) == TABLE.columns  # the argument is unchanged


@pytest.mark.parametrize(
    "zone", ["europe/berlim", "../../etc/passwd", "", "\x1b[2J", "/etc/localtime"]
)
def test_no_time_zone(zone: str) -> None:
    with pytest.raises(InputError, match="is not a time zone") as raised:
        add_local_time(frame("2026-07-01T12:00:00Z"), zone)
    assert "\x1b" not in str(raised.value)


def test_the_nearest_name_is_offered() -> None:
    with pytest.raises(InputError, match="Europe/Berlin"):
        add_local_time(frame("2026-07-01T12:00:00Z"), "europe/berlim")
