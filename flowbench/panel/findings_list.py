"""The list of findings with its filters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import ipywidgets

from flowbench.detect import SEVERITIES
from flowbench.panel.findings_state import ANY, DECISIONS, OPEN, FindingsState, decision_of
from flowbench.text import escape_controls, format_count, list_some

if TYPE_CHECKING:
    from flowbench.detect.finding import Finding
    from flowbench.detect.findings import Findings

_ROWS = 16  # of the list that are seen at once
_ALL = ("all", "")  # a choice of None would be shown as no choice
_DECISIONS = {
    OPEN: "undecided",
    "confirmed": "confirmed",
    "dismissed": "dismissed",
    "suppressed": "suppressed by an allow list",
    ANY: "all",
}


class FindingsList(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets is not typed
    """Shows a state, and calls back with what the user changes of it.

    Attributes:
        ids: The ids of the listed findings, in their order.

    Args:
        on_change: Called with the names and values of a FindingsState that change.
    """

    def __init__(self, on_change: Callable[..., None]) -> None:
        self.ids: list[str] = []
        self._on_change = on_change
        self._is_showing = False
        fill = {"width": "auto"}
        least = [_ALL, *((f"{name} and above", name) for name in SEVERITIES[1:])]
        self.filters = {
            "severity": ipywidgets.Dropdown(options=least, description="Severity", layout=fill),
            "detector": ipywidgets.Dropdown(description="Detector", layout=fill),
            "decision": ipywidgets.Dropdown(
                options=[(_DECISIONS[name], name) for name in DECISIONS],
                description="Decision",
                layout=fill,
            ),
            "group": ipywidgets.Dropdown(description="Group", layout=fill),
        }
        self.count = ipywidgets.HTML()
        self.options = ipywidgets.Select(rows=_ROWS, layout=fill)
        self.options.add_class("flowbench-findings")
        super().__init__([*self.filters.values(), self.count, self.options])
        for name, widget in (*self.filters.items(), ("finding", self.options)):
            widget.observe(lambda change, name=name: self._report(name, change), "value")

    def show(
        self, state: FindingsState, findings: Findings, marks: Mapping[str, Mapping[str, Any]]
    ) -> None:
        """Show the findings that a state lists, with their stars."""
        groups = state.select(findings)
        listed = [finding for group in groups.values() for finding in group]
        self.ids = [finding.finding_id for finding in listed]
        options = [(_label(f, marks.get(f.finding_id, {})), f.finding_id) for f in listed]
        total = format_count(len(findings.all), "finding")
        self._is_showing = True
        try:
            order = ", most severe group first" if listed else "; none matches these filters"
            self.count.value = f"<p>{len(listed):,} of {total}{order}.</p>"
            self.options.layout.display = None if listed else "none"
            for name, choices in self._choices(state, findings).items():
                self.filters[name].options = choices
            for name, widget in self.filters.items():
                widget.value = getattr(state, name) or ""
            if self.options.options != tuple(options):
                self.options.options = options
            self.options.value = state.finding if state.finding in self.ids else None
        finally:
            self._is_showing = False

    def _choices(
        self, state: FindingsState, findings: Findings
    ) -> dict[str, list[tuple[str, str]]]:
        """Return the detectors and groups that can be chosen, also what the state names."""
        detectors = sorted({*(f.detector for f in findings.all), *filter(None, [state.detector])})
        others = FindingsState(state.severity, state.detector, state.decision).select(findings)
        groups = [
            (f"{escape_controls(name)}: {group[0].severity}, {len(group):,}", name)
            for name, group in others.items()
        ]
        if state.group is not None and state.group not in others:
            groups.append((f"{escape_controls(state.group)}: none", state.group))
        names = [(escape_controls(name), name) for name in detectors]
        return {"detector": [_ALL, *names], "group": [_ALL, *groups]}

    def _report(self, name: str, change: dict[str, Any]) -> None:
        if not self._is_showing:
            self._on_change(**{name: change["new"] or None})


def _label(finding: Finding, mark: Mapping[str, Any]) -> str:
    """Return a finding's line: its mark and severity, subject, title, peers and decision."""
    port = "" if finding.service_port is None else f":{finding.service_port}"
    peers = f" → {list_some(finding.peers, 2)}{port}" if finding.peers else ""
    decision = decision_of(finding)
    decided = finding.decision or decision
    text = f"{finding.severity}: {finding.subject}: {finding.title}{peers}"
    star = "★ " if mark.get("starred") else ""
    return escape_controls(star + text + (f" [{decided}]" if decided != OPEN else ""))
