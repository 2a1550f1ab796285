"""Forms of transfers: on a schedule, steady, a few files, in a backup window."""

from __future__ import annotations

import pandas as pd
import pytest

from flowbench.detect.routine_transfers import (
    is_in_backup_window,
    is_occasional,
    is_persons_files,
    is_scheduled,
    is_scheduled_but_once,
    is_steady,
)
from tests.traffic import T0

HOUR = 3_600


@pytest.mark.parametrize(
    ("hours", "sizes", "by_the_clock"),
    [
        ([2, 26, 50], [9, 10, 9], True),
        ([0, 23.9, 48], [9, 10, 9], True),  # about midnight
        ([2, 26], [9, 10], True),
        ([2, 26, 50], [9, 90, 9], False),  # once much more
        ([2, 31, 50], [9, 10, 9], False),  # another hour
        ([30, 54], [9, 10], False),  # not on the first day: it may have begun with the thief
        ([40], [10], False),
        ([3, 9, 17, 26, 39, 45, 50, 61, 66], [5] * 9, False),
    ],
)
def test_what_comes_by_the_clock(hours: list[float], sizes: list[int], by_the_clock: bool) -> None:
    slots = pd.DataFrame({"slot": [int(T0 + h * HOUR) for h in hours], "sent": sizes})
    assert is_scheduled(slots, T0, 3 if max(hours) > 40 else 2) is by_the_clock


@pytest.mark.parametrize(
    ("hours", "sizes", "expected"),
    [
        ([2, 26, 35], [9, 10, 9], True),
        ([2, 11, 26, 50], [9, 14, 10, 9], True),
        ([2, 26, 35], [9, 10, 16], False),  # larger than the schedule's
        ([2, 26, 35, 44], [9, 10, 9, 9], False),  # two more
        ([2, 35], [9, 9], False),  # no schedule
        ([30, 35, 54], [9, 9, 9], False),  # not from the first day on
    ],
)
def test_a_backup_repeated_by_hand(hours: list[float], sizes: list[int], expected: bool) -> None:
    slots = pd.DataFrame({"slot": [int(T0 + h * HOUR) for h in hours], "sent": sizes})
    assert is_scheduled_but_once(slots, T0, 3 if max(hours) > 48 else 2) is expected


def test_a_schedule_begins_with_the_host() -> None:
    slots = pd.DataFrame({"slot": [T0 + h * HOUR for h in (50, 74, 98)], "sent": [9, 10, 9]})
    assert is_scheduled(slots, T0 + 40 * HOUR, 2.5)
    assert not is_scheduled(slots, T0, 4.2)


def amounts(*sent: int, step: int = 600) -> pd.DataFrame:
    return pd.DataFrame({"slot": [T0 + n * step for n in range(len(sent))], "sent": sent})


@pytest.mark.parametrize(
    ("slots", "hours", "least", "bar", "steady"),
    [
        (amounts(*[5] * 20, step=HOUR), 24, 18, HOUR, True),
        (amounts(*[5] * 17, step=HOUR), 20, 18, HOUR, False),  # too few hours
        (amounts(*[5] * 17, step=HOUR), 20, 4, HOUR, True),
        (amounts(*[5] * 14, step=HOUR), 20, 4, HOUR, False),  # less than three quarters
        (amounts(*[5] * 19, 26, step=HOUR), 20, 4, HOUR, False),  # a burst
        (amounts(*[5] * 9), 2, 6, 600, True),
        (amounts(*[5] * 5), 1, 6, 600, False),
    ],
)
def test_a_steady_flow(
    slots: pd.DataFrame, hours: float, least: int, bar: int, steady: bool
) -> None:
    assert is_steady(slots, hours * HOUR, least=least, bar=bar) is steady


@pytest.mark.parametrize(
    ("slots", "occasional"),
    [
        (amounts(9, 9, 9, step=2 * HOUR), True),
        (amounts(9, 9, 9), False),  # 27 without a pause
        (amounts(*[1] * 10), False),  # not a few
        (amounts(21), False),
    ],
)
def test_a_few_files(slots: pd.DataFrame, occasional: bool) -> None:
    assert is_occasional(slots, 20) is occasional


@pytest.mark.parametrize(
    ("minutes", "sent", "hosts", "backup"),
    [(20, 90, 3, True), (40, 90, 3, False), (20, 110, 3, False), (20, 90, 2, False)],
)
def test_a_backup_window(minutes: int, sent: int, hosts: int, backup: bool) -> None:
    def row(host: str, peer: str, minute: int, size: int) -> dict:
        begun = pd.Timestamp(T0 + 60 * minute, unit="s", tz="UTC")
        last = begun + pd.Timedelta(minutes=10)
        return {"host": host, "peer": peer, "sent": size, "first_seen": begun, "last_seen": last}

    common = pd.DataFrame([row(f"h{n}", "store", 0, 100) for n in range(hosts)])
    assert is_in_backup_window(pd.DataFrame([row("x", "y", minutes, sent)]), common)[0] == backup


@pytest.mark.parametrize(
    ("hours", "size", "expected"),
    [
        ([8, 10, 16, 33, 35, 40], 20e6, True),  # two working days
        ([8, 10, 16, 33, 35, 40], 26e6, False),  # larger than an attachment
        ([8, 16], 20e6, False),  # two occasions
        ([8, 10, 21, 33, 46], 20e6, False),  # also at night
        ([22, 23, 24, 26], 20e6, True),  # a night shift
        ([0, 7, 13, 19], 1e6, False),
    ],
)
def test_files_of_a_person(hours: list[int], size: float, expected: bool) -> None:
    slots = pd.DataFrame({"slot": [hour * 3_600 for hour in hours], "sent": size})
    assert is_persons_files(slots, 25e6) is expected
