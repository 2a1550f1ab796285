"""Connections with times and described ends."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import ibis
import pyarrow as pa
import pytest

from flowbench.enrich import inventory
from flowbench.investigate import where
from flowbench.investigate.traffic import (
    HOST_TRAFFIC,
    TRAFFIC,
    _assignment_periods,
    read_host_traffic,
    read_traffic,
    select_connections,
)
from flowbench.schema import TYPES
from tests.investigate.hunting_case import DATABASE, HOSTILE, LATE, MARKUP, NAT, OUT, POOL, WEB

START = datetime(2026, 9, 1, tzinfo=UTC)


def test_the_columns_are_those_that_are_declared(hunting_case) -> None:
    rows = read_traffic(hunting_case, tags=["env", "env"])
    assert rows.columns == (*TRAFFIC.columns, "initiator_tag:env", "responder_tag:env")
    assert rows.to_pyarrow().select(TRAFFIC.columns).cast(TRAFFIC.arrow).num_rows == 12
    assert TRAFFIC.columns[:3] == ["first_seen", "initiator", "initiator_name"]


def test_times_and_ends_of_a_connection(hunting_case) -> None:
    (row,) = read_traffic(hunting_case, "duration > 1h").to_pyarrow().to_pylist()
    assert (row["duration"], row["day"], row["hour_of_day"]) == (7_259, date(2026, 9, 2), 23)
    assert row["hour"] == START + timedelta(hours=47)
    assert (row["initiator"], row["initiator_name"], row["responder"]) == (WEB, "web", OUT)
    assert (row["initiator_subnet_id"], row["initiator_internal"]) == ("subnet-a", True)
    assert (row["responder_subnet_id"], row["responder_internal"]) == (None, False)


def test_hostile_tags_are_values(hunting_case) -> None:
    rows = read_traffic(hunting_case, f"src = {HOSTILE}", tags=["env", "cost center", "'; --"])
    for row in rows.to_pyarrow().to_pylist():
        assert (row["initiator_tag:env"], row["responder_tag:cost center"]) == (MARKUP, "12")
        assert row["initiator_tag:'; --"] is None


def test_an_address_is_what_it_was_at_the_time(hunting_case) -> None:
    rows = read_traffic(hunting_case, "src = 10.0.3.3").initiator_instance_id.to_pyarrow()
    assert rows.to_pylist() == ["i-1", "i-1", "i-2"]


def test_nat_hops_are_left_out_unless_they_are_asked_for(hunting_case) -> None:
    assert select_connections(hunting_case).count().execute() == 12
    assert select_connections(hunting_case, nat_hops=True).count().execute() == 13
    asked = select_connections(hunting_case, "intermediate").initiator.to_pyarrow().to_pylist()
    assert asked == [NAT]


@pytest.mark.parametrize("overlap", [timedelta(hours=1), timedelta(0), timedelta(hours=-2)])
def test_assignments_follow_each_other_without_gap_or_overlap(overlap) -> None:
    held = [
        (None, START),
        (None, None),
        (START - overlap, START + timedelta(hours=5)),
        (START - overlap, None),
    ]
    rows = [
        {"address": "10.0.0.1", "interface_id": f"eni-{n}", "valid_from": a, "valid_until": b}
        for n, (a, b) in enumerate(held)
    ]
    table = _assignment_periods(ibis.memtable(inventory.TABLE.rows(rows)))
    periods = table.order_by("interface_id").select("since", "until").to_pyarrow().to_pylist()
    assert [p["until"] for p in periods[:-1]] == [p["since"] for p in periods[1:]]
    assert periods[-1]["until"] == -periods[0]["since"] == 1 << 62
    times = [p["since"] for p in periods]
    assert times == sorted(times)


def test_half_of_a_gap_counts_for_each_assignment() -> None:
    rows = [
        {"address": "10.0.0.1", "interface_id": "eni-1", "valid_until": START},
        {"address": "10.0.0.1", "interface_id": "eni-2", "valid_from": START + timedelta(hours=2)},
    ]
    periods = _assignment_periods(ibis.memtable(inventory.TABLE.rows(rows))).order_by("since")
    turn = pa.scalar(START + timedelta(hours=1), TYPES["time"]).value
    assert periods.since.to_pyarrow().to_pylist()[1] == turn


def hosts_and_peers(table: ibis.Table) -> list[tuple[str, str, bool]]:
    rows = table.select("host", "peer", "is_initiator").distinct().to_pyarrow().to_pylist()
    return sorted(tuple(row.values()) for row in rows)


def test_each_internal_host_has_its_side_of_a_connection(hunting_case) -> None:
    rows = read_host_traffic(hunting_case, f"ip = {DATABASE}")
    assert list(rows.columns) == HOST_TRAFFIC.columns
    assert hosts_and_peers(rows) == [
        (WEB, DATABASE, True),
        (DATABASE, WEB, False),
        (DATABASE, HOSTILE, False),
        (DATABASE, POOL, True),
        (HOSTILE, DATABASE, True),
    ]
    (row,) = rows.filter(rows.host == DATABASE, rows.peer == WEB).to_pyarrow().to_pylist()
    assert (row["bytes_sent"], row["bytes_received"]) == (900, 300)


def test_hosts_can_be_chosen_and_internal_peers_left_out(hunting_case) -> None:
    hosts = where.parse("name = web and ip in 0.0.0.0/0")
    assert hosts_and_peers(read_host_traffic(hunting_case, "dport = 443", hosts)) == [
        (WEB, LATE, False),
        (WEB, OUT, True),
    ]
    external = read_host_traffic(hunting_case, f"ip = {DATABASE}", internal=False)
    assert hosts_and_peers(external) == [(DATABASE, POOL, True)]
