"""Controls of the graph explorer: steps of the period, keys and values of tags."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flowbench.case import Case
from flowbench.panel.graph_controls import (
    GraphControls,
    color_options,
    read_tags,
)
from flowbench.panel.graph_state import GraphState
from tests.incident_case import DATABASE, HOST, HOSTILE, make_incident_case

STATE = GraphState((HOST,))


@pytest.fixture(scope="module")
def case(tmp_path_factory) -> Case:
    return make_incident_case(tmp_path_factory.mktemp("controls") / "incident")


def test_keys_of_tags_can_colour_the_graph(case) -> None:
    assert [value for _label, value in color_options(case)] == ["verdict", "bytes", "tag:Name"]


def test_values_of_a_tag_are_read_for_the_nodes_shown(case) -> None:
    assert read_tags(case, "tag:Name", [HOST, "192.0.2.1"]) == {HOST: HOSTILE}
    assert read_tags(case, "tag:env", [HOST]) == {}
    assert read_tags(case, "verdict", [HOST, DATABASE]) == {}


@pytest.fixture
def changes() -> list[dict]:
    return []


@pytest.fixture
def controls(case, changes) -> GraphControls:
    shown = GraphControls(case, lambda **change: changes.append(change))
    shown.show(STATE)
    return shown


def test_a_state_is_shown_without_calling_back(controls, changes) -> None:
    controls.show(replace(STATE, color="tag:<b>\u202e", most=150))
    assert controls.color.label == "tag <b>\\u202e"
    assert (controls.most.value, controls.most.label) == (150, "150 nodes")
    controls.show(STATE)
    assert len(controls.most.options) == 3
    assert changes == []


def test_what_the_user_changes_is_reported(controls, changes) -> None:
    controls.color.value, controls.most.value = "bytes", 50
    controls.where.value = "dport = 22"
    controls.period.slider.index = (1, 3)
    times = [time for _label, time in controls.period.slider.options]
    assert changes == [
        {"color": "bytes"},
        {"most": 50},
        {"where": "dport = 22"},
        {"since": times[1], "until": times[3]},
    ]
