"""Attempts fail or are answered, backscatter is excluded, and candidates reach the threshold."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from flowbench.detect.scan_candidates import (
    build_attempts,
    exclude_backscatter,
    find_candidates,
    select_candidates,
    sum_groups,
)
from tests.traffic import T0, Record, connect, make_case, reject

HOST, SCANNER, CLIENT = "10.0.0.5", "198.18.3.4", "198.18.3.5"


def scan(source: str, count: int, at: int = T0) -> list[Record]:
    """Return rejected attempts at so many ports of HOST, a minute apart."""
    return [
        reject(source, HOST, 1_000 + n, at + 60 * n, source_port=40_000 + n) for n in range(count)
    ]


def candidates(folder: Path, records: Iterable[Record]) -> pd.DataFrame:
    attempts = build_attempts(make_case(folder, records).connections)
    table = find_candidates(attempts, min_failed=8, popular_clients=2)
    return table.order_by("initiator", "service_port").to_pandas()


def test_an_attempt_fails_unless_its_answer_has_data(tmp_path: Path) -> None:
    syn = Record(SCANNER, HOST, 41_000, 80, T0, T0 + 59, packets=1, bytes=60, tcp_flags=2)
    records = [
        syn,
        syn.back(packets=1, bytes=40, tcp_flags=4),
        *scan(SCANNER, 1),
        *connect(SCANNER, HOST, 443, T0, source_port=41_001),
        *connect(SCANNER, HOST, 22, T0, source_port=41_002, back=30_000),
    ]
    attempts = build_attempts(make_case(tmp_path, records).connections)
    rows = attempts.order_by("service_port").to_pandas().set_index("service_port")
    assert rows["failed"].to_dict() == {22: False, 80: True, 443: False, 1_000: True}
    assert rows["rejected"].to_dict() == {22: False, 80: False, 443: False, 1_000: True}
    assert rows["has_session"].to_dict() == {22: True, 80: False, 443: False, 1_000: False}
    assert set(rows["direction"]) == {"inbound"}
    assert rows.loc[443, ["bytes_out", "bytes_in"]].tolist() == [800, 3_000]


def test_answers_to_forged_senders_are_excluded(tmp_path: Path) -> None:
    # Without TCP flags, the sender of rejected packets between low ports is the initiator.
    backscatter = [
        reject("203.0.113.80", f"10.0.1.{n}", 37 * n, T0, source_port=80, tcp_flags=None)
        for n in range(1, 9)
    ]
    # One port of many hosts is a sweep, from a well-known source port too.
    sweep = [reject(SCANNER, f"10.0.1.{n}", 445, T0, source_port=53) for n in range(1, 9)]
    attempts = build_attempts(make_case(tmp_path, [*backscatter, *sweep]).connections)
    kept = exclude_backscatter(attempts).to_pandas()
    assert set(attempts.initiator.to_pandas()) == {"203.0.113.80", SCANNER}
    assert len(kept) == 8
    assert set(kept["initiator"]) == {SCANNER}


def test_the_count_of_failures_never_falls_below_zero(tmp_path: Path) -> None:
    earlier = [
        record
        for n in range(20)
        for record in connect(SCANNER, HOST, 3_000 + n, T0 + 60 * n, source_port=50_000 + n)
    ]
    assert candidates(tmp_path / "a", [*earlier, *scan(SCANNER, 7, T0 + 7_200)]).empty
    rows = candidates(tmp_path / "b", [*earlier, *scan(SCANNER, 8, T0 + 7_200)])
    assert rows["service_port"].tolist() == list(range(1_000, 1_008))  # nothing from before it
    assert rows["failed"].all()


def test_a_service_that_answers_few_external_sources_accepted_the_scanner(tmp_path: Path) -> None:
    later = T0 + 7_200
    records = [
        *scan(SCANNER, 8),
        *connect(SCANNER, HOST, 443, later, source_port=41_001),
        *connect(CLIENT, HOST, 443, later, source_port=41_001),
        *connect(SCANNER, HOST, 8_443, later, source_port=41_002),
        *connect(SCANNER, "10.0.0.6", 8_443, later, source_port=41_003),  # not scanned
    ]
    rows = candidates(tmp_path, records)
    assert set(rows["initiator"]) == {SCANNER}
    answered = rows[~rows["failed"]].set_index(["responder", "service_port"])["accepted"]
    assert answered.to_dict() == {(HOST, 443): False, (HOST, 8_443): True}


def test_groups_are_summed_in_their_order(tmp_path: Path) -> None:
    third = "198.18.3.6"
    records = [*scan(SCANNER, 9), *scan(CLIENT, 8), *scan(third, 8)]
    attempts = build_attempts(make_case(tmp_path, records).connections)
    rows = find_candidates(attempts, min_failed=8, popular_clients=2)
    first, second = sum_groups(rows, [[CLIENT], [SCANNER, third]])
    assert (first["group"], first["failed_count"], first["distinct_services"]) == (0, 8, 8)
    assert (second["failed_count"], second["rejected_count"], second["empty_count"]) == (17, 17, 0)
    assert (second["distinct_services"], second["hosts"], second["protocol"]) == (9, [HOST], 6)
    assert second["attempted_ports"] == list(range(1_000, 1_009))
    assert second["port_sources"] == [2] * 8 + [1]
    assert sum_groups(rows, []) == []
    selected = select_candidates(rows, [{"initiator": third, "internal": False}])
    assert selected.count().execute() == 8
