"""Hours that stand out of a host's own: in bytes, in calls, in refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flowbench import detect
from flowbench.case import Case
from tests.detect.detectors.common import run_named
from tests.traffic import FIELDS, T0, Record, connect, interface, make_case, move, reject

HOST, SIX, SITE, PEER = "10.0.0.5", "2001:db8:1::5", "203.0.113.9", "198.51.100.7"
HOUR = 3_600
V2 = ["version", "account_id", "interface_id", "srcaddr", "dstaddr", "srcport", "dstport",
      "protocol", "packets", "bytes", "start", "end", "action", "log_status"]  # fmt: skip


def usual(host: str = HOST, hours: int = 72, window: int = 60) -> list[Record]:
    return [
        record
        for hour in range(hours)
        for record in connect(
            host, SITE, 443, T0 + hour * HOUR, source_port=41_000 + hour, out=2_000_000,
            window=window,
        )
    ]  # fmt: skip


def large(hour: int, out: int = 300_000_000, host: str = HOST, **more) -> list[Record]:
    return list(connect(host, PEER, 443, T0 + hour * HOUR, source_port=50_000, out=out, **more))


def pushes(count: int, out: int = 40_000_000, *, early: bool = True) -> list[Record]:
    """What other hosts send to the same place, each at hours of its own, first and last day."""
    hours = [(n, hour) for n in range(count) for hour in ([5 + n] if early else []) + [60 + n]]
    return [r for n, hour in hours for r in large(hour, out, host=f"10.0.0.{20 + n}")]


def refused(host: str, count: int) -> list[Record]:
    at = range(0, count * 10, 10)
    return [reject(host, "10.0.1.9", 5432, T0 + 30 * HOUR + s, source_port=10_000 + s)
            for s in at]  # fmt: skip


def shared(shares: tuple[int, ...]) -> list[Record]:
    """An hour's bytes to several peers, with page visits to others."""
    parts = [
        r
        for n, share in enumerate(shares)
        for r in connect(HOST, f"198.51.{n}.7", 443, T0 + 40 * HOUR, out=share * 4_000_000)
    ]
    visits = [r for n in range(100) for r in connect(HOST, f"192.0.2.{n}", 443, T0 + 40 * HOUR)]
    return [*usual(), *parts, *visits]


def estates() -> dict[str, list[Record]]:
    """What several hosts send to one place, and what only seems so."""
    mine = [*usual(), *large(40)]
    rest = connect(HOST, "192.0.2.9", 443, T0 + 40 * HOUR, source_port=51_000, out=150_000_000)
    fits = [r for h in (5, 21, 33, 39) for r in large(h)]  # four releases, and then a theft
    theft = connect(HOST, "192.0.2.9", 443, T0 + 55 * HOUR, source_port=51_000, out=400_000_000)
    return {
        "release": [*mine, *pushes(4)],
        "two": [*mine, *pushes(2)],
        "far more": [*mine, *pushes(4, 20_000_000)],
        "new": [*mine, *pushes(4, early=False)],  # a distributed theft
        "rest": [*mine, *pushes(4), *rest],
        "theft": [*usual(), *fits, *theft, *pushes(4)],
    }


NO_SPIKES = {
    "little": [*usual(), *large(40, 60_000_000)],
    "each day at an hour": [*usual(), *large(17), *large(41)],
    "about the same time": [*usual(), *large(16), *large(41, 200_000_000)],
    "by fits": [*usual(), *[r for h in (5, 21, 33, 39) for r in large(h)]],
    "what came in": [*usual(), *connect(PEER, HOST, 443, T0, out=900_000_000)],
}
SHARES = {(85, 10, 5): 1, (40, 30, 20, 10): 3, tuple(range(20, 9, -1)): 5}  # peers to name


def of_three_days() -> dict[Any, list[Record]]:
    calls = [
        r
        for n in range(1_100)
        for r in connect(
            HOST, f"198.51.{n // 250}.{n % 250}", 80, T0 + 50 * HOUR + n, source_port=20_000 + n
        )
    ]
    tries = [reject(HOST, f"10.0.1.{n % 250}", 22, T0 + 30 * HOUR + n * 10, source_port=10_000 + n)
             for n in range(250)]  # fmt: skip
    six = connect(SIX, "2001:db8:9::1", 443, T0 + 40 * HOUR, out=300_000_000)
    alone = [*usual(), *refused(HOST, 250), *refused("10.0.0.20", 40)]
    return {
        "bytes": [*usual(), *large(40)],
        "much": [*usual(), *large(40, 2_000_000_000)],
        "counts": [*usual(), *calls, *tries],
        **{shares: shared(shares) for shares in SHARES},
        "ipv6": [*usual(SIX), *six],
        **estates(),
        "alone": alone,
        "all": [*alone, *(r for n in (21, 22) for r in refused(f"10.0.0.{n}", 40))],
        **NO_SPIKES,
    }


