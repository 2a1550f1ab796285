"""Crypto-mining traffic: sessions at pools and elsewhere, and what is not mining."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from flowbench.schema import DEFAULT_FORMAT
from tests.detect.detectors.common import HOST, HOUR, LIST, POOL, SAAS, run, run_named
from tests.traffic import FIELDS, T0, Record, connect, interface, make_case, move


def even(host: str, peer: str, port: int, minutes: int, back: int = 420) -> list[Record]:
    """A connection in which 350 bytes a minute are sent."""
    sums = {"out": minutes * 350, "back": minutes * back}
    return list(connect(host, peer, port, T0, seconds=minutes * 60, **sums))


def mined(peer: str = POOL, port: int = 3333, host: str = HOST) -> list[Record]:
    return even(host, peer, port, 8 * 60)


def later(record: Record, seconds: int) -> Record:
    """The record of a later connection, with another source port."""
    ports = {
        name: port + seconds // HOUR
        for name in ("srcport", "dstport")
        if (port := getattr(record, name)) > 9_000
    }
    return replace(record, start=record.start + seconds, end=record.end + seconds, **ports)


def short(
    peer: str = POOL, port: int = 3333, count: int = 4, host: str = HOST, **more: object
) -> list[Record]:
    """Connections of ten seconds, a minute apart."""
    fields = {"seconds": 10, "out": 700, "back": 1_500} | more
    return [
        record
        for n in range(count)
        for record in connect(host, peer, port, T0 + 60 * n, source_port=41_000 + n, **fields)
    ]


KINDS = [
    # port, minutes, bytes received a minute (350 are sent), severity
    (443, 40, 420, None),
    (443, 100, 420, None),
    (80, 40, 420, None),
    (8000, 60, 420, None),
    (443, 300, 1_060, None),  # three times as much received: a consumer
    (443, 180, 420, "low"),
    (8000, 180, 420, "medium"),
    (3333, 60, 420, "high"),
]
SHORT = "web single empty page upload unanswered rejected internal p2p miner".split()
SHORT_HOSTS = {name: f"10.0.0.{n}" for n, name in enumerate(SHORT)}


def short_connections() -> list[Record]:
    hosts = SHORT_HOSTS
    return [
        *short(SAAS, 443, host=hosts["web"]),
        *short(count=1, host=hosts["single"]),
        *short(out=300, back=300, host=hosts["empty"]),
        *short(out=900, back=40_000, host=hosts["page"]),
        *short(out=90_000, back=900, host=hosts["upload"]),
        *(r for r in short(host=hosts["unanswered"]) if r.srcport != 3333),
        *(replace(r, action="REJECT") for r in short(host=hosts["rejected"]) if r.srcport != 3333),
        *short("10.0.7.7", host=hosts["internal"]),
        *short(host=hosts["p2p"]),
        *(r for n in range(25) for r in short(f"198.51.100.{n}", 5000 + n, 1, host=hosts["p2p"])),
        *short(host=hosts["miner"]),
    ]


def of_hours() -> dict[str, list[Record]]:
    with_packets = [
        replace(record, pkt_srcaddr=record.srcaddr, pkt_dstaddr=record.dstaddr) if n % 4 else record
        for n, record in enumerate(mined())
    ]
    return {
        "listed": mined(port=443),
        "listed, short": short(port=443),
        "listed before": mined(port=443),
        "steady": mined(),
        "packet addresses": with_packets,
        "unlisted": mined(SAAS, 443),
        "bulk": list(
            connect(HOST, SAAS, 3333, T0, seconds=4 * HOUR, out=9_000_000_000, back=40_000_000)
        ),
        "no data": list(
            connect(HOST, SAAS, 8883, T0, seconds=9 * HOUR, out=540 * 62, back=540 * 62, packets=1)
        ),
        "kinds": [
            record
            for n, (port, minutes, back, _severity) in enumerate(KINDS)
            for record in even(f"10.0.0.{n}", SAAS, port, minutes, back)
        ],
        "short": short_connections(),
        "long and short": [*mined(), *short()],
    }


@pytest.fixture(scope="module")
def hours(tmp_path_factory) -> dict[str, pd.DataFrame]:
    """The findings of each situation in logs of some hours."""
    listed, also, before = (move(POOL, n) for n in (1, 2, 3))
    text = LIST.replace(POOL, listed)
    text += f"{also},mining,pools,90,,,a pool\n{before},mining,list,,,2026-08-31T00:00:00Z,\n"
    folder = tmp_path_factory.mktemp("mining")
    return run_named(folder, "mining", of_hours(), indicators=text)


def test_a_steady_session_with_little_data_on_a_pool_port(hours) -> None:
    (row,) = hours["steady"].to_dict("records")
    assert (row["severity"], row["peer"], row["service_port"]) == ("high", POOL, 3333)
    assert "sending 349 B/min and receiving 419 B/min" in row["summary"]
    assert "No indicator list names the peer" in row["caveats"]
    assert row["scores"]["throughput"] == 1.0


def test_an_indicator_match_on_a_web_port(hours) -> None:
    (row,) = hours["listed"].to_dict("records")
    assert row["severity"] == "high"
    assert "Indicator match: mining pool (list pools)." in row["summary"]


def test_an_indicator_matches_only_in_its_validity_period(hours) -> None:
    found = hours["listed before"]
    assert set(found["severity"]) <= {"low"}
    assert not found["summary"].str.contains("Indicator match").any()


def test_records_with_and_without_packet_addresses_are_one_session(hours) -> None:
    (whole,), (row,) = (hours[name].to_dict("records") for name in ("steady", "packet addresses"))
    expected = whole["summary"]
    for address in (HOST, POOL):
        expected = expected.replace(move(address, 4), move(address, 5))
    assert row["summary"] == expected


def test_a_session_on_443_without_an_indicator_is_low(hours) -> None:
    assert set(hours["unlisted"]["severity"]) <= {"low"}


def test_bulk_transfers_are_not_reported(hours) -> None:
    assert hours["bulk"].empty


def test_a_session_that_carries_no_data_is_not_reported(hours) -> None:
    assert hours["no data"].empty


def test_many_hosts_at_one_service_excuse_nothing_unless_they_always_were_there(
    tmp_path: Path,
) -> None:
    many = [r for n in range(1, 5) for r in mined(SAAS, 8000, f"10.0.0.{n}")]
    found = run(make_case(tmp_path / "8 hours", many), "mining")
    assert found["severity"].tolist() == ["medium"] * 4  # a port without known use
    daily = [later(record, 8 * HOUR * n) for n in range(3) for record in many]
    assert run(make_case(tmp_path / "24 hours", daily), "mining").empty


def test_where_the_port_says_nothing_sessions_of_hours_are_asked_for(hours) -> None:
    found = hours["kinds"].set_index("subject")["severity"].to_dict()
    expected = {f"10.0.0.{n}": severity for n, (*_, severity) in enumerate(KINDS) if severity}
    assert found == expected


@pytest.mark.parametrize("fields", [FIELDS, DEFAULT_FORMAT], ids=["v5", "v2 at 600 s"])
def test_short_connections_to_a_pools_port_are_low(tmp_path: Path, fields: list[str]) -> None:
    window = 60 if fields is FIELDS else 600
    ports = {POOL: 3333, "203.0.113.51": 4444, "203.0.113.52": 14444, "203.0.113.53": 10128}
    records = [r for peer, port in ports.items() for r in short(peer, port, window=window)]
    host6, pool6 = "2001:db8::5", "2001:db8:9::7"
    records += short(pool6, 3333, host=host6, out=900, window=window)
    own = interface(HOST, "a") | {"Ipv6Addresses": [{"Ipv6Address": host6}]}
    case = make_case(tmp_path, records, fields=fields, interfaces=[own])
    found = run(case, "mining")
    assert set(found["severity"]) == {"low"}
    assert dict(zip(found["peer"], found["service_port"], strict=True)) == ports | {pool6: 3333}
    row = found[found["peer"] == POOL].iloc[0]
    assert f"{HOST} opened 4 connections to {POOL} on 3333/tcp (stratum)" in row["summary"]
    assert "sending 2.8 kB and receiving 6.0 kB. Mining pools use this port." in row["summary"]
    assert "too short to show whether the host mines" in row["caveats"]
    assert len(case.evidence_for(row)) == 8


def test_short_connections_to_a_listed_pool_are_medium_on_any_port(hours) -> None:
    (row,) = hours["listed, short"].to_dict("records")
    assert row["severity"] == "medium"
    assert "Indicator match: mining pool (list pools)." in row["summary"]


def test_other_short_connections_are_not_reported(hours) -> None:
    assert hours["short"]["subject"].tolist() == [SHORT_HOSTS["miner"]]


def test_a_long_session_and_short_ones_are_one_finding(hours) -> None:
    assert hours["long and short"]["severity"].tolist() == ["high"]
