"""Administrative sessions: longer or larger than a failed login, by a known initiator."""

from __future__ import annotations

import ibis
import pyarrow as pa
import pytest

from flowbench.connections import TABLE
from flowbench.enrich.admin_sessions import MOST_LOGIN_PACKETS, find_sessions, mark_sessions
from tests.traffic import T0

SESSION = {
    "initiator": "198.51.100.40",
    "initiator_port": 51_515,
    "responder": "10.0.0.5",
    "service_port": 22,
    "protocol": 6,
    "first_seen": T0 * 1_000_000,
    "last_seen": (T0 + 59) * 1_000_000,
    "bytes_out": 4_000,
    "bytes_in": 6_000,
    "packets_out": 400,
    "packets_in": 380,
    "records": 2,
    "rejected": False,
    "answered": True,
    "direction": "inbound",
    "intermediate": False,
    "initiator_rule": "ports",
}


def connections(**changes: object) -> ibis.Table:
    return ibis.memtable(pa.Table.from_pylist([SESSION | changes], schema=TABLE.arrow))


def is_session(**changes: object) -> bool:
    return bool(find_sessions(connections(**changes)).count().execute())


@pytest.mark.parametrize("port", MOST_LOGIN_PACKETS)
def test_more_packets_than_a_failed_login(port: int) -> None:
    most = MOST_LOGIN_PACKETS[port]
    assert is_session(service_port=port, packets_out=most + 1)
    assert not is_session(service_port=port, packets_out=most)


@pytest.mark.parametrize(("port", "expected"), [(22, True), (5985, True), (3389, False)])
def test_more_bytes_than_a_failed_login(port: int, expected: bool) -> None:
    few = {"service_port": port, "packets_out": 20, "packets_in": 30}
    for direction in ("bytes_out", "bytes_in"):
        assert is_session(**few, **{direction: 20_001}) == expected
        assert not is_session(**few, **{direction: 20_000})


@pytest.mark.parametrize(
    ("windows", "length", "expected"),
    [(4, 60, False), (5, 60, True), (2, 600, False), (3, 600, True)],
)
def test_longer_than_a_server_waits_for_a_login(windows: int, length: int, expected: bool) -> None:
    # Two whole windows of a minute are no longer than the two minutes that sshd waits.
    last = (T0 + windows * length - 1) * 1_000_000
    few = {"packets_out": 20, "packets_in": 20, "records": 2 * windows, "last_seen": last}
    assert is_session(**few) == expected
    assert not is_session(**few | {"packets_in": 10})
    assert not is_session(**few | {"packets_out": 10})


@pytest.mark.parametrize(
    "change",
    [
        {"answered": False},
        {"direction": "outbound"},
        {"direction": "internal"},
        {"direction": "external"},
        {"intermediate": True},
        {"protocol": 17},
        {"service_port": 443},
        {"initiator_rule": "higher-port"},
        {"initiator_rule": "order"},
        {"packets_in": 5},
    ],
)
def test_what_is_no_session(change: dict[str, object]) -> None:
    assert is_session()
    assert not is_session(**change)


@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, False), ({"packet_factor": 0.5}, True), ({"ports": [80]}, None)],
)
def test_thresholds_and_ports(options: dict, expected: bool | None) -> None:
    rows = mark_sessions(connections(packets_out=40), **options).to_pyarrow().to_pylist()
    assert [row["is_session"] for row in rows] == ([] if expected is None else [expected])


def test_a_port_of_the_analyst_counts_as_ssh() -> None:
    marked = mark_sessions(connections(service_port=8022, packets_out=52), ports=[8022])
    assert marked.to_pyarrow()["is_session"].to_pylist() == [True]
