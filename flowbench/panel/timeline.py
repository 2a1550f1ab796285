"""The timeline of a case: lanes for each data source, a period, and the evidence of an event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import ipywidgets
import pandas as pd
import traitlets

from flowbench import detect
from flowbench.detect import SEVERITIES
from flowbench.detect.findings import Findings
from flowbench.errors import InputError
from flowbench.investigate.timeline import build
from flowbench.panel.code_view import CodeView
from flowbench.panel.graph_state import to_utc
from flowbench.panel.kept_findings import kept_findings
from flowbench.panel.period_slider import PeriodSlider
from flowbench.panel.timeline_details import describe_event
from flowbench.panel.timeline_elements import to_elements
from flowbench.panel.timeline_state import TimelineState, event_keys
from flowbench.panel.timeline_view import TimelineView
from flowbench.text import escape_controls, format_count, format_time

if TYPE_CHECKING:
    from flowbench.case import Case

_MOST_LISTED = 1_000  # events that a list of choices stays usable with
_SPACED = {"width": "auto", "margin": "2px 16px 2px 2px"}
_LAST = 4_102_444_800_000  # ms: the year 2100
_SOURCES = {  # as timeline.TABLE has them, and as the panel calls them
    "flowbench": "findings",
    "flow logs": "flow logs",
    "CloudTrail": "CloudTrail",
    "GuardDuty": "GuardDuty",
    "DNS": "DNS",
    "notes": "notes",
}


class TimelinePanel(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets is not typed
    """A panel with a timeline, and what it shows as one value.

    Attributes:
        state: What is shown; setting it draws it.
        events: The whole timeline (timeline.TABLE).
        view: The lanes.
        list: The events that are shown, a line each.
    """

    state = traitlets.Instance(TimelineState)

    def __init__(
        self, case: Case, events: pd.DataFrame, findings: Findings, state: TimelineState
    ) -> None:
        self.case = case
        self.events = events
        self._keys = event_keys(events)
        self._findings = findings
        self._is_showing = False
        ends = events["end"].fillna(events["time"])
        span = (events["time"].min(), ends.max()) if len(events) else (None, None)
        self.period = PeriodSlider(span, self._set)
        least = [("all", ""), *((f"{name} and above", name) for name in SEVERITIES[1:])]
        self.severity = ipywidgets.Dropdown(options=least, description="Severity")
        self.sources = {
            name: ipywidgets.Checkbox(description=label, indent=False, layout=_SPACED)
            for name, label in _SOURCES.items()
            if (events["data_source"] == name).any()
        }
        self.list = ipywidgets.Select(rows=10, layout={"width": "auto"})
        self.view = TimelineView()
        self.details = ipywidgets.HTML()
        self.message = ipywidgets.HTML()
        self.code = CodeView()
        wrap = {"flex_flow": "row wrap"}
        super().__init__(
            [
                ipywidgets.HBox([self.period, self.severity], layout=wrap),
                ipywidgets.HBox(list(self.sources.values()), layout=wrap),
                self.view,
                self.message,
                self.list,
                self.details,
                self.code,
            ],
            state=state,
        )
        self.observe(self._draw, "state")
        self._draw()
        self.severity.observe(lambda change: self._set(severity=change["new"] or None), "value")
        self.list.observe(lambda change: self._set(event=change["new"]), "value")
        self.view.observe(lambda change: self._set(event=change["new"] or None), "selected")
        self.view.on_msg(self._on_message)
        for control in self.sources.values():
            control.observe(lambda _change: self._set_sources(), "value")

    def _set(self, **values: Any) -> None:
        if not self._is_showing:
            self.state = replace(self.state, **values)

    def _set_sources(self) -> None:
        chosen = tuple(name for name, control in self.sources.items() if control.value)
        self._set(sources=() if len(chosen) == len(self.sources) else chosen)

    def _draw(self, change: Any = None) -> None:
        """Make every view a function of the state."""
        state = self.state
        shown = state.select(self.events)
        self._is_showing = True
        try:
            self.period.show(state.since, state.until)
            self.severity.value = state.severity or ""
            for name, control in self.sources.items():
                control.value = not state.sources or name in state.sources
            self._draw_list(shown)
        finally:
            self._is_showing = False
        if change is None or replace(change["old"], event=state.event) != state:
            self.view.elements = to_elements(shown, self._keys)
        self.view.selected = state.event or ""
        self._draw_details()
        self.code.code = state.to_code()

    def _draw_list(self, shown: pd.DataFrame) -> None:
        listed = shown.head(_MOST_LISTED)
        keys = self._keys[listed.index]
        options = [(_label(row), k) for row, k in zip(listed.itertuples(), keys, strict=True)]
        if self.list.options != tuple(options):
            self.list.options = options
        self.list.value = self.state.event if self.state.event in set(keys) else None
        count = f"{len(shown):,} of {format_count(len(self.events), 'event')}"
        left = f"; the list has the first {len(listed):,}" if len(listed) < len(shown) else ""
        self.message.value = f"<span role='status'>{count}{left}.</span>"

    def _on_message(self, _view: TimelineView, message: dict[str, Any], _buffers: object) -> None:
        """A drag across the lanes chose a period; None is everything."""
        ends = [message.get("since"), message.get("until")]
        if message.get("action") != "period":
            return
        if ends == [None, None]:
            self._set(since=None, until=None)
        elif all(isinstance(end, int) and 0 <= end < _LAST for end in ends):
            since, until = (pd.Timestamp(end, unit="ms", tz="UTC").round("s") for end in ends)
            self._set(since=since, until=until)

    def _draw_details(self) -> None:
        found = self._keys.index[self._keys == self.state.event]
        if not len(found):
            self.details.value = "<p>No event is open: choose one in the lanes or the list.</p>"
            return
        event = self.events.loc[found[0]].to_dict()
        self.details.value = describe_event(self.case, event, self._findings)


def timeline(
    case: Case,
    about: str | None = None,
    *,
    since: str | datetime | None = None,
    until: str | datetime | None = None,
    sources: Sequence[str] = (),
    severity: str | None = None,
    event: str | None = None,
) -> TimelinePanel:
    """Open the timeline of a case, or of what an analyst asks about.

    Findings are those of the last run that the case keeps; without one, the detectors run.

    Args:
        case: The case.
        about: See ``fb.timeline.build``.
        since: Show what lasted until then or longer; UTC where it has no time zone.
        until: Show what began before then.
        sources: Data sources to show: flowbench (findings), flow logs, CloudTrail, GuardDuty, DNS,
            notes; by default all.
        severity: The lowest severity of findings and alerts.
        event: The event to open: the id of a finding, API event or alert.

    Returns:
        The panel; its ``state`` is what it shows.

    Raises:
        InputError: ``about`` is nothing in this case, or an argument is none of the values above.
    """
    if severity is not None and severity not in SEVERITIES:
        raise InputError(f"no severity is called {severity}; there are: {', '.join(SEVERITIES)}")
    if unknown := [name for name in sources if name not in _SOURCES]:
        raise InputError(f"no data source is called {unknown[0]}; there are: {', '.join(_SOURCES)}")
    kept = kept_findings(case)
    findings = detect.run(case) if kept is None else kept
    events = build(case, about, findings)
    state = TimelineState(about, to_utc(since), to_utc(until), tuple(sources), severity, event)
    return TimelinePanel(case, events, findings, state)


def _label(event: Any) -> str:
    """An event's line in the list: time, source, severity, activity and ends."""
    severity = "" if pd.isna(event.severity) else f" {event.severity}"
    source = _SOURCES[event.data_source]
    ends = " → ".join(str(end) for end in (event.actor, event.object) if not pd.isna(end))
    time = format_time(event.time, seconds=True)
    return escape_controls(f"{time} {source}{severity}: {event.activity} {ends}")
