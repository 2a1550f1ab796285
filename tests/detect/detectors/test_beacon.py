"""Beaconing: intervals, capture windows, common services, indicators, chance."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import ibis
import numpy as np
import pytest

from flowbench.detect.detectors import beacon
from flowbench.schema import DEFAULT_FORMAT
from tests.detect.detectors.common import HOST, HOUR, LIST, SAAS, TOR, irregular, periodic, run
from tests.traffic import T0, Record, connect, make_case, reject


@pytest.mark.parametrize(("minutes", "jitter"), [(5, 0.05), (3, 0.3), (17, 0.2), (60, 0.1)])
def test_regular_connections_are_found_with_their_interval(
    tmp_path: Path, minutes: int, jitter: float
) -> None:
    case = make_case(tmp_path, periodic(HOST, TOR, 443, minutes * 60, jitter=jitter, hours=24))
    (row,) = run(case, "beacon").to_dict("records")
    assert (row["subject"], row["peer"], row["severity"]) == (HOST, TOR, "medium")
    period = float(row["summary"].split("interval of ")[1].split(" min")[0])
    assert period == pytest.approx(minutes, abs=max(0.1, 0.02 * minutes))


def test_an_indicator_match_is_high(tmp_path: Path) -> None:
    case = make_case(tmp_path, periodic(HOST, TOR, 443, 300), indicators=LIST)
    (row,) = run(case, "beacon").to_dict("records")
    assert (row["severity"], row["technique"]) == ("high", "T1090.003")
    assert "Indicator match: tor." in row["summary"]


def test_a_common_service_is_reported_only_with_an_indicator_match(tmp_path: Path) -> None:
    records = [r for n in range(1, 5) for r in periodic(f"10.0.0.{n}", SAAS, 443, 300, seed=n)]
    assert run(make_case(tmp_path / "1", records), "beacon").empty
    listed = f"indicator,kind,feed\n{SAAS},c2,list\n"
    found = run(make_case(tmp_path / "2", records, indicators=listed), "beacon")
    assert found["severity"].tolist() == ["high"] * 4
    assert "4 internal hosts connect to this service repeatedly" in found["caveats"][0]


def test_a_service_of_three_hosts_is_reported(tmp_path: Path) -> None:
    records = [r for n in range(1, 4) for r in periodic(f"10.0.0.{n}", SAAS, 443, 300, seed=n)]
    found = run(make_case(tmp_path, records), "beacon")
    assert found["severity"].tolist() == ["medium"] * 3


@pytest.mark.parametrize(("minutes", "jitter"), [(15, 0.3), (22, 0.25), (60, 0.1)])
def test_intervals_are_found_in_capture_windows_of_ten_minutes(
    tmp_path: Path, minutes: int, jitter: float
) -> None:
    records = periodic(HOST, TOR, 443, minutes * 60, jitter=jitter / 2, hours=24, window=600)
    (row,) = run(make_case(tmp_path, records), "beacon").to_dict("records")
    period = float(row["summary"].split("interval of ")[1].split(" min")[0])
    assert period == pytest.approx(minutes, rel=0.03)


@pytest.mark.parametrize("window", [60, 600])
def test_random_intervals_are_not_regular(tmp_path: Path, window: int) -> None:
    chooser, records = random.Random(5), []
    for n in range(30):
        at = 0.0
        while at < 24 * HOUR:
            at += chooser.expovariate(1 / (120 + 60 * n))
            peer, port = f"203.0.113.{n}", 33_000 + len(records) % 28_000
            records += connect(HOST, peer, 443, T0 + int(at), source_port=port, window=window)
    assert run(make_case(tmp_path, records, fields=DEFAULT_FORMAT), "beacon").empty


def test_rejected_beaconing_has_its_own_title(tmp_path: Path) -> None:
    records = [reject(HOST, SAAS, 443, T0 + n * 300, source_port=33_000 + n) for n in range(100)]
    (row,) = run(make_case(tmp_path, records), "beacon").to_dict("records")
    assert (row["title"], row["severity"]) == ("Beaconing, rejected", "medium")


def test_unanswered_beaconing_has_its_own_title(tmp_path: Path) -> None:
    records = [
        Record(HOST, SAAS, 33_000 + n, 443, T0 + n * 300, T0 + n * 300 + 5) for n in range(100)
    ]
    (row,) = run(make_case(tmp_path, records), "beacon").to_dict("records")
    assert (row["title"], row["severity"]) == ("Beaconing, failed", "medium")


def test_connections_that_start_together_are_one_check_in(tmp_path: Path) -> None:
    records = [
        record
        for n in range(180)
        for record in connect(HOST, SAAS, 443, T0 + n // 3 * 600, source_port=33_000 + n)
    ]
    (row,) = run(make_case(tmp_path, records), "beacon").to_dict("records")
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
        *periodic("10.0.0.1", HOST, 8080, 180),
    ]
    assert run(make_case(tmp_path, records), "beacon").empty


def test_the_engine_gives_the_same_figures_as_numpy(tmp_path: Path) -> None:
    chance = random.Random(7)
    records: list[Record] = []
    truth: dict[str, list[float]] = {}
    for pair in range(40):  # from exact intervals to random ones
        at, blur, starts = T0 + 60 * pair, 15 * pair, []
        for n in range(24):
            at += 600 + chance.randint(-blur, blur)
            starts.append(at - at % 60)  # as the capture window records it
            records += connect(HOST, f"203.0.113.{pair + 1}", 443, at, source_port=40_000 + n)
        gaps = np.diff(np.unique(starts)).astype(float)
        usual = gaps[gaps <= 2.5 * np.median(gaps)].mean()
        near = gaps[np.abs(gaps - usual) <= 0.75 * usual]
        variation = np.sqrt(max(0.0, near.var() - 60**2 / 6)) / near.mean()
        regularity = len(near) / len(gaps) * max(0.0, 1 - variation) - 0.5 / np.sqrt(len(gaps))
        spread = np.median(np.abs(gaps - np.median(gaps)))
        low, middle, high = np.quantile(gaps, [0.25, 0.5, 0.75])
        if high - low - 60 <= 0.7 * middle:
            truth[f"203.0.113.{pair + 1}"] = [regularity, near.mean(), spread]
    case = make_case(tmp_path, records)
    pairs = case.connection_summaries.mutate(
        pair=ibis.row_number().over(ibis.window(order_by="responder"))
    )
    numbered = pairs.to_pyarrow()
    for least in (0.5, 0.7, 0.8):
        found = beacon._regular_intervals(
            beacon._check_ins(case.connections, numbered), 60, least
        ).to_pandas()
        peers = dict(numbered.select(["pair", "responder"]).to_pandas().itertuples(index=False))
        counted = {
            peers[row.pair]: [row.regularity, row.interval, row.deviation]
            for row in found.itertuples()
        }
        expected = {peer: parts for peer, parts in truth.items() if parts[0] >= least}
        assert 0 < len(expected) < 40
        assert counted.keys() == expected.keys()
        for peer, parts in expected.items():
            assert counted[peer] == pytest.approx(parts)


@pytest.mark.parametrize(("until", "kinds"), [("2026-08-31", ""), ("2026-09-30", "c2")])
def test_an_indicator_matches_only_in_its_validity_period(
    tmp_path: Path, until: str, kinds: str
) -> None:
    text = f"indicator,kind,feed,valid_until\n{SAAS},c2,list,{until}\n"
    case = make_case(tmp_path / "1", periodic(HOST, SAAS, 443, 300), indicators=text)
    (row,) = run(case, "beacon").to_dict("records")
    assert row["severity"] == ("high" if kinds else "medium")
    assert (f"Indicator match: {kinds}" in row["summary"]) == bool(kinds)
    shared = [r for n in range(1, 5) for r in periodic(f"10.0.0.{n}", SAAS, 443, 300, seed=n)]
    found = run(make_case(tmp_path / "2", shared, indicators=text), "beacon")
    assert len(found) == (4 if kinds else 0)  # without a match it is a common service


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
