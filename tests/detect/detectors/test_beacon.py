"""Beaconing: intervals, capture windows, common services, indicators, chance."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from flowbench.schema import DEFAULT_FORMAT
from tests.detect.detectors.common import (
    HOST,
    HOUR,
    LIST,
    SAAS,
    TOR,
    irregular,
    periodic,
    run,
    run_each,
)
from tests.traffic import T0, Record, connect, interface, make_case, move, reject


def periods(found: pd.DataFrame) -> dict[str, float]:
    """The interval that each subject's summary states, in minutes."""
    return {row["subject"]: interval_of(row) / 60 for row in found.to_dict("records")}


def test_regular_connections_are_found_with_their_interval(tmp_path: Path) -> None:
    jitters = {5: 0.05, 3: 0.3, 17: 0.2, 60: 0.1}  # by interval in minutes
    records = [
        record
        for minutes, jitter in jitters.items()
        for record in periodic(
            f"10.0.0.{minutes}", f"198.51.100.{minutes}", 443, minutes * 60,
            jitter=jitter, hours=24, interface_id=f"eni-{minutes}",
        )
    ]  # fmt: skip
    found = run(make_case(tmp_path, records), "beacon")
    assert found["severity"].tolist() == ["medium"] * 4
    assert set(zip(found["subject"], found["peer"], strict=True)) == {
        (f"10.0.0.{minutes}", f"198.51.100.{minutes}") for minutes in jitters
    }
    for host, period in periods(found).items():
        minutes = int(host.rpartition(".")[2])
        assert period == pytest.approx(minutes, abs=max(0.1, 0.02 * minutes))


def test_an_indicator_match_is_high(tmp_path: Path) -> None:
    case = make_case(tmp_path, periodic(HOST, TOR, 443, 300), indicators=LIST)
    (row,) = run(case, "beacon").to_dict("records")
    assert (row["severity"], row["technique"]) == ("high", "T1090.003")
    assert "Indicator match: category tor." in row["summary"]


def fleet(hosts: int, **fields: object) -> list[Record]:
    """Hosts that call one address every five minutes."""
    return [
        record
        for n in range(1, hosts + 1)
        for record in periodic(f"10.0.0.{n}", SAAS, 443, 300, seed=n, **fields)
    ]


def test_an_established_service_is_reported_only_with_an_indicator_match(tmp_path: Path) -> None:
    records = fleet(4, hours=24)
    assert run(make_case(tmp_path / "1", records), "beacon").empty
    listed = f"indicator,kind,feed\n{SAAS},c2,list\n"
    found = run(make_case(tmp_path / "2", records, indicators=listed), "beacon")
    assert found["severity"].tolist() == ["high"] * 4
    assert (
        "4 internal hosts connect to 203.0.113.200 on this port repeatedly" in found["caveats"][0]
    )


def test_more_hosts_never_hide_a_new_destination(tmp_path: Path) -> None:
    severities = {1: "medium", 3: "medium", 4: "high", 40: "high"}
    each = run_each(tmp_path, "beacon", *(fleet(hosts) for hosts in severities))
    for (hosts, severity), found in zip(severities.items(), each, strict=True):
        assert found["severity"].tolist() == [severity] * hosts
        assert f"{hosts} internal hosts check in with this service." in found["summary"][0] or (
            severity == "medium"
        )


def test_a_campaign_that_begins_later_is_not_excused_by_its_number(tmp_path: Path) -> None:
    day = 86_400
    later = [replace(r, start=r.start + day, end=r.end + day) for r in fleet(10)]
    records = [*irregular("10.0.0.99", "198.51.100.7", 900, hours=40), *later]
    found = run(make_case(tmp_path, records), "beacon")
    assert found["severity"].tolist() == ["high"] * 10


def test_intervals_are_found_in_capture_windows_of_ten_minutes(tmp_path: Path) -> None:
    jitters = {15: 0.3, 22: 0.25, 60: 0.1}
    records = [
        record
        for minutes, jitter in jitters.items()
        for record in periodic(
            f"10.0.0.{minutes}", f"198.51.100.{minutes}", 443, minutes * 60,
            jitter=jitter / 2, hours=24, window=600, interface_id=f"eni-{minutes}",
        )
    ]  # fmt: skip
    found = periods(run(make_case(tmp_path, records), "beacon"))
    assert found == pytest.approx({f"10.0.0.{m}": m for m in jitters}, rel=0.03)


