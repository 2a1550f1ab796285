"""Far more than a usual day leaves is found; nightly jobs, shared places and busy hosts are not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from flowbench.detect.detectors.exfiltration import is_scheduled
from flowbench.schema import DEFAULT_FORMAT
from tests.detect.detectors.common import run
from tests.traffic import T0, Record, connect, make_case

HOST, DROP, SAAS = "10.0.0.5", "198.51.100.9", "203.0.113.200"
HOUR, DAY = 3_600, 86_400


def usual(host: str = HOST, *, out: int = 250_000, days: int = 3) -> Iterator[Record]:
    """6 MB a day to a service that several hosts use."""
    for n in range(24 * days):
        yield from connect(host, SAAS, 443, T0 + n * HOUR, source_port=33_000 + n, out=out)


def sent(at: int, size: float, *, peer: str = DROP, n: int = 0, **more: object) -> list[Record]:
    return list(
        connect(HOST, peer, 443, at, seconds=600, out=int(size), back=90_000,
             source_port=50_000 + n, **more)
    )  # fmt: skip


def test_in_one_go_it_is_found_with_its_measure(tmp_path: Path) -> None:
    case = make_case(tmp_path, [*usual(), *sent(T0 + 40 * HOUR, 60e6)], fields=DEFAULT_FORMAT)
    (row,) = run(case, "exfiltration").to_dict("records")
    assert (row["subject"], row["peer"], row["severity"]) == (HOST, DROP, "medium")
    assert (row["bytes_out"], row["service_port"]) == (59_999_995, 443)
    assert "10 times its daily average to all other external addresses (6.1 MB" in row["summary"]


def test_spread_over_all_days_it_is_found_too(tmp_path: Path) -> None:
    hours = [3, 9, 17, 26, 39, 45, 50, 61, 66, 70]
    parts = [r for n, hour in enumerate(hours) for r in sent(T0 + hour * HOUR, 5e6, n=n)]
    (row,) = run(make_case(tmp_path, [*usual(), *parts]), "exfiltration").to_dict("records")
    assert (row["peer"], row["connections"]) == (DROP, 10)


def test_a_gigabyte_or_a_listed_place_makes_it_high(tmp_path: Path) -> None:
    case = make_case(tmp_path / "1", [*usual(), *sent(T0 + 40 * HOUR, 2e9)])
    assert run(case, "exfiltration")["severity"].tolist() == ["high"]
    listed = f"indicator,kind,feed\n{DROP},c2,list\n"
    case = make_case(tmp_path / "2", [*usual(), *sent(T0 + 40 * HOUR, 60e6)], indicators=listed)
    assert run(case, "exfiltration")["severity"].tolist() == ["high"]
    over = f"indicator,kind,feed,valid_until\n{DROP},c2,list,2026-08-31\n"
    case = make_case(tmp_path / "3", [*usual(), *sent(T0 + 40 * HOUR, 60e6)], indicators=over)
    assert run(case, "exfiltration")["severity"].tolist() == ["medium"]


def test_two_thefts_from_one_host_do_not_excuse_each_other(tmp_path: Path) -> None:
    both = [*sent(T0 + 40 * HOUR, 60e6), *sent(T0 + 50 * HOUR, 90e6, peer="198.51.100.10", n=1)]
    found = run(make_case(tmp_path, [*usual(), *both]), "exfiltration")
    assert found["peer"].tolist() == ["198.51.100.10", DROP]
    assert (
        "10 times its daily average to all other external addresses (6.1 MB"
        in found["summary"].iloc[1]
    )


@pytest.mark.parametrize(("size", "count", "found"), [(5e6, 8, 0), (5e6, 12, 1), (25e6, 2, 1)])
def test_a_few_attachments_are_no_theft(
    tmp_path: Path, size: float, count: int, found: int
) -> None:
    files = [r for n in range(count) for r in sent(T0 + (9 + 5 * n) * HOUR, size, n=n)]
    case = make_case(tmp_path, [*usual(out=100_000), *files])
    assert len(run(case, "exfiltration")) == found


def test_two_attachments_of_one_hour_are_two(tmp_path: Path) -> None:
    late = sent(T0 + 40 * HOUR + 3_000, 12e6, n=1)
    case = make_case(tmp_path / "1", [*usual(out=100_000), *sent(T0 + 40 * HOUR, 11e6), *late])
    assert run(case, "exfiltration").empty
    soon = sent(T0 + 40 * HOUR + 900, 12e6, n=1)
    case = make_case(tmp_path / "2", [*usual(out=100_000), *sent(T0 + 40 * HOUR, 11e6), *soon])
    assert run(case, "exfiltration")["bytes_out"].tolist() == [22_999_999]


@pytest.mark.parametrize(
    ("hour", "size", "hosts", "days", "found"),
    [
        (2.0, 80e6, 3, 1, 0),  # as the others do it
        (2.4, 80e6, 3, 1, 0),
        (9.0, 80e6, 3, 1, 1),  # at another hour
        (2.0, 300e6, 3, 1, 1),  # more than any of them
        (2.0, 80e6, 2, 1, 1),  # two make no window
        (2.0, 80e6, 3, 3, 1),  # of three nights it came in one only
    ],
)
def test_in_logs_of_one_day_the_estates_backup_window_tells(
    tmp_path: Path, hour: float, size: float, hosts: int, days: int, found: int
) -> None:
    night = [
        r
        for n in range(hosts)
        for r in connect(f"10.0.0.{n + 20}", "192.0.2.7", 443, T0 + 2 * HOUR + 300 * n, seconds=900,
                      out=100_000_000)
    ]  # fmt: skip
    case = make_case(tmp_path, [*usual(days=days), *night, *sent(int(T0 + hour * HOUR), size)])
    assert [row for row in run(case, "exfiltration")["peer"] if row == DROP] == [DROP] * found


def test_it_may_be_fetched_from_outside(tmp_path: Path) -> None:
    fetched = connect(DROP, HOST, 22, T0 + 30 * HOUR, seconds=900, out=50_000, back=90_000_000)
    (row,) = run(make_case(tmp_path, [*usual(), *fetched]), "exfiltration").to_dict("records")
    assert "(initiated by the peer)" in row["summary"]
    assert row["bytes_out"] > 89_000_000


def test_the_nightly_job_the_shared_place_and_the_usual_are_silent(tmp_path: Path) -> None:
    nightly = [r for d in range(3) for r in sent(T0 + d * DAY + 2 * HOUR, 80e6, n=d)]
    assert run(make_case(tmp_path / "1", [*usual(), *nightly]), "exfiltration").empty
    shared = sent(T0 + 40 * HOUR, 80e6)
    for n in (6, 7):
        shared += connect(f"10.0.0.{n}", DROP, 443, T0 + 5_000, seconds=600, out=80_000_000)
    assert run(make_case(tmp_path / "2", [*usual(), *shared]), "exfiltration").empty
    busy = [*usual(out=1_500_000), *sent(T0 + 40 * HOUR, 60e6)]
    assert run(make_case(tmp_path / "3", busy), "exfiltration").empty
    both_ways = connect(HOST, DROP, 443, T0, seconds=600, out=60_000_000, back=60_000_000)
    assert run(make_case(tmp_path / "4", [*usual(), *both_ways]), "exfiltration").empty


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
