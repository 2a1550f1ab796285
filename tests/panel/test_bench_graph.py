"""The graph of a view of the hunting bench, and the filter by its selected node."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from flowbench.case import Case
from flowbench.investigate.crossfilter import Selection
from flowbench.panel.bench_graph import BenchGraph, describe_share, named_hosts
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
    views = [
        (BenchState(f"ip = {HOST}"), [HOST, POOL], 1),
        (BenchState(), [POOL, "10.0.0.9"], None),
    ]
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
        count = selection.totals()["connections"]
    graph = BenchGraph(incident, lambda: (view, hosts, count), lambda _condition: None)
    graph.draw()
    edges = {edge["id"] for edge in graph.explorer.view.elements["edges"]}
    assert edges
    assert edges == {edge_id(row.initiator, row.responder) for row in pairs.itertuples()}
    assert graph._message.value == f"The graph has all {count:,} connections of the view."


@pytest.mark.parametrize(
    ("shown", "intermediate", "text"),
    [
        (316, 0, "The graph has all 316 connections of the view."),
        (
            246,
            70,
            "The graph has 246 of the 316 connections of the view; 70 of intermediate devices are"
            " not drawn.",
        ),
        (
            200,
            70,
            "The graph has 200 of the 316 connections of the view; 70 of intermediate devices are"
            " not drawn; 46 are of hosts that are not expanded.",
        ),
    ],
)
def test_how_much_of_a_view_the_graph_has(shown: int, intermediate: int, text: str) -> None:
    assert describe_share(shown, intermediate, 316) == text


def test_the_share_follows_the_graph(incident: Case) -> None:
    with Selection(incident, "") as selection:
        count = selection.totals()["connections"]
    graph = BenchGraph(incident, lambda: (BenchState(), [POOL], count), lambda _condition: None)
    graph.draw()
    shown = graph.explorer.view.elements["connections"]
    assert 0 < shown < count
    assert graph._message.value == describe_share(shown, 0, count)
    graph.explorer.expand(HOST)
    assert graph.explorer.view.elements["connections"] > shown
    assert f"has {shown:,} of" not in graph._message.value
    graph.explorer.state = replace(graph.explorer.state, where="dport = 3333")  # its own filter
    assert graph._message.value == ""


def test_a_graph_of_an_earlier_view_says_so(incident: Case) -> None:
    view = BenchState("dport = 3333")
    graph = BenchGraph(incident, lambda: (view, [POOL], None), lambda _condition: None)
    graph.compare(BenchState())
    assert graph._message.value == ""
    graph.draw()
    graph.compare(replace(view, measure="bytes", page=2))
    assert graph._message.value == ""
    graph.compare(BenchState())
    assert graph._message.value == "The graph is of an earlier view: draw it again."


def test_nothing_to_draw(incident: Case) -> None:
    graph = BenchGraph(incident, lambda: (BenchState(), [], 0), lambda _condition: None)
    graph.draw()
    assert graph.explorer is None
    assert graph._message.value == "The view has no host to draw."
