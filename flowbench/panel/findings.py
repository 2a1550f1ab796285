"""Triage: the findings of a case by group and severity, and decisions about them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import duckdb
import ipywidgets
import pandas as pd
import traitlets

from flowbench import detect
from flowbench.case import notes
from flowbench.detect import history
from flowbench.detect.allow_rule import AllowRule, suppress_kept, write_rule
from flowbench.detect.decisions import apply_decisions
from flowbench.detect.findings import Findings
from flowbench.errors import FlowbenchError, InputError
from flowbench.panel.code_view import CodeView
from flowbench.panel.finding_actions import AllowListForm, DecisionForm
from flowbench.panel.finding_details import (
    PAGE,
    describe_finding,
    describe_records,
    escape,
    to_paragraphs,
)
from flowbench.panel.findings_list import FindingsList
from flowbench.panel.findings_state import DECISIONS, OPEN, FindingsState
from flowbench.text import format_count, format_utc

if TYPE_CHECKING:
    from flowbench.case import Case
    from flowbench.detect.finding import Finding

_RECORDS = 0  # number of the accordion's part with the supporting records


class FindingsTriage(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets is not typed
    """A panel with a list of findings and the open one, and what it shows as one value.

    Attributes:
        state: What is shown; setting it draws it.
        findings: The findings of the run that the case kept last, with the decisions about them.
        list: The filters and the list.
        form: Decisions, marks and notes.
        allow_list: The allow list of the open finding.
    """

    state = traitlets.Instance(FindingsState)

    def __init__(self, case: Case, state: FindingsState) -> None:
        self.case = case
        self.findings = self._kept = Findings()
        self._decided: str | None = None  # the finding that 'Undo' reopens
        self._message = ipywidgets.HTML()
        self._hint = ipywidgets.HTML()
        self._undo = self._button("Undo", self._undo_decision)
        self._run = self._button("Run the detectors", self._run_detectors)
        self.list = FindingsList(self._set)
        self.details = ipywidgets.HTML()
        self.form = DecisionForm(self._act)
        self.allow_list = AllowListForm(case, self._suppress)
        self.records = ipywidgets.HTML()
        self._earlier = self._button("Earlier records", lambda: self._turn(-1))
        self._later = self._button("Later records", lambda: self._turn(1))
        self.code = CodeView()
        wrap = {"flex_flow": "row wrap"}
        pages = ipywidgets.HBox([self._earlier, self._later], layout=wrap)
        self.parts = ipywidgets.Accordion(
            [
                ipywidgets.VBox([pages, self.records]),
                self.allow_list,
            ],
            titles=("Supporting records", "Suppress similar findings"),
        )
        self.opened = ipywidgets.VBox(
            [self.details, self.form, self.parts],
            layout={"flex": "1 1 420px", "min_width": "0", "padding": "0 0 0 12px"},
        )
        self.list.layout.flex, self.list.layout.min_width = "1 1 420px", "0"
        status = ipywidgets.HBox([self._run, self._undo, self._message], layout=wrap)
        views = ipywidgets.HBox([self.list, self.opened], layout=wrap)
        super().__init__([self._hint, status, views, self.code], state=state)
        self.parts.observe(lambda _change: self._draw_records(), "selected_index")
        self.observe(lambda _change: self._draw(), "state")
        self.refresh()

    def refresh(self) -> None:
        """Read the findings and decisions of the case again, and draw them."""
        self.case.log.refresh()
        try:
            run = history.last_run(self.case)
        except FlowbenchError as error:
            run, self._hint.value = None, f"<p role='alert'>{escape(error)}.</p>"
        else:
            self._hint.value = _hint(self.case, run)
        self._kept = Findings() if run is None else suppress_kept(self.case, run)
        self._apply_decisions()

    def _apply_decisions(self) -> None:
        """Read what was decided and marked, and draw it; no query of the case is made."""
        self.findings = apply_decisions(self.case, self._kept)
        self._draw()

    @property
    def finding(self) -> Finding | None:
        """The open finding."""
        wanted = self.state.finding
        return next((f for f in self.findings.all if f.finding_id == wanted), None)

    def _set(self, **values: Any) -> None:
        if "finding" in values and values["finding"] != self.state.finding:
            self.form.clear()
        self.state = replace(self.state, **({"page": 0} | values))

    def _draw(self) -> None:
        """Make every view a function of the state and the findings."""
        self.list.show(self.state, self.findings, self.case.marks)
        self.code.code = self.state.to_cell()
        self._undo.layout.display = None if self._decided else "none"
        finding = self.finding
        for widget in (self.form, self.parts):
            widget.layout.display = None if finding else "none"
        if finding is None:
            remedy = "choose one in the list" if self.list.ids else "no finding is listed"
            self.details.value = f"<p>No finding is open: {remedy}.</p>"
            return
        self.details.value = describe_finding(self.case, finding)
        self.allow_list.show(finding, self.findings)
        self._draw_records()

    def _draw_records(self) -> None:
        """Read the page of supporting records, if it is to be seen."""
        finding = self.finding
        if finding is None or self.parts.selected_index != _RECORDS:
            return
        count, first = self.case.count_evidence(finding), self.state.page * PAGE
        rows = self.case.evidence_for(finding, offset=first, limit=PAGE)
        self.records.value = describe_records(rows, first, count)
        self._earlier.disabled = first == 0
        self._later.disabled = first + PAGE >= count

    def _turn(self, pages: int) -> None:
        self._set(page=max(0, self.state.page + pages))

    def _act(self, action: str, reason: str, tag: str) -> None:
        """Write what the analyst decided or marked into the case."""
        finding = self.finding
        if finding is None:
            return
        with self._telling():
            if action in notes.DECISIONS:
                self._decide(finding, action, reason)
                return
            about, kind = finding.finding_id, "finding"
            if action == "note":
                self.case.note(reason, about=about, about_kind=kind)
            elif action == "star":
                is_starred = self.case.marks.get(about, {}).get("starred", False)
                self.case.mark(about, starred=not is_starred, about_kind=kind)
            else:
                added, removed = ([tag], []) if action == "tag" else ([], [tag])
                self.case.mark(about, tags=added, removed_tags=removed, about_kind=kind)
            self.form.clear()
            self._apply_decisions()

    def _decide(self, finding: Finding, decision: str, reason: str) -> None:
        """Write a decision, and open the finding that takes its place in the list."""
        ids = self.list.ids
        self.case.decide(finding, decision, reason.strip() or None)
        self._decided = finding.finding_id if decision != "reopened" else None
        self._tell(f"{finding.finding_id} is {decision}.")
        self.form.clear()
        self._apply_decisions()
        self._open_next(finding.finding_id, ids)

    def _open_next(self, decided: str, before: list[str]) -> None:
        """Open what follows a finding that the list no longer has."""
        if decided in self.list.ids or decided not in before:
            return
        place = before.index(decided)
        order = [*before[place:], *reversed(before[:place])]
        left = set(self.list.ids)
        self._set(finding=next((name for name in order if name in left), None))

    def _undo_decision(self) -> None:
        with self._telling():
            undone = next(f for f in self.findings.all if f.finding_id == self._decided)
            self._decide(undone, "reopened", "the decision was undone")
            self._set(finding=undone.finding_id)

    def _suppress(self, rule: AllowRule) -> None:
        """Load an allow list into the case."""
        with self._telling():
            ids, before = self.list.ids, len(self.findings.suppressed)
            path = write_rule(self.case, rule)
            self.refresh()
            count = len(self.findings.suppressed) - before
            self._tell(f"{format_count(count, 'finding')} suppressed by the allow list in {path}.")
            self._open_next(rule.finding_id, ids)

    def _run_detectors(self) -> None:
        def show(done: int, steps: int, name: str) -> None:
            self._tell(f"Step {done + 1} of {steps}: {name}." if name else "")

        before, self.case.progress = self.case.progress, show
        try:
            with self._telling():
                findings = detect.run(self.case)
                self.refresh()
                kept = "" if findings.kept else f" The run is not kept: {findings.not_kept_reason}."
                self._tell(f"The detectors report {format_count(len(findings), 'finding')}.{kept}")
        finally:
            self.case.progress = before

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Show what cannot be done; an earlier message goes."""
        self._tell("")
        try:
            yield
        except (FlowbenchError, OSError, duckdb.Error) as error:  # the case may be gone
            self._tell(f"{str(error).rstrip('.')}.")

    def _tell(self, text: str) -> None:
        self._message.value = f"<span role='status'>{escape(text)}</span>"

    def _button(self, text: str, act: Any) -> ipywidgets.Button:
        button = ipywidgets.Button(description=text, layout={"width": "auto"})
        button.on_click(lambda _button: act())
        return button


