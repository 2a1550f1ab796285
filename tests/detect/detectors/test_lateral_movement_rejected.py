"""Rejected internal connection attempts, on small cases."""

from __future__ import annotations

from pathlib import Path

from tests.detect.detectors.common import HOST, run
from tests.traffic import T0, Record, connect, interface, make_case, reject

RDS = interface("10.0.1.10", "db", Description="RDSNetworkInterface", RequesterManaged=True)
EFS = interface("10.0.1.20", "fs", Description="EFS mount target for fs-0a (fsmt-0b)")


def attempts(*services: tuple[str, int]) -> list[Record]:
    return [
        reject(HOST, address, port, T0 + 60 * n, source_port=40_000 + n, interface_id="eni-z")
        for n, (address, port) in enumerate(services)
    ]


def test_rejected_at_rds_and_efs_is_one_high_finding(tmp_path: Path) -> None:
    services = [("10.0.1.10", 3306), ("10.0.1.10", 5432), ("10.0.1.20", 2049)] * 3
    case = make_case(tmp_path, attempts(*services), interfaces=[RDS, EFS])
    (row,) = run(case, "lateral-movement").to_dict("records")
    assert (row["severity"], row["subject"], row["connections"]) == ("high", HOST, 9)
    assert row["peers"].tolist() == ["10.0.1.10", "10.0.1.20"]
    assert "All were rejected: RDS db 10.0.1.10 3306/tcp (mysql): 3 attempts" in row["summary"]
    assert "EFS fs 10.0.1.20 2049/tcp (nfs): 3 attempts" in row["summary"]


def test_one_service_many_times_is_no_pattern(tmp_path: Path) -> None:
    case = make_case(tmp_path, attempts(*[("10.0.1.10", 3306)] * 20), interfaces=[RDS])
    assert run(case, "lateral-movement")["severity"].tolist() == ["medium"]


def test_stragglers_of_accepted_connections_are_silent(tmp_path: Path) -> None:
    records = list(connect(HOST, "10.0.1.10", 3306, T0))
    late = Record(
        HOST, "10.0.1.10", 40_000, 3306, T0 + 2000, T0 + 2010, action="REJECT", tcp_flags=4
    )
    refused_once = reject(HOST, "10.0.1.10", 3306, T0 + 9000, source_port=44_000)
    case = make_case(tmp_path, [*records, late, refused_once], interfaces=[RDS])
    assert run(case, "lateral-movement").empty


def test_attempts_from_the_internet_are_not_lateral(tmp_path: Path) -> None:
    noise = [reject(f"198.18.0.{n}", HOST, 22, T0 + n, source_port=40_000 + n) for n in range(50)]
    assert run(make_case(tmp_path, noise), "lateral-movement").empty
