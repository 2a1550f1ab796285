"""What several detectors ask of the tables: interval, consumers, page visits, browsing hosts."""

from __future__ import annotations

from pathlib import Path

import ibis
import pandas as pd
import pytest

from flowbench.detect.traffic import (
    aggregation_interval,
    browsing_hosts,
    host_traffic,
    is_cloud_address,
    is_consumer,
    is_in_passing,
    is_page_visit,
    is_time_service,
)
from tests.traffic import T0, connect, make_case

HOST, SERVER, SITE = "10.0.0.5", "10.0.0.6", "203.0.113.200"


@pytest.mark.parametrize("window", [60, 600])
def test_the_aggregation_interval_is_that_of_the_records(tmp_path: Path, window: int) -> None:
    case = make_case(tmp_path, connect(HOST, SITE, 443, T0, seconds=7_200, window=window))
    assert aggregation_interval(case) == window


@pytest.mark.parametrize(
    ("sent", "received", "consumer"), [(1, 3, True), (1, 2, False), (0, 0, True), (3, 1, False)]
)
def test_a_consumer_receives_three_times_what_it_sends(
    sent: int, received: int, consumer: bool
) -> None:
    assert is_consumer(sent, received) is consumer


def test_a_page_visit_has_ten_kilobytes_a_connection() -> None:
    assert is_page_visit(1_000, 10_000, 1)
    assert not is_page_visit(1_000, 10_000, 2)
    assert not is_page_visit(9_000, 10_000, 1)


def test_hosts_that_visit_five_sites_of_their_own_browse(tmp_path: Path) -> None:
    def visit(host: str, site: str, number: int):
        return connect(host, site, 443, T0 + 60 * number, out=900, back=60_000)

    records = [r for n in range(5) for r in visit(HOST, f"198.51.{n}.7", n)]
    records += [r for n in range(4) for r in visit(SERVER, f"192.0.{n + 3}.7", n)]
    shared = [r for n in range(3) for r in visit(f"10.0.1.{n}", SITE, n)]
    case = make_case(tmp_path, [*records, *shared])
    until = pd.Timestamp(T0 + 86_400, unit="s", tz="UTC")
    assert browsing_hosts(case, until).to_pyarrow()["host"].to_pylist() == [HOST]
    few = browsing_hosts(case, until, min_sites=4).to_pyarrow()["host"].to_pylist()
    assert sorted(few) == [HOST, SERVER]
    early = pd.Timestamp(T0 + 100, unit="s", tz="UTC")
    assert browsing_hosts(case, early).to_pyarrow().num_rows == 0


def test_without_cloud_ranges_no_address_is_a_clouds(tmp_path: Path) -> None:
    case = make_case(tmp_path, connect(HOST, SITE, 443, T0))
    assert is_cloud_address(case, pd.Series([SITE, "198.51.100.7"])).tolist() == [False, False]
    assert is_cloud_address(case, pd.Series([], dtype=object)).tolist() == []


def test_ten_small_web_contacts_of_its_own_show_browsing_too(tmp_path: Path) -> None:
    records = [
        r for n in range(10) for r in connect(HOST, f"198.51.{n}.7", 443, T0 + n, out=900, back=900)
    ]
    records += [r for n in range(9) for r in connect(SERVER, f"192.0.{n}.7", 443, T0 + n)]
    case = make_case(tmp_path, records)
    until = pd.Timestamp(T0 + 86_400, unit="s", tz="UTC")
    assert browsing_hosts(case, until).to_pyarrow()["host"].to_pylist() == [HOST]
    own = ibis.memtable({"host": [HOST], "until": [pd.Timestamp(T0, unit="s", tz="UTC")]})
    assert browsing_hosts(case, own).to_pyarrow().num_rows == 0


@pytest.mark.parametrize(
    ("sent", "connections", "seconds", "passing"),
    [(900, 2, 90_000, True), (900, 50, 3_000, True), (900, 3, 3_600, False), (1e7, 1, 0, False)],
)
def test_what_happens_in_passing(
    sent: float, connections: int, seconds: float, passing: bool
) -> None:
    assert is_in_passing(sent, connections, seconds) is passing


def test_a_time_service_has_small_packets(tmp_path: Path) -> None:
    time = {"protocol": 17, "packets": 2}
    records = [
        *connect(HOST, "192.0.2.1", 123, T0, out=152, back=152, **time),
        *connect(HOST, "192.0.2.2", 123, T0, out=900, back=152, **time),
        *connect(HOST, "192.0.2.3", 123, T0, out=152, back=152, packets=2),
    ]
    s = make_case(tmp_path, records).connection_summaries
    assert s.filter(is_time_service(s)).to_pyarrow()["responder"].to_pylist() == ["192.0.2.1"]


def test_traffic_from_the_hosts_side(tmp_path: Path) -> None:
    records = [
        *connect(HOST, SITE, 443, T0, out=10, back=20),
        *connect(SITE, HOST, 22, T0, out=30, back=40),
        *connect(HOST, SERVER, 5432, T0, out=50, back=60),
    ]
    s = make_case(tmp_path, records).connection_summaries
    columns = ["host", "peer", "sent", "received", "opened"]
    rows = host_traffic(s).select(columns).order_by("sent").to_pyarrow().to_pylist()
    assert [tuple(row.values()) for row in rows] == [
        (HOST, SITE, 10, 20, True),
        (HOST, SITE, 40, 30, False),
    ]
    both = host_traffic(s, internal=True).select(columns).order_by("sent").to_pyarrow().to_pylist()
    assert tuple(both[-1].values()) == (HOST, SERVER, 50, 60, True)
