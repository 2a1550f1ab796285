"""API events are selected by id where they have one, and listed and cited."""

from __future__ import annotations

import pandas as pd
import pytest

from flowbench.detect.api_calls import MOST_IDS, count_names, name_calls, select_events

T0 = pd.Timestamp("2026-09-01 03:00", tz="UTC")


def calls(count: int, **columns: object) -> pd.DataFrame:
    rows = {
        "event_id": [f"e-{n}" for n in range(count)],
        "event_time": [T0 + pd.Timedelta(minutes=n) for n in range(count)],
        "event_name": ["GetSecretValue"] * count,
        "principal_name": ["mira"] * count,
        "source_ip": ["198.51.100.7"] * count,
        "file": ["trail.json"] * count,
    }
    return pd.DataFrame(rows | columns)


@pytest.mark.parametrize("count", [1, 7, MOST_IDS])
def test_few_events_are_selected_by_id(count) -> None:
    selector = select_events(calls(count))
    assert set(selector.event_ids) == {f"e-{n}" for n in range(count)}
    assert (selector.principals, selector.first_seen) == ((), None)


@pytest.mark.parametrize(
    "rows",
    [calls(MOST_IDS + 1), calls(3, event_id=["e-0", None, "e-2"]), calls(1, event_id=[None])],
)
def test_many_events_and_those_without_id_are_selected_by_what_they_share(rows) -> None:
    selector = select_events(rows)
    assert (selector.event_ids, selector.principals) == ((), ("mira",))
    assert (selector.event_names, selector.source_ips) == (("GetSecretValue",), ("198.51.100.7",))
    assert (selector.first_seen, selector.last_seen) == (T0, rows["event_time"].max())


def test_what_is_missing_selects_nothing_away() -> None:
    rows = calls(2, event_id=[None, "e-1"], principal_name=["mira", None], source_ip=[None, None])
    selector = select_events(rows)
    assert (selector.principals, selector.source_ips) == ((), ())


def test_calls_are_counted() -> None:
    rows = calls(3, event_name=["B", "A", "B"])
    assert count_names(rows) == name_calls(rows) == "B 2x, A 1x"
    assert name_calls(calls(1)) == "GetSecretValue"
