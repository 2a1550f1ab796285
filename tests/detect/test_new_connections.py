"""New connections: which pairs are new after the baseline period and not to be expected."""

from __future__ import annotations

import ibis
import pandas as pd

from flowbench.detect.baseline import Baseline
from flowbench.detect.new_connections import find_new_connections

BEGIN = pd.Timestamp("2026-09-01", tz="UTC")
DAY = pd.Timedelta(days=1)
BASELINE = Baseline(BEGIN + DAY, BEGIN + 2 * DAY, 2 * 86_400.0, 2 * 86_400.0)
HOST, DB = "10.0.0.5", "10.0.9.10"


def connect(initiator: str, responder: str, days: float, port: int = 22, **more: object) -> dict:
    """Return a connection summary first seen so many days after the begin."""
    return {
        "initiator": initiator,
        "responder": responder,
        "service_port": port,
        "protocol": 6,
        "first_seen": BEGIN + days * DAY,
        "answered": 1,
        "direction": "internal",
    } | more


def find_pairs(
    *rows: dict, hosts: int = 5, factor: float = 3, seen: tuple[dict, ...] = ()
) -> list[tuple[str, str, bool]]:
    """Return initiator, responder and known of the new connections.

    ``rows``: connection summaries of internal services; ``seen``: others of the case.
    """
    services = ibis.memtable(pd.DataFrame(rows))
    summaries = ibis.memtable(pd.DataFrame([*rows, *seen]))
    new = find_new_connections(summaries, services, BASELINE, hosts, factor)
    return list(new[["initiator", "responder", "known"]].itertuples(index=False, name=None))


OLD = connect("10.0.3.3", "10.0.4.4", 0.1, 3306)


def test_a_pair_first_seen_after_the_baseline_is_new() -> None:
    assert find_pairs(OLD, connect(HOST, DB, 3)) == [(HOST, DB, False)]
    assert find_pairs(OLD, connect(HOST, DB, 2)) == [(HOST, DB, False)]  # at its end
    assert find_pairs(OLD, connect(HOST, DB, 1.99)) == []
    assert find_pairs(OLD, connect(HOST, DB, 3, answered=0)) == []


def test_a_host_is_known_from_any_direction_of_its_traffic() -> None:
    new = connect(HOST, DB, 3)
    for direction, pair in (
        ("outbound", (HOST, "203.0.113.9")),
        ("inbound", ("203.0.113.9", HOST)),
        ("internal", ("10.0.7.7", HOST)),
    ):
        before = connect(*pair, 0.5, 443, direction=direction)
        assert find_pairs(OLD, new, seen=(before,)) == [(HOST, DB, True)]
        after = before | {"first_seen": BEGIN + 2.5 * DAY}
        assert find_pairs(OLD, new, seen=(after,)) == [(HOST, DB, False)]


def test_a_port_used_at_several_hosts_in_the_baseline_is_expected() -> None:
    old = [connect(HOST, f"10.0.{n}.1", 0.2) for n in range(20, 23)]
    new = connect(HOST, DB, 3)
    assert find_pairs(*old, new, hosts=3) == []
    assert find_pairs(*old, new, hosts=4) == [(HOST, DB, True)]
    assert find_pairs(*old, new | {"service_port": 5432}, hosts=3) == [(HOST, DB, True)]


def test_similar_targets_are_expected() -> None:
    one, two = connect(HOST, "10.0.9.1", 0.2), connect(HOST, "10.0.9.2", 0.2)
    seen = connect("10.0.3.3", DB, 0.3, 443)
    new = connect(HOST, DB, 3)
    assert find_pairs(one, new) == []  # the target is new: one example is enough
    assert find_pairs(one, new, seen=(seen,)) == [(HOST, DB, True)]
    assert find_pairs(one, two, new, seen=(seen,)) == []
    ip6 = connect("fd00::5", "fd00:0:0:9::1", 0.2)
    assert find_pairs(ip6, connect("fd00::5", "fd00:0:0:9::7", 3)) == []
    other = ("fd00::5", "fd00:0:0:a::7")
    assert find_pairs(ip6, connect(*other, 3)) == [(*other, True)]


def test_similar_hosts_are_expected() -> None:
    one, two = connect("10.0.0.6", DB, 0.2), connect("10.0.0.7", DB, 0.2)
    seen = connect(HOST, "203.0.113.9", 0.3, 443, direction="outbound")
    new = connect(HOST, DB, 3)
    assert find_pairs(one, new) == []  # the host is new: one example is enough
    assert find_pairs(one, new, seen=(seen,)) == [(HOST, DB, True)]
    assert find_pairs(one, two, new, seen=(seen,)) == []
    assert find_pairs(connect("10.0.1.6", DB, 0.2), new) == [(HOST, DB, False)]


def test_a_service_that_three_hosts_begin_to_use_has_moved() -> None:
    new = [connect(f"10.0.{n}.5", DB, 3) for n in range(3)]
    assert find_pairs(OLD, *new) == []
    assert find_pairs(OLD, *new[:2]) == [("10.0.0.5", DB, False), ("10.0.1.5", DB, False)]


def test_a_host_must_exceed_its_pace_in_the_baseline() -> None:
    # One new service in the second half of the baseline, the time after it twice as long: two are
    # expected, and more than three times as many are new.
    old = connect(HOST, "10.0.20.1", 1.5, 3306)
    new = [connect(HOST, f"10.0.{n}.1", 3) for n in range(30, 37)]
    assert len(find_pairs(old, *new)) == 7
    assert find_pairs(old, *new[:6]) == []
    assert len(find_pairs(old, *new[:6], factor=2.9)) == 6
    # Another host is expected to have at least the mean of all hosts.
    assert find_pairs(old, *(row | {"initiator": "10.1.1.1"} for row in new[:6])) == []
