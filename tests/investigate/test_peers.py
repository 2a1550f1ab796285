"""Peers: of all hosts, of some, and new ones."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from flowbench.errors import InputError
from flowbench.investigate import where
from flowbench.investigate.peers import PEERS, list_peers
from tests.investigate.hunting_case import DATABASE, LATE, OUT, OUT6, POOL


def peers_of(table) -> list[str]:
    return table.peer.to_pyarrow().to_pylist()


def test_external_peers_of_all_hosts(hunting_case) -> None:
    rows = list_peers(hunting_case).to_pyarrow().cast(PEERS.arrow).to_pylist()
    assert [row["peer"] for row in rows] == [OUT6, POOL, OUT, LATE]
    assert rows[1] == {
        "peer": POOL,
        "first_seen": datetime(2026, 9, 1, tzinfo=UTC),
        "last_seen": datetime(2026, 9, 1, 0, 0, 59, tzinfo=UTC),
        "hosts": 1,
        "connections": 1,
        "rejected": 0,
        "answered": 1,
        "bytes_sent": 700,
        "bytes_received": 9_000,
        "internal": False,
        "name": None,
        "names": ["pool.example"],
        "country": None,
        "network_owner": None,
        "kinds": ["mining"],
    }
    assert (rows[2]["hosts"], rows[2]["connections"]) == (2, 5)
    assert (rows[3]["bytes_sent"], rows[3]["bytes_received"]) == (200, 100)


@pytest.mark.parametrize(
    "time",
    [
        "2026-09-02",
        "2026-09-02T02:00+02:00",
        datetime(2026, 9, 2),  # noqa: DTZ001  # without an offset: UTC
        datetime(2026, 9, 2, tzinfo=UTC),
    ],
)
def test_new_peers(hunting_case, time) -> None:
    assert peers_of(list_peers(hunting_case, first_seen_after=time)) == [LATE]


def test_peers_of_some_hosts_are_internal_ones_too(hunting_case) -> None:
    hosts = where.parse("name = db")
    rows = list_peers(hunting_case, hosts).to_pyarrow().to_pylist()
    assert [(row["peer"], row["name"]) for row in rows] == [
        (POOL, None),
        ("10.0.0.5", "web"),
        ("10.0.2.7", "tag:env = prod"),
    ]
    assert peers_of(list_peers(hunting_case, hosts, condition="rejected")) == ["10.0.2.7"]


def test_a_time_that_is_none_is_refused(hunting_case) -> None:
    with pytest.raises(InputError, match=r"first_seen_after='yes\\x1b': expected a time such as"):
        list_peers(hunting_case, first_seen_after="yes\x1b")


def test_nat_gateways_are_peers_only_if_asked_for(hunting_case) -> None:
    table = list_peers(hunting_case, condition=f"ip = {POOL}")
    assert table.hosts.to_pyarrow().to_pylist() == [1]
    both = list_peers(hunting_case, condition=f"ip = {POOL}", nat_hops=True)
    assert both.hosts.to_pyarrow().to_pylist() == [2]
    assert DATABASE not in peers_of(both)
