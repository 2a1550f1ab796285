"""Beaconing: intervals, capture windows, common services, indicators, chance.

Situations that need logs of the same length, window and fields share a case.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
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
    run_named,
)
from tests.traffic import T0, Record, connect, interface, make_case, move, reject

Found = dict[str, pd.DataFrame]


def interval_of(row: dict[str, object]) -> float:
    """The interval that a summary states, in seconds."""
    number, unit = str(row["summary"]).split("interval of ")[1].split()[:2]
    return float(number) * {"s": 1, "min": 60, "h": 3600}[unit]


def periods(found: pd.DataFrame) -> dict[str, float]:
    """The interval that each subject's summary states, in minutes."""
    return {row["subject"]: interval_of(row) / 60 for row in found.to_dict("records")}


# ---- traffic --------------------------------------------------------------------------------


def fleet(hosts: int, **fields: object) -> list[Record]:
    """Hosts that call one address every five minutes."""
    return [
        record
        for n in range(1, hosts + 1)
        for record in periodic(f"10.0.0.{n}", SAAS, 443, 300, seed=n, **fields)
    ]


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


def regular(jitters: dict[int, float], window: int) -> list[Record]:
    """Connections of a host for each interval in minutes, with its jitter."""
    return [
        record
        for minutes, jitter in jitters.items()
        for record in periodic(
            f"10.0.0.{minutes}", f"198.51.100.{minutes}", 443, minutes * 60,
            jitter=jitter, hours=24, window=window, interface_id=f"eni-{minutes}",
        )
    ]  # fmt: skip


def at_random(window: int) -> list[Record]:
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
    return records


def browsing(window: int) -> list[Record]:
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
    return records


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


def ends_of_check_ins(window: int) -> list[tuple[str, str]]:
    """A host and a peer for each of CHECK_INS."""
    return [
        (f"2001:db8:1::{n + 5}", peer.replace("::9", f"::9{n}"))
        if ":" in peer
        else (f"10.0.{n}.5", f"203.0.113.{n + 10}")
        for n, (_interval, _hours, peer, _port) in enumerate(CHECK_INS[window])
    ]


def many_check_ins(window: int) -> list[Record]:
    return [
        record
        for n, (ends, (interval, hours, _peer, port)) in enumerate(
            zip(ends_of_check_ins(window), CHECK_INS[window], strict=True)
        )
        for record in check_ins(
            *ends, port, interval, window=window, hours=hours, interface_id=f"eni-a{n}"
        )
    ]


def services_and_hubs(window: int) -> list[Record]:
    pools = [("10.0.0.5", "10.0.9.1", 5432), ("10.0.0.5", "10.0.9.2", 6379)]
    monitoring = [("10.0.0.9", f"10.0.1.{n}", 9256) for n in range(1, 6)]
    agents = [(f"10.0.2.{n}", "10.0.9.3", 4505) for n in range(1, 4)]
    return [
        record
        for n, (host, peer, port) in enumerate([*pools, *monitoring, *agents])
        for record in check_ins(host, peer, port, 30, window=window, hours=3, interface_id=f"e{n}")
    ]


# ---- cases ----------------------------------------------------------------------------------

JITTERS = {5: 0.05, 3: 0.3, 17: 0.2, 60: 0.1}  # by interval in minutes
JITTERS_600 = {15: 0.15, 22: 0.125, 60: 0.05}
CAMPAIGNS = {1: "medium", 3: "medium", 4: "high", 40: "high"}  # severity by hosts
INTERNAL = {8443: 60, 50_050: 300, 445: 60, 5985: 60}  # interval by port
IN_STEP = {
    f"10.0.0.{count}": [f"203.0.{count}.{n}" for n in range(10, 10 + count)]
    for count in (1, 2, 3, 5)
}


