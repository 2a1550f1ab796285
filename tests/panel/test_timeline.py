"""The timeline panel without a browser: filters, what the user does, and the code for it."""

from __future__ import annotations

import pandas as pd
import pytest

from flowbench import panel
from flowbench.case import Case
from flowbench.errors import InputError
from tests.incident_case import HOST
from tests.traffic import T0


@pytest.fixture(scope="module")
def case(_prepared) -> Case:
    return Case.open(_prepared)


@pytest.fixture
def shown(case: Case) -> panel.TimelinePanel:
    return panel.timeline(case)


def ids(shown: panel.TimelinePanel) -> set[str]:
    return {mark["id"] for mark in shown.view.elements["marks"]}


def listed(shown: panel.TimelinePanel) -> list[str]:
    return [key for _label, key in shown.list.options]


def send(shown: panel.TimelinePanel, **message: object) -> None:
    """Send what the front end sends."""
    shown.view._handle_custom_msg(message, [])


def test_lanes_and_list_have_every_event(shown) -> None:
    assert len(shown.events) > 10
    assert ids(shown) == set(listed(shown))
    assert len(listed(shown)) == len(shown.events)
    count = len(shown.events)
    assert shown.message.value == f"<span role='status'>{count} of {count} events.</span>"


def test_a_drag_chooses_a_period_and_none_is_everything(shown) -> None:
    everything = ids(shown)
    send(shown, action="period", since=(T0 - 3 * 3600) * 1000, until=(T0 - 1800) * 1000)
    assert shown.state.since == pd.Timestamp(T0 - 3 * 3600, unit="s", tz="UTC")
    assert ids(shown) == set(listed(shown)) < everything
    assert shown.period.slider.value == (shown.state.since, shown.state.until)
    send(shown, action="period", since=None, until=None)
    assert ids(shown) == everything


@pytest.mark.parametrize(
    "message",
    [
        {"action": "period", "since": "x", "until": 1},
        {"action": "period", "since": -1, "until": 10**18},
        {"action": "other", "since": 1, "until": 2},
        {},
    ],
)
def test_messages_that_mean_nothing_change_nothing(shown, message) -> None:
    before = shown.state
    send(shown, **message)
    assert shown.state == before


def test_sources_and_severity_filter(shown) -> None:
    shown.sources["CloudTrail"].value = False
    assert "CloudTrail" not in shown.state.sources
    assert not ids(shown) & set(
        shown.events["evidence"][shown.events["data_source"] == "CloudTrail"]
    )
    shown.sources["CloudTrail"].value = True
    assert shown.state.sources == ()
    shown.severity.value = "critical"
    severities = shown.state.select(shown.events)["severity"]
    assert set(severities.dropna()) <= {"critical"}


def test_a_mark_or_a_line_opens_the_evidence(shown) -> None:
    shown.view.selected = "e5"
    assert shown.list.value == "e5"
    assert "eve called RunInstances" in shown.details.value
    assert "other.jsonl" in shown.details.value
    finding = next(key for key in listed(shown) if key.startswith("mining-"))
    shown.list.value = finding
    assert shown.view.selected == finding
    assert "Records 1 to" in shown.details.value


def test_code_makes_the_same_view(case, shown) -> None:
    shown.severity.value = "high"
    shown.list.value = "e5"
    send(shown, action="period", since=(T0 - 3 * 3600) * 1000, until=T0 * 1000)
    again = eval(shown.state.to_code(), {"fb": type("fb", (), {"panel": panel}), "case": case})
    assert again.state == shown.state
    assert again.view.elements == shown.view.elements


def test_it_can_be_about_a_host_and_without_findings(tmp_path, few_detectors, case) -> None:
    about = panel.timeline(case, HOST)
    assert about.state.about == HOST
    assert ids(about)
    empty = panel.timeline(Case.create(tmp_path / "empty"))
    assert listed(empty) == []
    assert "There are no events" in empty.view.elements["hint"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"severity": "huge"}, "no severity is called huge; there are: low"),
        ({"sources": ["syslog"]}, "no data source is called syslog; there are: flowbench"),
        ({"about": "no-such-host"}, "'no-such-host' is no address"),
    ],
)
def test_wrong_arguments_are_errors(case, arguments, message) -> None:
    with pytest.raises(InputError, match=message):
        panel.timeline(case, **arguments)
