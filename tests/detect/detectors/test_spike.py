"""Hours that stand out of a host's own: in bytes, in calls, in refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowbench import detect
from flowbench.case import Case
from tests.traffic import FIELDS, T0, Record, connect, interface, make_case, reject

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


def found(folder: Path, *records: Record, fields: list[str] = FIELDS) -> list[dict]:
    hosts = [interface(HOST, "5")]
    case = make_case(folder / "c", records, interfaces=hosts, fields=fields)
    return detect.run(case, ["spike"]).to_pandas().to_dict("records")


@pytest.mark.parametrize(("window", "fields"), [(60, FIELDS), (600, V2)])
def test_an_hour_of_bytes(tmp_path, window: int, fields: list[str]) -> None:
    records = [*usual(window=window), *large(40, window=window)]
    (one,) = found(tmp_path, *records, fields=fields)
    assert (one["severity"], one["subject"]) == ("low", HOST)
    assert one["peers"] == [PEER]
    assert one["bytes_out"] == 300_000_000
    assert one["summary"] == (
        "10.0.0.5 sent 302.0 MB to external addresses in the hour from 2026-09-02 16:00 UTC; the"
        " median of its other hours is 2.0 MB. 99% of this was with 198.51.100.7 (of 2 peers)."
    )
    assert one["scores"] == {"sent": 1.0, "main_peers": 0.993}
    case = Case.open(tmp_path / "c" / "case")
    assert len(case.evidence_for(one)) == 2


def test_much_more_is_graver(tmp_path) -> None:
    (one,) = found(tmp_path, *usual(), *large(40, 2_000_000_000))
    assert one["severity"] == "medium"


def test_calls_and_refusals_are_counted(tmp_path) -> None:
    calls = [
        r
        for n in range(1_100)
        for r in connect(
            HOST, f"198.51.{n // 250}.{n % 250}", 80, T0 + 50 * HOUR + n, source_port=20_000 + n
        )
    ]
    tries = [reject(HOST, f"10.0.1.{n % 250}", 22, T0 + 30 * HOUR + n * 10, source_port=10_000 + n)
             for n in range(250)]  # fmt: skip
    (one,) = found(tmp_path, *usual(), *calls, *tries)
    assert (
        "opened 1,101 connections to external addresses in the hour from 2026-09-03 02:00"
        in one["summary"]
    )
    assert "had 250 connections rejected in the hour from 2026-09-02 06:00 UTC" in one["summary"]
    assert len(one["peers"]) == 10  # of 1,350, five by measure


@pytest.mark.parametrize(
    ("shares", "named"), [((85, 10, 5), 1), ((40, 30, 20, 10), 3), (tuple(range(20, 9, -1)), 5)]
)
def test_only_peers_that_make_the_spike_are_named(tmp_path, shares: tuple, named: int) -> None:
    parts = [
        r
        for n, share in enumerate(shares)
        for r in connect(HOST, f"198.51.{n}.7", 443, T0 + 40 * HOUR, out=share * 4_000_000)
    ]
    visits = [r for n in range(100) for r in connect(HOST, f"192.0.2.{n}", 443, T0 + 40 * HOUR)]
    (one,) = found(tmp_path, *usual(), *parts, *visits)
    assert sorted(one["peers"]) == sorted(f"198.51.{n}.7" for n in range(named))


def test_a_host_is_compared_with_the_hours_of_its_lifetime(tmp_path) -> None:
    """A host of one day that always sends as much has no spike, although the logs have a week."""
    day = [
        r
        for hour in range(24)
        for r in connect("10.0.0.8", PEER, 443, T0 + (80 + hour) * HOUR, out=150_000_000)
    ]
    assert found(tmp_path / "day", *usual(hours=168), *day) == []
    brief = connect("10.0.0.8", PEER, 443, T0 + 80 * HOUR, out=900_000_000)
    assert found(tmp_path / "hour", *usual(hours=168), *brief) == []


def test_over_ipv6(tmp_path) -> None:
    records = [*usual(SIX), *connect(SIX, "2001:db8:9::1", 443, T0 + 40 * HOUR, out=300_000_000)]
    hosts = [interface(HOST, "5", Ipv6Addresses=[{"Ipv6Address": SIX}])]
    case = make_case(tmp_path / "c", records, interfaces=hosts)
    assert [f["subject"] for f in detect.run(case, ["spike"]).to_pandas().to_dict("records")] == [
        SIX
    ]


def pushes(count: int, out: int = 40_000_000, *, early: bool = True) -> list[Record]:
    """What other hosts send to the same place, each at hours of its own, first and last day."""
    hours = [(n, hour) for n in range(count) for hour in ([5 + n] if early else []) + [60 + n]]
    return [r for n, hour in hours for r in large(hour, out, host=f"10.0.0.{20 + n}")]


def test_what_several_hosts_send_to_one_place_is_the_estates(tmp_path) -> None:
    mine = [*usual(), *large(40)]
    assert found(tmp_path / "release", *mine, *pushes(4)) == []
    (one,) = found(tmp_path / "two", *mine, *pushes(2))
    assert (one["subject"], one["severity"]) == (HOST, "low")
    (one,) = found(tmp_path / "far more", *mine, *pushes(4, 20_000_000))
    assert one["subject"] == HOST
    (one,) = found(tmp_path / "new", *mine, *pushes(4, early=False))  # a distributed theft
    assert one["subject"] == HOST
    elsewhere = connect(HOST, "192.0.2.9", 443, T0 + 40 * HOUR, source_port=51_000, out=150_000_000)
    (one,) = found(tmp_path / "rest", *mine, *pushes(4), *elsewhere)
    assert "sent 452.0 MB to external addresses" in one["summary"]


def test_what_is_the_estates_does_not_hide_what_is_not(tmp_path) -> None:
    fits = [r for h in (5, 21, 33, 39) for r in large(h)]  # four releases, and then a theft
    theft = connect(HOST, "192.0.2.9", 443, T0 + 55 * HOUR, source_port=51_000, out=400_000_000)
    (one,) = found(tmp_path, *usual(), *fits, *theft, *pushes(4))
    assert (
        "sent 402.0 MB to external addresses in the hour from 2026-09-03 07:00 UTC"
        in one["summary"]
    )
    assert one["peers"] == ["192.0.2.9"]
    assert one["bytes_out"] == 400_000_000


def test_a_service_that_is_down_refuses_all(tmp_path) -> None:
    def tries(host: str, count: int) -> list[Record]:
        at = range(0, count * 10, 10)
        return [reject(host, "10.0.1.9", 5432, T0 + 30 * HOUR + s, source_port=10_000 + s)
                for s in at]  # fmt: skip

    alone = [*usual(), *tries(HOST, 250), *tries("10.0.0.20", 40)]
    (one,) = found(tmp_path / "alone", *alone)
    assert "had 250 connections rejected" in one["summary"]
    others = [r for n in (21, 22) for r in tries(f"10.0.0.{n}", 40)]
    assert found(tmp_path / "all", *alone, *others) == []


@pytest.mark.parametrize(
    "records",
    [
        pytest.param([*usual(), *large(40, 60_000_000)], id="little"),
        pytest.param([*usual(), *large(17), *large(41)], id="each day at an hour"),
        pytest.param([*usual(), *large(16), *large(41, 200_000_000)], id="about the same time"),
        pytest.param([*usual(), *[r for h in (5, 21, 33, 39) for r in large(h)]], id="by fits"),
        pytest.param([*usual(hours=20), *large(10)], id="logs of less than a day"),
        pytest.param([*usual(), *connect(PEER, HOST, 443, T0, out=900_000_000)], id="what came in"),
    ],
)
def test_what_is_no_spike(tmp_path, records: list[Record]) -> None:
    assert found(tmp_path, *records) == []