def findings(
    case: Case,
    *,
    severity: str | None = None,
    detector: str | None = None,
    decision: str = OPEN,
    group: str | None = None,
    finding: str | None = None,
) -> FindingsTriage:
    """Open the triage of the findings that the last run of the detectors left in a case.

    Decisions, notes, stars and tags are appended to the custody log with author and time, and the
    next run respects them. A button runs the detectors where the case keeps no run.

    Args:
        case: The case.
        severity: The lowest severity of the listed findings.
        detector: List only the findings of this detector.
        decision: Which findings are listed: 'open' (those that await a decision), 'confirmed',
            'dismissed', 'suppressed' (by an allow list) or 'any'.
        group: List only the finding group of this subject.
        finding: The id of the finding to open, or its start.

    Returns:
        The panel; its ``state`` is what it shows.

    Raises:
        InputError: An argument is none of the values above, or no kept finding has this id.
    """
    for name, value, known in (
        ("severity", severity, (None, *detect.SEVERITIES)),
        ("detector", detector, (None, *detect.registered())),
        ("decision", decision, DECISIONS),
    ):
        if value not in known:
            words = ", ".join(word for word in known if word)
            raise InputError(f"no {name} is called {value}; there are: {words}")
    panel = FindingsTriage(case, FindingsState(severity, detector, decision, group))
    if finding is not None:
        found = panel.findings.by_id(finding)
        if len(found) != 1:
            count = format_count(len(found), "finding")
            raise InputError(f"{count} of the last run that the case keeps begin with {finding!r}")
        panel.state = replace(panel.state, finding=found[0].finding_id)
    return panel


def _hint(case: Case, run: history.Run | None) -> str:
    """Return what to know of the run: that there is none, or what has changed since."""
    if run is None:
        return "<p>The case keeps no findings: run the detectors.</p>"
    *_, last = changes = history.differences(case, run)
    if len(changes) == 1 and last.endswith("the same detectors"):
        return ""
    listed = "; ".join(map(escape, changes))
    time = format_utc(pd.Timestamp(run.time))
    return to_paragraphs(f"<p>Since the detectors ran ({time}): {listed}. Run them again.</p>")
