"""The graph of a view of the hunting bench, and the filter by its selected node."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from flowbench.case import Case
from flowbench.investigate.crossfilter import Selection
from flowbench.panel.bench_graph import BenchGraph, named_hosts
from flowbench.panel.bench_state import BenchState
from flowbench.panel.graph_elements import edge_id
from tests.incident_case import HOST, POOL
from tests.traffic import T0

BEGIN = pd.Timestamp(T0, unit="s", tz="UTC")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("src = 10.0.0.5 and dst in (10.0.0.9, 10.0.0.5)", ("10.0.0.5", "10.0.0.9")),
        ("src = 10.0.0.5 and ip != 10.0.0.1 and not dst = 10.0.0.2", ("10.0.0.5",)),
        ("dst in (10.0.0.9, 10.1.0.0/16)", ()),  # connections need not have 10.0.0.9
        ("ip = 10.0.0.5 or dport = 22", ()),
        ("", ()),
    ],
)
def test_hosts_that_each_connection_of_a_view_has(text, named) -> None:
    assert named_hosts(BenchState(text)) == named


def test_a_view_is_drawn_and_its_node_filters(incident: Case) -> None:
    conditions: list[str] = []
    views = [(BenchState(f"ip = {HOST}"), [HOST, POOL]), (BenchState(), [POOL, "10.0.0.9"])]
    graph = BenchGraph(incident, lambda: views.pop(0), conditions.append)
    assert graph._filter.disabled
    graph.draw()
    assert graph.explorer.state.hosts == (HOST,)
    assert graph.explorer.state.expanded == (HOST,)
    graph.explorer.selected = POOL
    assert graph._filter.description == f"Filter by {POOL}"
    graph._filter.click()
    assert conditions == [f"ip = {POOL}"]
    explorer = graph.explorer
    graph.draw()
    assert graph.explorer is explorer
    assert explorer.state.hosts == explorer.state.expanded == (POOL, "10.0.0.9")


@pytest.mark.parametrize(
    "view",
    [
        BenchState("dport = 3333"),
        BenchState(f"ip = {HOST} and not dport = 3333"),
        BenchState("bytes > 1000 or rejected"),
        BenchState("", BEGIN, BEGIN + pd.Timedelta(hours=2)),
        BenchState("answered", BEGIN, BEGIN + pd.Timedelta(hours=4)),
    ],
)
def test_the_graph_has_what_filter_and_period_select(incident: Case, view: BenchState) -> None:
    with Selection(incident, view.filter, view.period) as selection:
        pairs = selection.pairs()
        hosts = selection.hosts()["address"].tolist()
    graph = BenchGraph(incident, lambda: (view, hosts), lambda _condition: None)
    graph.draw()
    edges = {edge["id"] for edge in graph.explorer.view.elements["edges"]}
    assert edges
    assert edges == {edge_id(row.initiator, row.responder) for row in pairs.itertuples()}


def test_a_graph_of_an_earlier_view_says_so(incident: Case) -> None:
    view = BenchState("dport = 3333")
    graph = BenchGraph(incident, lambda: (view, [POOL]), lambda _condition: None)
    graph.compare(BenchState())
    assert graph._message.value == ""
    graph.draw()
    graph.compare(replace(view, measure="bytes", page=2))
    assert graph._message.value == ""
    graph.compare(BenchState())
    assert graph._message.value == "The graph is of an earlier view: draw it again."


def test_nothing_to_draw(incident: Case) -> None:
    graph = BenchGraph(incident, lambda: (BenchState(), []), lambda _condition: None)
    graph.draw()
    assert graph.explorer is None
    assert graph._message.value == "The view has no host to draw."
