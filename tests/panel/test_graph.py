"""The graph explorer without a browser: where it begins, each step, and what it keeps."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pandas as pd
import pytest

from flowbench import detect, panel
from flowbench.case import Case
from flowbench.case.positions import FILE, Position, read_positions
from flowbench.errors import InputError
from flowbench.panel.graph_elements import edge_id
from tests.incident_case import DATABASE, EXIT, HOST, HOSTILE, POOL, WEB, make_incident_case
from tests.traffic import T0


@pytest.fixture(scope="module")
def case(tmp_path_factory) -> Case:
    return make_incident_case(tmp_path_factory.mktemp("panel") / "incident")


@pytest.fixture
def explorer(case: Case) -> panel.GraphExplorer:
    (case.path / FILE).unlink(missing_ok=True)
    return panel.graph(case, HOST)


def ids(explorer: panel.GraphExplorer, kind: str = "nodes") -> list[str]:
    return [element["id"] for element in explorer.view.elements[kind]]


def send(explorer: panel.GraphExplorer, **message: object) -> None:
    """Send what the front end sends."""
    explorer.view._handle_custom_msg(message, [])


def test_it_begins_with_a_pivot_and_its_neighbours(explorer) -> None:
    assert ids(explorer) == [HOST, DATABASE, EXIT, POOL]
    assert ids(explorer, "edges") == [edge_id(HOST, peer) for peer in (DATABASE, EXIT, POOL)]
    assert explorer.view.code == f"fb.panel.graph(case, around=['{HOST}'], expanded=['{HOST}'])"


def test_it_begins_with_the_hosts_of_findings(case, tmp_path, few_detectors) -> None:
    with pytest.raises(InputError, match=r"keeps no findings: run fb\.detect\.run\(case\) first"):
        panel.graph(case)
    copy = Case.open(shutil.copytree(case.path, tmp_path / "copy"))
    detect.run(copy)
    explorer = panel.graph(copy)
    assert explorer.state.hosts[0] == HOST
    assert explorer.state.expanded == (HOST,)
    assert {POOL, EXIT} <= set(ids(explorer))


def test_a_filter_leaves_what_matches_and_is_in_the_code(case, explorer) -> None:
    explorer.controls.where.value = "dport = 3333 or rejected"
    assert ids(explorer, "edges") == [edge_id(HOST, peer) for peer in (DATABASE, POOL)]
    assert "where='dport = 3333 or rejected'" in explorer.view.code
    assert explorer.view.elements["title"].endswith("where dport = 3333 or rejected")
    explorer.controls.where.value = "dport = "
    assert explorer._error.value.startswith("the filter is wrong at character 9")
    assert explorer.state.where == "dport = 3333 or rejected"
    explorer.controls.where.value = ""
    assert (ids(explorer), explorer._error.value) == ([HOST, DATABASE, EXIT, POOL], "")
    with pytest.raises(InputError, match="the filter is wrong"):
        panel.graph(case, HOST, where="dport")


def test_code_makes_the_same_view(case, explorer) -> None:
    explorer.expand(DATABASE)
    explorer.state = replace(
        explorer.state, color="bytes", since=pd.Timestamp(T0, unit="s", tz="UTC"), most=150
    )
    again = eval(explorer.view.code, {"fb": type("fb", (), {"panel": panel}), "case": case})
    assert again.state == explorer.state
    assert again.view.elements == explorer.view.elements


def test_the_user_expands_and_collapses(explorer) -> None:
    send(explorer, action="expand", node=DATABASE)
    assert WEB in ids(explorer)
    assert explorer.state.expanded == (HOST, DATABASE)
    send(explorer, action="collapse", node=DATABASE)
    assert WEB not in ids(explorer)


@pytest.mark.parametrize(
    "message",
    [
        {"action": "expand", "node": "192.0.2.250"},
        {"action": "show", "node": "<b>"},
        {"action": "__init__", "node": HOST},
        {"action": "moved", "positions": [1]},
        {},
    ],
)
def test_messages_that_mean_nothing_change_nothing(explorer, message) -> None:
    before = explorer.state, explorer.view.elements
    send(explorer, **message)
    assert (explorer.state, explorer.view.elements) == before


def test_positions_are_kept_in_the_case(case, explorer) -> None:
    send(explorer, action="moved", positions={HOST: [1, 2, 1], "192.0.2.250": [3, 4], POOL: [5, 6]})
    assert explorer.view.positions == {HOST: [1, 2, True], POOL: [5, 6, False]}
    assert read_positions(case.path) == {HOST: Position(1, 2, True), POOL: Position(5, 6)}
    assert panel.graph(case, HOST).view.positions == explorer.view.positions
    assert case.verify()["ok"].all()


def test_a_period_leaves_out_what_was_not_seen_then(explorer) -> None:
    labels = [label for label, _time in explorer.controls.period.slider.options]
    assert labels[0] == "2026-09-01 00:00"
    explorer.controls.period.slider.index = (0, labels.index("2026-09-01 00:30"))
    assert DATABASE not in ids(explorer)  # first seen after an hour
    assert explorer.state.until == pd.Timestamp("2026-09-01 00:30", tz="UTC")
    explorer.controls.period.slider.index = (0, len(labels) - 1)
    assert (explorer.state.since, explorer.state.until) == (None, None)
    assert DATABASE in ids(explorer)


def test_colours_follow_the_control_and_the_state(explorer) -> None:
    explorer.controls.color.value = "tag:Name"
    assert explorer.state.color == "tag:Name"
    assert HOSTILE.replace("\n", "\\x0a") in [i["label"] for i in explorer.view.elements["legend"]]
    explorer.state = replace(explorer.state, color="bytes")
    assert explorer.controls.color.value == "bytes"


def test_a_group_lists_its_members_and_gives_one_out(case) -> None:
    explorer = panel.graph(case, EXIT, most=1)
    assert ids(explorer) == [EXIT, "group:subnet subnet-1"]
    explorer.selected = "group:subnet subnet-1"
    assert explorer.view.members["items"] == [{"id": HOST, "text": f"{HOST} (72)"}]
    send(explorer, action="show", node=HOST)
    assert ids(explorer) == [HOST, EXIT]
    assert explorer.selected == HOST
    assert explorer.view.members == {}


def test_a_case_that_is_gone_is_told(case, tmp_path) -> None:
    copy = Case.open(shutil.copytree(case.path, tmp_path / "copy"))
    explorer = panel.graph(copy, HOST)
    assert explorer._error.layout.display == "none"
    shutil.rmtree(copy.path)
    send(explorer, action="expand", node=POOL)
    assert "No files found" in explorer._error.value
    assert explorer._error.layout.display is None
    assert not copy.path.exists()


def test_what_disappears_is_no_longer_selected(explorer) -> None:
    explorer.expand(DATABASE)
    explorer.view.selected = WEB
    assert explorer.selected == WEB
    explorer.collapse(DATABASE)
    assert explorer.selected == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"around": "no-such-host"}, "'no-such-host' is no address, network"),
        ({"around": HOST, "color": "red"}, "cannot colour by 'red'"),
        ({"around": HOST, "most": 2_000}, "cannot show 2,000 nodes: choose 1 to 1,000"),
    ],
)
def test_wrong_arguments_are_errors(case, arguments, message) -> None:
    with pytest.raises(InputError, match=message):
        panel.graph(case, **arguments)
