"""The state of a graph explorer: steps from one to the next, and the code that makes it."""

from __future__ import annotations

import pandas as pd
import pytest

from flowbench.investigate.neighbour_scope import Scope
from flowbench.panel.graph_state import GraphState, to_utc

STATE = GraphState(("10.0.0.5",), ("10.0.0.5",))
TIME = pd.Timestamp("2026-09-02 02:30", tz="UTC")


def test_a_node_is_expanded_once_and_collapsed_again() -> None:
    expanded = STATE.expand("10.0.0.9").expand("10.0.0.9")
    assert expanded.expanded == ("10.0.0.5", "10.0.0.9")
    assert expanded.collapse("10.0.0.5").expanded == ("10.0.0.9",)
    assert STATE.collapse("192.0.2.1") == STATE


def test_a_group_has_no_neighbours_of_its_own() -> None:
    assert STATE.expand("group:country CN") == STATE


def test_an_address_is_shown_once() -> None:
    assert STATE.show("10.0.0.9").show("10.0.0.9").hosts == ("10.0.0.5", "10.0.0.9")


def test_the_scope_is_what_is_shown() -> None:
    state = GraphState(("a",), ("b",), TIME, None, "bytes", 50)
    assert state.scope == Scope(("a",), ("b",), TIME, None, 50)


def test_code_names_what_is_not_the_default() -> None:
    start = "fb.panel.graph(case, around=['10.0.0.5'], expanded=['10.0.0.5']"
    assert STATE.to_code() == f"{start})"
    changed = GraphState(STATE.hosts, STATE.expanded, TIME, None, "tag:env'", 50)
    since = "since='2026-09-02T02:30:00+00:00'"
    assert changed.to_code() == f'{start}, {since}, color="tag:env\'", most=50)'


@pytest.mark.parametrize(
    "text", ["2026-09-02 02:30", "2026-09-02T04:30:00+02:00", TIME, TIME.to_pydatetime()]
)
def test_times_without_a_zone_are_utc(text) -> None:
    assert to_utc(text) == TIME
    assert to_utc(text).tzinfo is not None
    assert to_utc(None) is None