def of_half_a_day() -> dict[str, list[Record]]:
    rejected = [reject(HOST, SAAS, 443, T0 + n * 300, source_port=33_000 + n) for n in range(100)]
    unanswered = [
        Record(HOST, SAAS, 33_000 + n, 443, T0 + n * 300, T0 + n * 300 + 5) for n in range(100)
    ]
    together = [
        record
        for n in range(180)
        for record in connect(HOST, SAAS, 443, T0 + n // 3 * 600, source_port=33_000 + n)
    ]
    ntp = periodic(HOST, "203.0.113.123", 123, 1024, protocol=17, tcp_flags=None)
    health = [r for n in (5, 6) for r in periodic("10.0.0.1", f"10.0.0.{n}", 8080, 180)]
    pings = [
        r
        for n in range(100)
        for r in connect(SAAS, HOST, 0, T0 + n * 300, source_port=0, protocol=1, tcp_flags=None)
    ]
    return {
        "listed": list(periodic(HOST, TOR, 443, 300)),
        **{f"campaign of {hosts}": fleet(hosts) for hosts in CAMPAIGNS},
        "rejected": rejected,
        "unanswered": unanswered,
        "together": together,
        "irregular": [r for n in range(12) for r in irregular(HOST, f"203.0.113.{n}", 420, seed=n)],
        "ntp": [*ntp, *health],
        "check-ins": many_check_ins(60),
        "any sizes": check_ins(HOST, SAAS, 443, 60, sizes=(300, 15_000)),
        "services": services_and_hubs(60),
        "balancer": check_ins("10.0.0.8", "10.0.1.1", 8080, 30, hours=3),
        "pings": pings,
        **few_and_large(),
        "answers": answers_to_nothing(),
    }


def few_and_large() -> dict[str, list[Record]]:
    few = check_ins("10.0.0.6", "203.0.113.6", 443, 60, hours=19.5 / 60, interface_id="eni-6")
    enough = check_ins(HOST, SAAS, 443, 60, hours=59.5 / 60)
    internal = [
        record
        for n, (port, interval) in enumerate(INTERNAL.items())
        for record in check_ins(
            f"10.0.0.{n}", f"10.0.7.{n}", port, interval, interface_id=f"eni-{n}"
        )
    ]
    in_step = [
        record
        for host, addresses in IN_STEP.items()
        for peer in addresses
        for record in check_ins(host, peer, 443, 120, hours=4, interface_id=f"eni-{host}")
    ]
    uploads = [
        record
        for host, size in {"10.0.0.5": 2_000, "10.0.0.6": 40_000}.items()
        for record in check_ins(
            host, host.replace("10.", "203."), 443, 60,
            hours=6, sizes=(size, size), interface_id=f"eni-{host}",
        )
    ]  # fmt: skip
    return {"few": [*few, *enough], "internal": internal, "in step": in_step, "uploads": uploads}


def answers_to_nothing() -> list[Record]:
    return [
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


def interfaces_of(each: dict[str, list[Record]], window: int) -> Iterator[dict[str, object]]:
    """The inventory of the IPv6 hosts, and of the load balancer."""
    number = list(each).index("check-ins") + 1
    for n, (host, _peer) in enumerate(ends_of_check_ins(window)):
        address = move(host, number)
        if ":" in address:
            yield interface(address, f"a{n}{number}", Ipv6Addresses=[{"Ipv6Address": address}])
    if "balancer" in each:
        address = move("10.0.0.8", list(each).index("balancer") + 1)
        yield interface(address, "b", Description="ELB app/shop/0123456789abcdef")


@pytest.fixture(scope="module")
def half_a_day(tmp_path_factory) -> Found:
    each = of_half_a_day()
    return run_named(
        tmp_path_factory.mktemp("beacon"),
        "beacon",
        each,
        interfaces=list(interfaces_of(each, 60)),
        indicators=LIST.replace(TOR, move(TOR, 1)),
    )


ENDS = {"lone before": "2026-08-31", "lone": "2026-09-30"} | {
    "shared before": "2026-08-31",
    "shared": "2026-09-30",
    "listed": "",
}  # of the validity of an indicator


@pytest.fixture(scope="module")
def one_day(tmp_path_factory) -> Found:
    lone, shared = list(periodic(HOST, SAAS, 443, 300)), fleet(4, hours=24)
    each = {name: lone if "lone" in name else shared for name in ENDS} | {
        "unlisted": shared,
        "regular": regular(JITTERS, 60),
        "long": list(connect(HOST, SAAS, 443, T0, seconds=20 * HOUR)),
    }
    listed = "indicator,kind,feed,valid_until\n" + "".join(
        f"{move(SAAS, n)},c2,list,{until}\n" for n, until in enumerate(ENDS.values(), 1)
    )
    return run_named(tmp_path_factory.mktemp("beacon"), "beacon", each, indicators=listed)


@pytest.fixture(scope="module", params=[60, 600])
def default_logs(request, tmp_path_factory) -> tuple[int, Found]:
    """The window, and the findings in logs with the default fields."""
    window = request.param
    each = {
        "random": at_random(window),
        "browsing": browsing(window),
        "check-ins": many_check_ins(window),
    }
    if window == 60:
        each["listed"] = list(periodic(HOST, TOR, 443, 300))
    return window, run_named(
        tmp_path_factory.mktemp("beacon"),
        "beacon",
        each,
        interfaces=list(interfaces_of(each, window)),
        fields=DEFAULT_FORMAT,
    )


@pytest.fixture(scope="module")
def ten_minutes(tmp_path_factory) -> Found:
    """Findings in logs with windows of ten minutes."""
    each = {
        "regular": regular(JITTERS_600, 600),
        "check-ins": many_check_ins(600),
        "any sizes": check_ins(HOST, SAAS, 443, 300, window=600, sizes=(300, 15_000), jitter=0.3),
        "services": services_and_hubs(600),
    }
    interfaces = list(interfaces_of(each, 600))
    return run_named(tmp_path_factory.mktemp("beacon"), "beacon", each, interfaces=interfaces)


# ---- tests ----------------------------------------------------------------------------------


def test_regular_connections_are_found_with_their_interval(one_day: Found) -> None:
    found = one_day["regular"]
    assert found["severity"].tolist() == ["medium"] * 4
    assert set(zip(found["subject"], found["peer"], strict=True)) == {
        (f"10.0.0.{minutes}", f"198.51.100.{minutes}") for minutes in JITTERS
    }
    for host, period in periods(found).items():
        minutes = int(host.rpartition(".")[2])
        assert period == pytest.approx(minutes, abs=max(0.1, 0.02 * minutes))


def test_an_indicator_match_is_high(half_a_day: Found) -> None:
    (row,) = half_a_day["listed"].to_dict("records")
    assert (row["severity"], row["technique"]) == ("high", "T1090.003")
    assert "Indicator match: category tor." in row["summary"]


def test_an_established_service_is_reported_only_with_an_indicator_match(one_day: Found) -> None:
    assert one_day["unlisted"].empty
    found, saas = one_day["listed"], move(SAAS, list(ENDS).index("listed") + 1)
    assert found["severity"].tolist() == ["high"] * 4
    assert f"4 internal hosts connect to {saas} on this port repeatedly" in found["caveats"][0]


@pytest.mark.parametrize(("hosts", "severity"), CAMPAIGNS.items())
def test_more_hosts_never_hide_a_new_destination(
    half_a_day: Found, hosts: int, severity: str
) -> None:
    found = half_a_day[f"campaign of {hosts}"]
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


def test_intervals_are_found_in_capture_windows_of_ten_minutes(ten_minutes: Found) -> None:
    expected = {f"10.0.0.{minutes}": minutes for minutes in JITTERS_600}
    assert periods(ten_minutes["regular"]) == pytest.approx(expected, rel=0.03)


def test_random_intervals_are_not_regular(default_logs: tuple[int, Found]) -> None:
    assert default_logs[1]["random"].empty


def test_each_kind_of_check_in_has_its_words(half_a_day: Found) -> None:
    for kind, title in (("rejected", "rejected"), ("unanswered", "failed")):
        (row,) = half_a_day[kind].to_dict("records")
        assert (row["title"], row["severity"]) == (f"Beaconing, {title}", "medium")
    (row,) = half_a_day["together"].to_dict("records")
    # connections that start together are one check-in
    assert "opened 180 connections in 60 check-ins to" in row["summary"]
    assert "interval of 10.0 min" in row["summary"]


def test_irregular_connections_are_not_reported(half_a_day: Found) -> None:
    assert half_a_day["irregular"].empty


def test_one_long_connection_is_no_beaconing(one_day: Found) -> None:
    assert one_day["long"].empty


def test_ntp_and_internal_health_checks_are_not_reported(half_a_day: Found) -> None:
    assert half_a_day["ntp"].empty


def test_an_indicator_matches_only_in_its_validity_period(one_day: Found) -> None:
    for name, kinds in (("lone before", ""), ("lone", "c2")):
        (row,) = one_day[name].to_dict("records")
        assert row["severity"] == ("high" if kinds else "medium")
        assert ("Indicator match: category c2" in row["summary"]) == bool(kinds)
    assert one_day["shared before"].empty  # without a match it is an established service
    assert len(one_day["shared"]) == 4


def test_beacon_on_v2_records_alone(default_logs: tuple[int, Found]) -> None:
    window, found = default_logs
    assert window == 600 or len(found["listed"]) == 1


def check_check_ins(found: pd.DataFrame, window: int) -> None:
    intervals = {
        (*ends, port): interval
        for ends, (interval, _hours, _peer, port) in zip(
            ends_of_check_ins(window), CHECK_INS[window], strict=True
        )
    }
    rows = {(r["subject"], r["peer"], r["service_port"]): r for r in found.to_dict("records")}
    assert rows.keys() == intervals.keys()
    for ends, interval in intervals.items():
        assert interval_of(rows[ends]) == pytest.approx(interval, rel=0.2)
        assert rows[ends]["severity"] == "medium"


def test_check_ins_in_every_window_are_found(half_a_day: Found, ten_minutes: Found) -> None:
    check_check_ins(half_a_day["check-ins"], 60)
    check_check_ins(ten_minutes["check-ins"], 600)


def test_check_ins_in_default_logs_are_found(default_logs: tuple[int, Found]) -> None:
    window, found = default_logs
    check_check_ins(found["check-ins"], window)


def test_a_steady_count_is_found_whatever_the_sizes(half_a_day: Found, ten_minutes: Found) -> None:
    for found, interval in ((half_a_day, 60), (ten_minutes, 300)):
        (row,) = found["any sizes"].to_dict("records")
        assert row["severity"] == "low"  # only the timing is regular
        assert interval_of(row) == pytest.approx(interval, rel=0.05)
        assert dict(row["scores"])["steady_count"] > 0.65


def test_browsing_is_not_reported(default_logs: tuple[int, Found]) -> None:
    assert default_logs[1]["browsing"].empty


def test_beaconing_between_internal_hosts_is_low(half_a_day: Found) -> None:
    found = half_a_day["internal"]
    assert dict(zip(found["service_port"], found["peer"], strict=True)) == {
        port: f"10.0.7.{n}" for n, port in enumerate(INTERNAL)
    }
    assert set(found["severity"]) == {"low"}
    assert all("Health checks" in caveats for caveats in found["caveats"])


def test_internal_services_and_hubs_are_not_beaconing(
    half_a_day: Found, ten_minutes: Found
) -> None:
    assert half_a_day["services"].empty
    assert ten_minutes["services"].empty


def test_health_checks_of_a_load_balancer_are_not_beaconing(half_a_day: Found) -> None:
    assert half_a_day["balancer"].empty


def test_an_internal_service_of_the_whole_log_is_established(tmp_path: Path) -> None:
    whole = check_ins(HOST, "10.0.7.7", 8443, 300, hours=30)
    late = [r for r in whole if r.start > T0 + 12 * HOUR]
    late += irregular(HOST, "198.51.100.7", 900, hours=30)
    found = run_each(tmp_path, "beacon", whole, late)
    assert [len(rows) for rows in found] == [0, 1]


def test_few_check_ins_are_not_judged(half_a_day: Found) -> None:
    assert half_a_day["few"]["subject"].tolist() == [HOST]


def test_pings_are_not_beaconing(half_a_day: Found) -> None:
    assert half_a_day["pings"].empty


def test_addresses_in_step_are_one_finding(half_a_day: Found) -> None:
    found = half_a_day["in step"]
    for host, addresses in IN_STEP.items():
        rows = found[found["subject"] == host]
        together = len(addresses) > 2
        assert len(rows) == (1 if together else len(addresses))
        assert sorted(peer for row in rows["peers"] for peer in row) == addresses
        assert set(rows["severity"]) == {"low" if together else "medium"}
        assert rows["connections"].sum() == 120 * len(addresses)


def test_uploads_are_larger_than_check_ins(half_a_day: Found) -> None:
    found = half_a_day["uploads"].set_index("subject")
    assert found["severity"].to_dict() == {"10.0.0.5": "medium", "10.0.0.6": "low"}


def test_answers_to_nothing_accuse_nobody(half_a_day: Found) -> None:
    assert half_a_day["answers"].empty


def test_a_match_in_its_period_and_an_implant_that_pauses_at_night(tmp_path: Path) -> None:
    day = 86_400
    later = [
        replace(r, start=r.start + 5 * day, end=r.end + 5 * day)
        for r in periodic("10.0.0.7", SAAS, 443, 300)
    ]
    pausing = [
        replace(r, start=r.start + n * day, end=r.end + n * day)
        for n in range(3)
        for r in check_ins(HOST, SAAS, 8443, 300, hours=8)
    ]
    text = f"indicator,kind,feed,valid_until\n{move(SAAS, 1)},c2,list,2026-09-03\n"
    matched, implant = run_each(
        tmp_path, "beacon", [*periodic(HOST, SAAS, 443, 300), *later], pausing, indicators=text
    )
    # The match is of the host that connected in the validity period.
    severities = dict(zip(matched["subject"], matched["severity"], strict=True))
    assert severities == {HOST: "high", "10.0.0.7": "medium"}
    (row,) = implant.to_dict("records")
    assert interval_of(row) == pytest.approx(300)