Rows = dict[Any, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def three_days(tmp_path_factory) -> Rows:
    """The findings of each situation in logs of three days."""
    each = of_three_days()
    hosts = [
        interface(
            move(HOST, n),
            str(n),
            **({"Ipv6Addresses": [{"Ipv6Address": move(SIX, n)}]} if name == "ipv6" else {}),
        )
        for n, name in enumerate(each, 1)
    ]
    rows = run_named(tmp_path_factory.mktemp("spike"), "spike", each, interfaces=hosts)
    return {name: found.to_dict("records") for name, found in rows.items()}


def found(folder: Path, *records: Record, fields: list[str] = FIELDS) -> list[dict]:
    hosts = [interface(HOST, "5")]
    case = make_case(folder / "c", records, interfaces=hosts, fields=fields)
    return detect.run(case, ["spike"]).to_pandas().to_dict("records")


def check_bytes(one: dict[str, Any], host: str, peer: str) -> None:
    assert (one["severity"], one["subject"]) == ("low", HOST)
    assert one["peers"] == [PEER]
    assert one["bytes_out"] == 300_000_000
    assert one["summary"] == (
        f"{host} sent 302.0 MB to external addresses in the hour from 2026-09-02 16:00 UTC; the"
        f" median of its other hours is 2.0 MB. 99% of this was with {peer} (of 2 peers)."
    )
    assert one["scores"] == {"sent": 1.0, "main_peers": 0.993}


def test_an_hour_of_bytes(three_days: Rows) -> None:
    (one,) = three_days["bytes"]
    check_bytes(one, move(HOST, 1), move(PEER, 1))
    assert one["supporting"] == 2


def test_an_hour_of_bytes_in_windows_of_ten_minutes(tmp_path: Path) -> None:
    (one,) = found(tmp_path, *usual(window=600), *large(40, window=600), fields=V2)
    check_bytes(one, HOST, PEER)
    case = Case.open(tmp_path / "c" / "case")
    assert len(case.evidence_for(one)) == 2


def test_much_more_is_graver(three_days: Rows) -> None:
    (one,) = three_days["much"]
    assert one["severity"] == "medium"


def test_calls_and_refusals_are_counted(three_days: Rows) -> None:
    (one,) = three_days["counts"]
    assert (
        "opened 1,101 connections to external addresses in the hour from 2026-09-03 02:00"
        in one["summary"]
    )
    assert "had 250 connections rejected in the hour from 2026-09-02 06:00 UTC" in one["summary"]
    assert len(one["peers"]) == 10  # of 1,350, five by measure


@pytest.mark.parametrize(("shares", "named"), SHARES.items())
def test_only_peers_that_make_the_spike_are_named(
    three_days: Rows, shares: tuple, named: int
) -> None:
    (one,) = three_days[shares]
    assert sorted(one["peers"]) == sorted(f"198.51.{n}.7" for n in range(named))


def test_a_host_is_compared_with_the_hours_of_its_lifetime(tmp_path: Path) -> None:
    """A host of one day that always sends as much has no spike, although the logs have a week."""
    day = [
        r
        for hour in range(24)
        for r in connect("10.0.0.8", PEER, 443, T0 + (80 + hour) * HOUR, out=150_000_000)
    ]
    brief = connect("10.0.0.9", "198.51.100.8", 443, T0 + 80 * HOUR, out=900_000_000)
    assert found(tmp_path, *usual(hours=168), *day, *brief) == []


def test_over_ipv6(three_days: Rows) -> None:
    assert [row["subject"] for row in three_days["ipv6"]] == [SIX]


def test_what_several_hosts_send_to_one_place_is_the_estates(three_days: Rows) -> None:
    assert three_days["release"] == []
    (one,) = three_days["two"]
    assert (one["subject"], one["severity"]) == (HOST, "low")
    for name in ("far more", "new"):
        (one,) = three_days[name]
        assert one["subject"] == HOST
    (one,) = three_days["rest"]
    assert "sent 452.0 MB to external addresses" in one["summary"]


def test_what_is_the_estates_does_not_hide_what_is_not(three_days: Rows) -> None:
    (one,) = three_days["theft"]
    assert (
        "sent 402.0 MB to external addresses in the hour from 2026-09-03 07:00 UTC"
        in one["summary"]
    )
    assert one["peers"] == ["192.0.2.9"]
    assert one["bytes_out"] == 400_000_000


def test_a_service_that_is_down_refuses_all(three_days: Rows) -> None:
    (one,) = three_days["alone"]
    assert "had 250 connections rejected" in one["summary"]
    assert three_days["all"] == []


@pytest.mark.parametrize("name", NO_SPIKES)
def test_what_is_no_spike(three_days: Rows, name: str) -> None:
    assert three_days[name] == []


def test_logs_of_less_than_a_day_have_no_spike(tmp_path: Path) -> None:
    assert found(tmp_path, *usual(hours=20), *large(10)) == []
