"""Which pairs are judged for beaconing: directions, services, sharing, numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowbench.case import Case
from flowbench.detect.beacon_candidates import find_candidates
from tests.detect.detectors.common import HOST, HOUR, SAAS
from tests.traffic import T0, Record, connect, interface, make_case


def calls(host: str, peer: str, port: int, count: int = 12, **fields: object) -> list[Record]:
    """So many connections, one every hour."""
    return [
        record
        for n in range(count)
        for record in connect(host, peer, port, T0 + n * HOUR, source_port=40_000 + n, **fields)
    ]


def ends(case: Case) -> list[tuple[str, str, int]]:
    rows = find_candidates(case, 10, 1_000).to_pyarrow().to_pylist()
    return sorted((row["initiator"], row["responder"], row["service_port"]) for row in rows)


def test_pairs_with_enough_connections_are_judged(tmp_path: Path) -> None:
    records = calls(HOST, SAAS, 443) + calls(HOST, "203.0.113.9", 443, 9)
    case = make_case(tmp_path, records)
    assert ends(case) == [(HOST, SAAS, 443)]
    (row,) = find_candidates(case, 10, 1_000).to_pyarrow().to_pylist()
    assert (row["direction"], row["host_count"], row["shared"]) == ("outbound", 1, False)
    assert find_candidates(case, 10, 11).count().execute() == 0


def test_inbound_connections_are_not_judged(tmp_path: Path) -> None:
    assert ends(make_case(tmp_path, calls(SAAS, HOST, 443))) == []


@pytest.mark.parametrize("port", [53, 123])
def test_names_and_time_are_not_judged(tmp_path: Path, port: int) -> None:
    records = calls(HOST, SAAS, port, protocol=17, tcp_flags=None)
    assert ends(make_case(tmp_path, records)) == []


def test_shared_pairs_are_judged_only_with_an_indicator(tmp_path: Path) -> None:
    records = [r for n in range(1, 6) for r in calls(f"10.0.0.{n}", SAAS, 443, 24)]
    assert ends(make_case(tmp_path / "1", records)) == []
    listed = f"indicator,kind,feed\n{SAAS},c2,list\n"
    case = make_case(tmp_path / "2", records, indicators=listed)
    rows = find_candidates(case, 10, 1_000).to_pyarrow().to_pylist()
    assert [(row["host_count"], row["shared"]) for row in rows] == [(5, True)] * 5


@pytest.mark.parametrize(
    ("clients", "targets", "judged"), [(1, 1, 1), (2, 1, 2), (3, 1, 0), (1, 2, 0)]
)
def test_internal_services_with_other_users_are_not_judged(
    tmp_path: Path, clients: int, targets: int, judged: int
) -> None:
    records = [
        record
        for client in range(clients)
        for target in range(targets)
        for record in calls(f"10.0.1.{client}", f"10.0.2.{target}", 8443)
    ]
    assert len(ends(make_case(tmp_path, records))) == judged


def test_an_endpoint_of_an_aws_service_is_not_judged(tmp_path: Path) -> None:
    endpoint = interface("10.0.2.9", "vpce", kind="vpc_endpoint")
    records = calls(HOST, "10.0.2.9", 443)
    assert ends(make_case(tmp_path / "1", records, interfaces=[endpoint])) == []
    assert ends(make_case(tmp_path / "2", records)) == [(HOST, "10.0.2.9", 443)]
