"""The graph of a view of the hunting bench, and the filter by its selected node."""

from __future__ import annotations

from flowbench.case import Case
from flowbench.panel.bench_graph import BenchGraph, named_hosts
from flowbench.panel.bench_state import BenchState
from tests.incident_case import HOST, POOL


def test_hosts_that_a_filter_names() -> None:
    state = BenchState("src = 10.0.0.5 and dst in (10.0.0.9, 10.1.0.0/16) and ip != 10.0.0.1")
    assert named_hosts(state) == ("10.0.0.5", "10.0.0.9")


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
    assert explorer.state.hosts == (POOL, "10.0.0.9")


def test_nothing_to_draw(incident: Case) -> None:
    graph = BenchGraph(incident, lambda: (BenchState(), []), lambda _condition: None)
    graph.draw()
    assert graph.explorer is None
    assert graph._message.value == "The view has no host to draw."