@pytest.mark.parametrize("window", [60, 600])
def test_random_intervals_are_not_regular(tmp_path: Path, window: int) -> None:
    chooser, records = random.Random(5), []
    for n in range(30):
        at = 0.0
        while at < 24 * HOUR:
            at += chooser.expovariate(1 / (120 + 60 * n))
            peer, port = f"203.0.113.{n}", 33_000 + len(records) % 28_000
            size = chooser.randrange(200, 90_000)
            start = T0 + int(at)
            records += connect(
                HOST, peer, 443, start, source_port=port, window=window, out=size, back=2 * size
            )
    assert run(make_case(tmp_path, records, fields=DEFAULT_FORMAT), "beacon").empty


def test_each_kind_of_check_in_has_its_words(tmp_path: Path) -> None:
    rejected = [reject(HOST, SAAS, 443, T0 + n * 300, source_port=33_000 + n) for n in range(100)]
    unanswered = [
        Record(HOST, SAAS, 33_000 + n, 443, T0 + n * 300, T0 + n * 300 + 5) for n in range(100)
    ]
    together = [
        record
        for n in range(180)
        for record in connect(HOST, SAAS, 443, T0 + n // 3 * 600, source_port=33_000 + n)
    ]
    found = run_each(tmp_path, "beacon", rejected, unanswered, together)
    titles = [rows[["title", "severity"]].to_numpy().tolist() for rows in found]
    assert titles[:2] == [
        [["Beaconing, rejected", "medium"]],
        [["Beaconing, failed", "medium"]],
    ]
    (row,) = found[2].to_dict("records")  # connections that start together are one check-in
    assert "opened 180 connections in 60 check-ins to" in row["summary"]
    assert "interval of 10.0 min" in row["summary"]


def test_irregular_connections_are_not_reported(tmp_path: Path) -> None:
    records = [r for n in range(12) for r in irregular(HOST, f"203.0.113.{n}", 420, seed=n)]
    assert run(make_case(tmp_path, records), "beacon").empty


def test_one_long_connection_is_no_beaconing(tmp_path: Path) -> None:
    assert run(make_case(tmp_path, connect(HOST, SAAS, 443, T0, seconds=20 * HOUR)), "beacon").empty


def test_ntp_and_internal_health_checks_are_not_reported(tmp_path: Path) -> None:
    records = [
        *periodic(HOST, "203.0.113.123", 123, 1024, protocol=17, tcp_flags=None),
        *(r for n in (5, 6) for r in periodic("10.0.0.1", f"10.0.0.{n}", 8080, 180)),
    ]
    assert run(make_case(tmp_path, records), "beacon").empty


def test_an_indicator_matches_only_in_its_validity_period(tmp_path: Path) -> None:
    lone, shared = list(periodic(HOST, SAAS, 443, 300)), fleet(4, hours=24)
    ends = {1: "2026-08-31", 2: "2026-09-30", 3: "2026-08-31", 4: "2026-09-30"}
    text = "indicator,kind,feed,valid_until\n" + "".join(
        f"{move(SAAS, n)},c2,list,{until}\n" for n, until in ends.items()
    )
    found = run_each(tmp_path, "beacon", lone, lone, shared, shared, indicators=text)
    for rows, kinds in zip(found[:2], ("", "c2"), strict=True):
        (row,) = rows.to_dict("records")
        assert row["severity"] == ("high" if kinds else "medium")
        assert ("Indicator match: category c2" in row["summary"]) == bool(kinds)
    assert found[2].empty  # without a match it is an established service
    assert len(found[3]) == 4


def test_the_match_is_of_the_host_that_connected_in_the_validity_period(tmp_path: Path) -> None:
    later = [replace(r, start=r.start + 5 * 86_400, end=r.end + 5 * 86_400)
             for r in periodic("10.0.0.7", SAAS, 443, 300)]  # fmt: skip
    text = f"indicator,kind,feed,valid_until\n{SAAS},c2,list,2026-09-03\n"
    records = [*periodic(HOST, SAAS, 443, 300), *later]
    found = run(make_case(tmp_path, records, indicators=text), "beacon").set_index("subject")
    assert found["severity"].to_dict() == {HOST: "high", "10.0.0.7": "medium"}


def test_beacon_on_v2_records_alone(tmp_path: Path) -> None:
    case = make_case(tmp_path, periodic(HOST, TOR, 443, 300), fields=DEFAULT_FORMAT)
    assert len(run(case, "beacon")) == 1


def check_ins(
    host: str,
    peer: str,
    port: int,
    interval: float,
    *,
    window: int = 60,
    hours: float = 12,
    sizes: tuple[int, int] = (620, 620),
    jitter: float = 0.0,
    **fields: object,
) -> list[Record]:
    """Connections at an interval (s), in capture windows, with sizes drawn between two."""
    chooser, records, at, n = random.Random(7), [], 0.0, 0
    while at < hours * HOUR:
        size = chooser.randint(*sizes)
        start = T0 + int(max(0.0, at + chooser.uniform(-jitter, jitter) * interval))
        records += connect(
            host, peer, port, start, source_port=32_768 + n * 97 % 28_000, window=window,
            seconds=0, out=size, back=size * 2 // 3, **fields,
        )  # fmt: skip
        at, n = at + interval, n + 1
    return records


def interval_of(row: dict[str, object]) -> float:
    """The interval that a summary states, in seconds."""
    number, unit = str(row["summary"]).split("interval of ")[1].split()[:2]
    return float(number) * {"s": 1, "min": 60, "h": 3600}[unit]


CHECK_INS = {  # by capture window: interval (s), hours, peer, port
    60: [
        (60, 12, SAAS, 8080),
        (20, 2, SAAS, 443),
        (5, 1, "2001:db8:7::9", 4444),
        # Without flags only the port that stays shows which end serves.
        (60, 6, SAAS, 50_050),
    ],
    600: [
        (300, 12, SAAS, 8080),
        (600, 12, "2001:db8:7::9", 443),
        (120, 6, SAAS, 53),
        (2, 0.5, SAAS, 8443),
        (300, 12, SAAS, 32_768),
        (300, 12, "2001:db8:7::9", 65_535),
    ],
}


@pytest.mark.parametrize("fields", [None, DEFAULT_FORMAT])
@pytest.mark.parametrize("window", [60, 600])
def test_check_ins_in_every_window_are_found(tmp_path: Path, window: int, fields) -> None:
    records, interfaces, intervals = [], [], {}
    for n, (interval, hours, peer, port) in enumerate(CHECK_INS[window]):
        host = f"2001:db8:1::{n + 5}" if ":" in peer else f"10.0.{n}.5"
        own_peer = peer.replace("::9", f"::9{n}") if ":" in peer else f"203.0.113.{n + 10}"
        intervals[host, own_peer, port] = interval
        eni = interface(host, f"a{n}", Ipv6Addresses=[{"Ipv6Address": host}])
        interfaces += [eni] if ":" in host else []
        records += check_ins(
            host, own_peer, port, interval, window=window, hours=hours, interface_id=f"eni-a{n}"
        )
    more = {} if fields is None else {"fields": fields}
    case = make_case(tmp_path, records, interfaces=interfaces, **more)
    found = run(case, "beacon")
    rows = {(r["subject"], r["peer"], r["service_port"]): r for r in found.to_dict("records")}
    assert rows.keys() == intervals.keys()
    for ends, interval in intervals.items():
        assert interval_of(rows[ends]) == pytest.approx(interval, rel=0.2)
        assert rows[ends]["severity"] == "medium"


@pytest.mark.parametrize(("interval", "window", "jitter"), [(60, 60, 0.0), (300, 600, 0.3)])
def test_a_steady_count_is_found_whatever_the_sizes(
    tmp_path: Path, interval: float, window: int, jitter: float
) -> None:
    records = check_ins(
        HOST, SAAS, 443, interval, window=window, sizes=(300, 15_000), jitter=jitter
    )
    (row,) = run(make_case(tmp_path, records), "beacon").to_dict("records")
    assert row["severity"] == "low"  # only the timing is regular
    assert interval_of(row) == pytest.approx(interval, rel=0.05)
    assert dict(row["scores"])["steady_count"] > 0.65


@pytest.mark.parametrize("window", [60, 600])
def test_browsing_is_not_reported(tmp_path: Path, window: int) -> None:
    chooser, records = random.Random(11), []
    for n in range(20):
        at = 0.0
        while at < 8 * HOUR:
            at += chooser.expovariate(1 / 400)
            for k in range(chooser.randint(1, 9)):  # a page and what it loads
                records += connect(
                    HOST, f"203.0.113.{n}", 443, T0 + int(at) + k, window=window,
                    source_port=33_000 + len(records) % 28_000,
                    out=chooser.randint(400, 4_000), back=chooser.randint(2_000, 400_000),
                )  # fmt: skip
    assert run(make_case(tmp_path, records, fields=DEFAULT_FORMAT), "beacon").empty


def test_beaconing_between_internal_hosts_is_low(tmp_path: Path) -> None:
    intervals = {8443: 60, 50_050: 300, 445: 60, 5985: 60}
    records = [
        record
        for n, (port, interval) in enumerate(intervals.items())
        for record in check_ins(
            f"10.0.0.{n}", f"10.0.7.{n}", port, interval, interface_id=f"eni-{n}"
        )
    ]
    found = run(make_case(tmp_path, records), "beacon")
    assert dict(zip(found["service_port"], found["peer"], strict=True)) == {
        port: f"10.0.7.{n}" for n, port in enumerate(intervals)
    }
    assert set(found["severity"]) == {"low"}
    assert all("Health checks" in caveats for caveats in found["caveats"])


@pytest.mark.parametrize("window", [60, 600])
def test_internal_services_and_hubs_are_not_beaconing(tmp_path: Path, window: int) -> None:
    pools = [("10.0.0.5", "10.0.9.1", 5432), ("10.0.0.5", "10.0.9.2", 6379)]
    monitoring = [("10.0.0.9", f"10.0.1.{n}", 9256) for n in range(1, 6)]
    agents = [(f"10.0.2.{n}", "10.0.9.3", 4505) for n in range(1, 4)]
    records = [
        record
        for n, (host, peer, port) in enumerate([*pools, *monitoring, *agents])
        for record in check_ins(host, peer, port, 30, window=window, hours=3, interface_id=f"e{n}")
    ]
    assert run(make_case(tmp_path, records), "beacon").empty


def test_health_checks_of_a_load_balancer_are_not_beaconing(tmp_path: Path) -> None:
    balancer = interface("10.0.0.8", "b", Description="ELB app/shop/0123456789abcdef")
    records = check_ins("10.0.0.8", "10.0.1.1", 8080, 30, hours=3)
    assert run(make_case(tmp_path, records, interfaces=[balancer]), "beacon").empty


def test_an_internal_service_of_the_whole_log_is_established(tmp_path: Path) -> None:
    records = check_ins(HOST, "10.0.7.7", 8443, 300, hours=30)
    assert run(make_case(tmp_path / "1", records), "beacon").empty
    late = [r for r in records if r.start > T0 + 12 * HOUR]
    late += irregular(HOST, "198.51.100.7", 900, hours=30)
    assert len(run(make_case(tmp_path / "2", late), "beacon")) == 1


def test_few_check_ins_are_not_judged(tmp_path: Path) -> None:
    few = check_ins("10.0.0.6", "203.0.113.6", 443, 60, hours=19.5 / 60, interface_id="eni-6")
    enough = check_ins(HOST, SAAS, 443, 60, hours=59.5 / 60)
    found = run(make_case(tmp_path, [*few, *enough]), "beacon")
    assert found["subject"].tolist() == [HOST]


def test_pings_are_not_beaconing(tmp_path: Path) -> None:
    records = [
        r
        for n in range(100)
        for r in connect(SAAS, HOST, 0, T0 + n * 300, source_port=0, protocol=1, tcp_flags=None)
    ]
    assert run(make_case(tmp_path, records), "beacon").empty


def test_addresses_in_step_are_one_finding(tmp_path: Path) -> None:
    peers = {
        f"10.0.0.{count}": [f"203.0.{count}.{n}" for n in range(10, 10 + count)]
        for count in (1, 2, 3, 5)
    }
    records = [
        record
        for host, addresses in peers.items()
        for peer in addresses
        for record in check_ins(host, peer, 443, 120, hours=4, interface_id=f"eni-{host}")
    ]
    found = run(make_case(tmp_path, records), "beacon")
    for host, addresses in peers.items():
        rows = found[found["subject"] == host]
        together = len(addresses) > 2
        assert len(rows) == (1 if together else len(addresses))
        assert sorted(peer for row in rows["peers"] for peer in row) == addresses
        assert set(rows["severity"]) == {"low" if together else "medium"}
        assert rows["connections"].sum() == 120 * len(addresses)


def test_uploads_are_larger_than_check_ins(tmp_path: Path) -> None:
    sizes = {"10.0.0.5": 2_000, "10.0.0.6": 40_000}
    records = [
        record
        for host, size in sizes.items()
        for record in check_ins(
            host, host.replace("10.", "203."), 443, 60,
            hours=6, sizes=(size, size), interface_id=f"eni-{host}",
        )
    ]  # fmt: skip
    found = run(make_case(tmp_path, records), "beacon").set_index("subject")
    assert found["severity"].to_dict() == {"10.0.0.5": "medium", "10.0.0.6": "low"}


def test_answers_to_nothing_accuse_nobody(tmp_path: Path) -> None:
    records = [
        Record(
            f"203.0.113.{host}",
            f"10.0.0.{host}",
            443,
            20_000 + 37 * n,
            T0 + n * 300,
            T0 + n * 300 + 59,
            interface_id=f"eni-{host}",
            tcp_flags=flags,
            packets=2,
            bytes=88,
        )
        for host, flags in enumerate((18, 4, None))
        for n in range(100)
    ]
    assert run(make_case(tmp_path, records), "beacon").empty


def test_an_implant_that_pauses_at_night_is_found(tmp_path: Path) -> None:
    day = check_ins(HOST, SAAS, 8443, 300, hours=8)
    records = [
        replace(r, start=r.start + n * 86_400, end=r.end + n * 86_400)
        for n in range(3)
        for r in day
    ]
    (row,) = run(make_case(tmp_path, records), "beacon").to_dict("records")
    assert interval_of(row) == pytest.approx(300)
