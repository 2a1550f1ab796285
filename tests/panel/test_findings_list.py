"""The list of findings: its order, labels and filters."""

from __future__ import annotations

from dataclasses import replace

from flowbench.detect import Findings
from flowbench.panel.findings_list import FindingsList
from flowbench.panel.findings_state import FindingsState
from tests.detect.examples import example_finding

FIRST = example_finding(severity="critical", subject="10.0.0.9\u202e")
SECOND = replace(
    example_finding(["203.0.113.6", "203.0.113.7", "203.0.113.8"]), decision="confirmed"
)
FINDINGS = Findings([SECOND, FIRST])


def shown(state: FindingsState) -> tuple[FindingsList, list[dict]]:
    changes: list[dict] = []
    panel = FindingsList(lambda **values: changes.append(values))
    panel.show(state, FINDINGS, {FIRST.finding_id: {"starred": True, "tags": []}})
    return panel, changes


def test_the_most_severe_first_with_mark_and_decision() -> None:
    panel, changes = shown(FindingsState(decision="any", finding=SECOND.finding_id))
    assert [label for label, _ in panel.options.options] == [
        "★ critical: 10.0.0.9\\u202e: Indicator match → 203.0.113.5:443",
        "high: 10.0.0.5: Indicator match → 203.0.113.6, 203.0.113.7 and 1 more:443 [confirmed]",
    ]
    assert panel.options.value == SECOND.finding_id
    assert panel.ids == [FIRST.finding_id, SECOND.finding_id]
    assert "2 of 2 findings" in panel.count.value
    assert changes == []  # what is shown is no choice of the user


def test_filters_offer_what_there_is_and_report_a_choice() -> None:
    panel, changes = shown(FindingsState())
    assert panel.options.value is None
    assert [label for label, _ in panel.filters["group"].options] == [
        "all", "10.0.0.9\\u202e: critical, 1",
    ]  # fmt: skip
    panel.filters["severity"].value = "high"
    panel.options.value = FIRST.finding_id
    assert changes == [{"severity": "high"}, {"finding": FIRST.finding_id}]


def test_a_filter_without_findings_can_be_shown() -> None:
    panel, _ = shown(FindingsState(detector="mining", group="10.9.9.9"))
    assert panel.filters["group"].label == "10.9.9.9: none"
    assert panel.filters["detector"].value == "mining"
    assert panel.ids == []
