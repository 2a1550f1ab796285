"""Groups of external sources are summed in their order, with their sources and ports."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowbench.detect.scan_candidates import build_attempts, find_candidates
from flowbench.detect.scan_sums import members_table, sum_groups
from tests.traffic import T0, Record, make_case, reject

HOST, SCANNER, CLIENT, THIRD = "10.0.0.5", "198.18.3.4", "198.18.3.5", "198.18.3.6"


def scan(source: str, count: int) -> list[Record]:
    """Return rejected attempts at so many ports of HOST."""
    return [
        reject(source, HOST, 1_000 + n, T0 + 60 * n, source_port=40_000 + n) for n in range(count)
    ]


@pytest.fixture
def rows(tmp_path: Path):
    records = [*scan(SCANNER, 9), *scan(CLIENT, 8), *scan(THIRD, 8)]
    attempts = build_attempts(make_case(tmp_path, records).connections)
    return find_candidates(attempts, min_failed=8, popular_clients=2)


def test_groups_are_summed_in_their_order(rows) -> None:
    first, second = sum_groups(rows, members_table([[CLIENT], [SCANNER, THIRD]]), 10)
    assert (first["group"], first["failed_count"], first["distinct_services"]) == (0, 8, 8)
    assert (second["failed_count"], second["rejected_count"], second["empty_count"]) == (17, 17, 0)
    assert (second["distinct_services"], second["hosts"], second["protocol"]) == (9, [HOST], 6)
    assert second["attempted_ports"] == list(range(1_000, 1_009))
    assert second["port_sources"] == [2] * 8 + [1]
    assert (second["sources"], second["source_failed"]) == ([SCANNER, THIRD], [9, 8])
    assert (second["source_count"], second["reached_count"]) == (2, 0)


def test_a_group_names_the_sources_with_most_failed_attempts(rows) -> None:
    (group,) = sum_groups(rows, members_table([[CLIENT, SCANNER, THIRD]]), 2)
    assert (group["sources"], group["source_count"]) == ([SCANNER, CLIENT], 3)
    assert group["failed_count"] == 25


def test_without_members_there_is_no_group(rows) -> None:
    assert sum_groups(rows, members_table([]), 10) == []
