"""Matching facts with rows: by normalised values and times, whatever the words."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from flowbench.scenario.exercises.facts import TRAFFIC_ACTIVITIES, AnswerKey, Fact
from flowbench.training.matching import KEYWORDS, Names, match_facts, tokens

T0 = 1_788_220_800  # 2026-09-01 00:00 UTC
SESSION = Fact("traffic", "administrative session", "192.0.2.66", "10.0.0.5", T0)
MINING_ENDS = Fact("traffic", "mining ends", "10.0.0.5", "203.0.113.9", T0 + 3_600)
CALL = Fact("api", "ListUsers", "prod-web/i-1", None, T0 + 100)
ALERT = Fact("alert", "Backdoor:EC2/C&CActivity.B", "10.0.0.5", "203.0.113.9", T0)
LOOK_UP = Fact("dns", "DNS query", "10.0.0.5", "pool.example", T0)
ALIASES = {"10.0.0.5": ["eni-1", "i-0aa", "web-1"]}


def is_stated(fact: Fact, window: int = 60, **row: Any) -> bool:
    times = {
        name: pd.to_datetime(row.pop(name, None), unit="s", utc=True) for name in ("time", "end")
    }
    key = AnswerKey("insider", {"window": window}, facts=[fact], aliases=ALIASES)
    (number,) = match_facts(key, pd.DataFrame([row | times]))
    assert number in (0, None)
    return number == 0


SSH = {"time": T0, "actor": "192.0.2.66", "activity": "SSH login", "object": "10.0.0.5"}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, True),
        ({"activity": "Administrative session"}, True),
        ({"object": "web-1 (i-0aa)"}, True),
        ({"object": "10.0.0.5:22"}, True),
        ({"object": "a, b and 10.0.0.5."}, True),
        ({"object": None, "detail": "192.0.2.66 logged in to 10.0.0.5."}, True),
        ({"object": "10.0.0.50"}, False),
        ({"actor": "192.0.2.6"}, False),
        ({"actor": None}, False),
        ({"activity": "port scan"}, False),
        ({"activity": None}, False),
        ({"time": T0 + 60}, True),
        ({"time": T0 + 61}, False),
        ({"time": None}, False),
    ],
)
def test_all_four_must_agree(changed: dict[str, Any], expected: bool) -> None:
    assert is_stated(SESSION, **SSH | changed) is expected


def test_a_window_is_allowed_for_traffic_alone() -> None:
    assert is_stated(SESSION, 600, **SSH | {"time": T0 - 590})
    query = {"actor": "10.0.0.5", "activity": "DNS query", "object": "pool.example"}
    assert is_stated(LOOK_UP, 600, time=T0 + 60, **query)
    assert not is_stated(LOOK_UP, 600, time=T0 + 90, **query)


def test_an_end_may_be_the_end_of_a_row() -> None:
    row = {"actor": "10.0.0.5", "activity": "Crypto-mining traffic", "object": "203.0.113.9"}
    assert is_stated(MINING_ENDS, time=T0, end=T0 + 3_650, **row)
    begins = Fact("traffic", "mining begins", "10.0.0.5", "203.0.113.9", T0 + 3_600)
    assert not is_stated(begins, time=T0, end=T0 + 3_650, **row)


def test_calls_may_share_a_row_that_names_them() -> None:
    row = {"actor": "prod-web/i-1", "activity": "Read-only API calls", "time": T0}
    detail = "prod-web/i-1 made 9 read-only API calls: ListRoles 8x, ListUsers 1x."
    assert is_stated(CALL, **row, end=T0 + 200, detail=detail)
    assert not is_stated(CALL, **row, end=T0 + 30, detail=detail)
    assert not is_stated(CALL, **row, end=T0 + 200, detail="9 calls: ListRoles 9x.")
    assert is_stated(CALL, **row | {"activity": "ListUsers", "time": T0 + 101})


def test_types_of_alerts_are_compared_whole() -> None:
    row = {"time": T0, "actor": "web-1", "object": "203.0.113.9"}
    assert is_stated(ALERT, activity="Backdoor:EC2/C&CActivity.B", **row)
    assert not is_stated(ALERT, activity="Backdoor:EC2/C&CActivity.B!DNS", **row)


def test_the_first_row_that_states_a_fact_counts() -> None:
    key = AnswerKey("insider", {"window": 60}, facts=[SESSION, LOOK_UP])
    row = SSH | {"time": pd.Timestamp(T0, unit="s", tz="UTC")}
    rows = pd.DataFrame([row | {"actor": "x"}, row, row])
    assert match_facts(key, rows) == [1, None]
    assert match_facts(key, rows.head(0)) == [None, None]


def test_every_activity_of_traffic_has_its_words() -> None:
    assert set(KEYWORDS) == set(TRAFFIC_ACTIVITIES)


def test_names_lead_to_one_another() -> None:
    names = Names(ALIASES)
    assert names.of("I-0AA") == names.of("10.0.0.5") == {"10.0.0.5", "eni-1", "i-0aa", "web-1"}
    assert names.of("Eve") == {"eve"}
    assert tokens(float("nan")) == frozenset()
