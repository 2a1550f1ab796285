"""Edges: sums by node, ports, verdicts; indicators by time."""

from __future__ import annotations

import ibis
import pandas as pd
import pytest

from flowbench import engine
from flowbench.connections import SUMMARIES
from flowbench.investigate.graph import edges
from tests.traffic import T0


def at(seconds: int) -> pd.Timestamp:
    return pd.Timestamp(T0 + seconds, unit="s", tz="UTC")


def summaries(*rows: dict) -> ibis.Table:
    usual = {
        "initiator": "a", "responder": "b", "service_port": 443, "protocol": 6,
        "direction": "outbound", "intermediate": False, "first_seen": at(0), "last_seen": at(60),
        "connections": 2, "rejected": 0, "answered": 2, "bytes_out": 10, "bytes_in": 100,
    }  # fmt: skip
    return engine.register(engine.connect(), SUMMARIES.rows(usual | row for row in rows))


def test_edges_sum_ends_of_the_same_nodes() -> None:
    table = summaries(
        {},
        {"protocol": 17, "first_seen": at(-60)},
        {"initiator": "c", "service_port": 22, "rejected": 2, "answered": 0, "last_seen": at(90)},
        {"intermediate": True, "bytes_out": 1_000_000},
        {"initiator": "b", "responder": "a"},
    )
    nodes = pd.Series({"a": "left", "c": "left", "b": "right"})
    rows = edges.sum_edges(edges.sum_services(table), nodes)
    first, second = rows.to_dict("records")
    assert (first["source"], first["target"], first["ports"]) == ("left", "right", "22, 443")
    assert (first["connections"], first["rejected"], first["answered"]) == (6, 2, 4)
    assert (first["bytes_out"], first["bytes_in"]) == (30, 300)
    assert (first["first_seen"], first["last_seen"]) == (at(-60), at(90))
    assert (second["source"], second["target"], second["connections"]) == ("right", "left", 2)


def test_many_ports_are_counted() -> None:
    table = summaries(*({"service_port": port} for port in range(1, 1_001)))
    (row,) = edges.sum_edges(edges.sum_services(table), pd.Series({"a": "a", "b": "b"})).to_dict(
        "records"
    )
    assert row["ports"] == "1, 2, 3, 4, 5, 6 and 994 more"


@pytest.mark.parametrize(
    ("rejected", "answered", "match", "verdict"),
    [
        (2, 0, True, "rejected"), (2, 1, True, "indicator match"), (0, 0, True, "indicator match"),
        (2, 1, False, "accepted"), (0, 0, False, "accepted"),
    ],
)  # fmt: skip
def test_verdicts(rejected: int, answered: int, match: bool, verdict: str) -> None:
    edge = {"rejected": rejected, "answered": answered, "indicator_match": match}
    assert edges.judge(edge) == verdict
