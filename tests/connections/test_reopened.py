"""Connections at the edge of periods that are built again (test_extension has what follows)."""

from __future__ import annotations

from datetime import UTC, datetime

from flowbench.connections.reopened import find_reopened
from tests.connections.test_extension import OUT, A, Loads
from tests.traffic import T0, connect


def test_connections_that_began_before_have_both_ends_and_their_start(tmp_path) -> None:
    records = [*connect(A, OUT, 443, T0), *connect(A, OUT, 20_005, T0 + 60, tcp_flags=None),
               *connect(A, OUT, 80, T0 + 120)]  # fmt: skip
    loads = Loads(tmp_path, records)
    time = datetime.fromtimestamp(T0 + 120, UTC)
    found = find_reopened(loads.connection, loads.before, ["2026-09-01T0000"], time)
    rows = found.order_by("b_port").to_pyarrow().to_pylist()
    assert [
        (row["a"], row["a_port"], row["b"], row["b_port"], row["protocol"]) for row in rows
    ] == [
        (A, 40_000, OUT, 443, 6),
        (A, 40_000, OUT, 20_005, 6),
    ]
    assert [row["first"].timestamp() for row in rows] == [T0, T0 + 60]
