"""What many hosts use, and when that excuses them."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowbench.detect.sharing import shared_services
from tests.detect.detectors.common import HOUR, SAAS
from tests.traffic import T0, Record, connect, make_case


def calls(hosts: int, begin: int, end: int, *, peer: str = SAAS) -> list[Record]:
    """A connection of each host every four hours from ``begin`` to ``end`` (hours)."""
    return [
        record
        for n in range(1, hosts + 1)
        for hour in range(begin, end, 4)
        for record in connect(f"10.0.{n // 250}.{n % 250}", peer, 443, T0 + hour * HOUR)
    ]


@pytest.mark.parametrize(
    ("hosts", "begin", "end", "reason"),
    [
        (4, 0, 40, "baseline"),
        (3, 0, 40, None),  # too few share it
        (10, 12, 40, None),  # many, but newly
        (40, 0, 12, None),  # a log of half a day shows no baseline
        (120, 0, 12, "network"),
    ],
)
def test_number_alone_excuses_nothing(
    tmp_path: Path, hosts: int, begin: int, end: int, reason: str | None
) -> None:
    records = calls(hosts, begin, end)
    if begin:
        records += calls(1, 0, end, peer="198.51.100.7")
    rows = shared_services(make_case(tmp_path, records)).to_pyarrow().to_pylist()
    expected = {
        "responder": SAAS,
        "service_port": 443,
        "protocol": 6,
        "host_count": hosts,
        "reason": reason,
    }
    assert rows == ([expected] if reason else [])


@pytest.mark.parametrize(("service", "shared"), [("S3", True), ("EC2", False)])
def test_a_service_of_a_cloud_excuses_and_a_rented_address_does_not(
    tmp_path: Path, service: str, shared: bool
) -> None:
    ranges = {
        "syncToken": "1788220800",
        "createDate": "2026-09-01-00-00-00",
        "prefixes": [
            {
                "ip_prefix": "203.0.113.0/24",
                "region": "eu-west-1",
                "service": name,
                "network_border_group": "eu-west-1",
            }
            for name in ("AMAZON", service)
        ],
        "ipv6_prefixes": [],
    }
    case = make_case(tmp_path, calls(5, 0, 12), json_lines=[ranges])
    rows = shared_services(case).to_pyarrow().to_pylist()
    assert [row["reason"] for row in rows] == (["cloud"] if shared else [])
