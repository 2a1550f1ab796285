"""Crypto-mining traffic: sessions at pools and elsewhere, and what is not mining."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.detect.detectors.common import HOST, HOUR, LIST, POOL, SAAS, periodic, run
from tests.traffic import T0, Record, connect, make_case


def mined(peer: str = POOL, port: int = 3333, host: str = HOST) -> list[Record]:
    minutes = 8 * 60
    return list(
        connect(host, peer, port, T0, seconds=minutes * 60, out=minutes * 350, back=minutes * 420)
    )


def test_a_steady_session_with_little_data_on_a_pool_port(tmp_path: Path) -> None:
    (row,) = run(make_case(tmp_path, mined()), "mining").to_dict("records")
    assert (row["severity"], row["peer"], row["service_port"]) == ("high", POOL, 3333)
    assert "sending 349 B/min and receiving 419 B/min" in row["summary"]
    assert "No indicator list names the peer" in row["caveats"]
    assert row["scores"]["throughput"] == 1.0


def test_an_indicator_match_on_a_web_port(tmp_path: Path) -> None:
    (row,) = run(make_case(tmp_path, mined(port=443), indicators=LIST), "mining").to_dict("records")
    assert row["severity"] == "high"
    assert "Indicator match: mining pool (list pools)." in row["summary"]


def test_an_indicator_matches_only_in_its_validity_period(tmp_path: Path) -> None:
    text = f"indicator,kind,feed,valid_until\n{POOL},mining,list,2026-08-31\n"
    found = run(make_case(tmp_path, mined(port=443), indicators=text), "mining")
    assert set(found["severity"]) <= {"low"}
    assert not found["summary"].str.contains("Indicator match").any()


def test_records_with_and_without_packet_addresses_are_one_session(tmp_path: Path) -> None:
    (whole,) = run(make_case(tmp_path / "whole", mined()), "mining").to_dict("records")
    mixed = [
        replace(record, pkt_srcaddr=record.srcaddr, pkt_dstaddr=record.dstaddr) if n % 4 else record
        for n, record in enumerate(mined())
    ]
    (row,) = run(make_case(tmp_path / "mixed", mixed), "mining").to_dict("records")
    assert row["summary"] == whole["summary"]


def test_a_session_on_443_without_an_indicator_is_low(tmp_path: Path) -> None:
    assert set(run(make_case(tmp_path, mined(SAAS, 443)), "mining")["severity"]) <= {"low"}


def test_bulk_transfers_and_short_connections_are_not_reported(tmp_path: Path) -> None:
    bulk = connect(HOST, SAAS, 3333, T0, seconds=4 * HOUR, out=9_000_000_000, back=40_000_000)
    short = periodic(HOST, "203.0.113.4", 3333, 900)
    assert run(make_case(tmp_path, [*bulk, *short]), "mining").empty


def test_a_session_that_carries_no_data_is_not_reported(tmp_path: Path) -> None:
    alive = connect(HOST, SAAS, 8883, T0, seconds=9 * HOUR, out=540 * 62, back=540 * 62, packets=1)
    assert run(make_case(tmp_path, alive), "mining").empty


def test_a_common_service_on_a_web_port_is_not_reported(tmp_path: Path) -> None:
    alone = run(make_case(tmp_path / "1", mined(SAAS, 8000)), "mining")
    assert alone["severity"].tolist() == ["medium"]  # a port without known use
    many = [r for n in range(1, 5) for r in mined(SAAS, 8000, f"10.0.0.{n}")]
    assert run(make_case(tmp_path / "2", many), "mining").empty
    pool = [r for n in range(1, 5) for r in mined(SAAS, 3333, f"10.0.0.{n}")]
    assert run(make_case(tmp_path / "3", pool), "mining")["severity"].tolist() == ["high"] * 4
