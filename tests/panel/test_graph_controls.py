"""Controls of the graph explorer: steps of the period, keys and values of tags."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from flowbench.case import Case
from flowbench.panel.graph_controls import (
    GraphControls,
    color_options,
    period_steps,
    read_tags,
)
from flowbench.panel.graph_state import GraphState
from tests.incident_case import DATABASE, HOST, HOSTILE, make_incident_case

STATE = GraphState((HOST,))


def utc(text: str) -> pd.Timestamp:
    return pd.Timestamp(text, tz="UTC")


@pytest.mark.parametrize(
    ("last", "count", "end"),
    [
        ("2026-09-01 01:00", 62, "2026-09-01 01:01"),
        ("2026-09-04 00:00", 74, "2026-09-04 01:00"),
        ("2026-12-01 00:00", 184, "2026-12-01 12:00"),
        ("2036-09-01 00:00", 124, "2036-09-11"),
    ],
)
def test_steps_suit_the_length_of_the_period(last, count, end) -> None:
    steps = period_steps(utc("2026-09-01 00:00:30"), utc(last))
    assert (len(steps), steps[-1]) == (count, utc(end))
    assert steps[0] <= utc("2026-09-01 00:00:30")


def test_a_case_without_records_has_steps() -> None:
    assert len(period_steps(None, None)) == 2


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
    since = utc("2026-09-01 00:00:14")
    controls.show(replace(STATE, since=since, color="tag:<b>\u202e", most=150))
    assert controls.period.value[0] == since
    assert controls.color.label == "tag <b>\\u202e"
    assert (controls.most.value, controls.most.label) == (150, "150 nodes")
    assert changes == []
    controls.show(STATE)
    assert len(controls.most.options) == 3
    assert since not in [time for _label, time in controls.period.options]


def test_what_the_user_changes_is_reported(controls, changes) -> None:
    controls.color.value, controls.most.value = "bytes", 50
    times = [time for _label, time in controls.period.options]
    controls.period.index = (1, len(times) - 1)
    controls.period.index = (0, len(times) - 1)
    assert changes == [
        {"color": "bytes"},
        {"most": 50},
        {"since": times[1], "until": times[-1]},
        {"since": None, "until": None},
    ]
