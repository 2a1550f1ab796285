"""The forms of the triage: decisions, stars, tags, notes, and allow lists.

Each calls back with what the analyst chose; what cannot be done is raised by what is called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ipywidgets

from flowbench.detect.allow_rule import COVERS, AllowRule, make_rule, rule_path
from flowbench.errors import InputError
from flowbench.panel.finding_details import escape, to_paragraphs
from flowbench.text import format_count, list_some

if TYPE_CHECKING:
    from flowbench.case import Case
    from flowbench.detect.finding import Finding
    from flowbench.detect.findings import Findings

_FULL = {"width": "auto", "max_width": "90ch"}
_ROW = {"flex_flow": "row wrap"}
_COVERS = {
    "peers and port": "the same peers at the same port",
    "peers": "the same peers at any port",
    "subject": "everything about the subject",
}


class DecisionForm(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets is not typed
    """A reason, and what to do with the open finding.

    Args:
        act: Called with an action, the reason, and the tag. The actions are 'confirmed',
            'dismissed', 'reopened', 'note', 'star', 'tag' and 'untag'.
    """

    def __init__(self, act: Callable[[str, str, str], None]) -> None:
        self.reason = ipywidgets.Textarea(
            placeholder="Reason of a decision, or the text of a note",
            layout=_FULL | {"height": "4em"},
        )
        self.tag = ipywidgets.Text(placeholder="Tag", layout={"width": "12em"})
        self.buttons = {
            action: ipywidgets.Button(description=text, tooltip=tip, layout={"width": "auto"})
            for action, text, tip in (
                ("confirmed", "Confirm", "The finding is true"),
                ("dismissed", "Dismiss", "The finding is harmless: the reason is required"),
                ("reopened", "Reopen", "Withdraw the decision, or show it despite an allow list"),
                ("note", "Add note", "Write the text into the case as a note"),
                ("star", "★ Star", "Star the finding, or remove the star"),
                ("tag", "Add tag", "Tag the finding"),
                ("untag", "Remove tag", "Remove this tag from the finding"),
            )
        }
        for action, button in self.buttons.items():
            button.on_click(
                lambda _b, action=action: act(action, self.reason.value, self.tag.value)
            )
        decide = [self.buttons[name] for name in ("confirmed", "dismissed", "reopened", "note")]
        mark = [self.buttons["star"], self.tag, self.buttons["tag"], self.buttons["untag"]]
        super().__init__(
            [
                self.reason,
                ipywidgets.HBox(decide, layout=_ROW),
                ipywidgets.HBox(mark, layout=_ROW),
            ]
        )

    def clear(self) -> None:
        """Empty the fields: their text was written, or is about another finding."""
        self.reason.value = self.tag.value = ""


class AllowListForm(ipywidgets.VBox):  # type: ignore[misc]
    """An allow list that suppresses the open finding and those like it, shown before it is loaded.

    Args:
        case: The case.
        write: Called with the rule to load.
    """

    def __init__(self, case: Case, write: Callable[[AllowRule], None]) -> None:
        self._case = case
        self._finding: Finding | None = None
        self._findings: Findings | None = None
        self.covers = ipywidgets.Dropdown(
            options=[(_COVERS[name], name) for name in COVERS],
            description="Suppress",
            layout=_FULL,
        )
        self.reason = ipywidgets.Text(description="Reason", layout=_FULL)
        self.preview = ipywidgets.HTML()
        self.button = ipywidgets.Button(
            description="Load this allow list",
            tooltip="Suppress these findings, now and in later runs",
            layout={"width": "auto"},
        )
        super().__init__([self.covers, self.reason, self.preview, self.button])
        for field in (self.covers, self.reason):
            field.observe(self._preview, "value")
        self.button.on_click(lambda _button: self._write(write))

    def show(self, finding: Finding, findings: Findings) -> None:
        """Show the allow list of a finding, and which of the findings it covers."""
        is_other = self._finding is None or self._finding.finding_id != finding.finding_id
        self._finding, self._findings = finding, findings
        if is_other:
            self.reason.value = ""
            self.covers.value = COVERS[0] if finding.service_port is not None else COVERS[1]
        self._preview()

    def _write(self, write: Callable[[AllowRule], None]) -> None:
        if self._finding is None:
            return
        try:
            rule = make_rule(self._finding, self.covers.value, self.reason.value)
        except InputError as error:
            self._preview(error=str(error))
        else:
            write(rule)

    def _preview(self, _change: Any = None, *, error: str = "") -> None:
        """Show the exact text, where it is kept, and which findings it covers."""
        finding, findings = self._finding, self._findings
        if finding is None or findings is None:
            return
        try:
            rule = make_rule(finding, self.covers.value, self.reason.value or "(give a reason)")
        except InputError as refused:
            self.button.disabled = True
            self.preview.value = to_paragraphs(f"<p role='status'>{escape(refused)}.</p>")
            return
        self.button.disabled = False
        covered = [found for found in findings if rule.covers(found)]
        ids = list_some(found.finding_id for found in covered)
        text = "<br>".join(map(escape, rule.text.splitlines()))
        names = f": {escape(ids)}" if covered else ""
        self.preview.value = to_paragraphs(
            f"<pre style='white-space:pre-wrap;max-height:16em;"
            f"overflow-y:auto' tabindex='0'>{text}</pre>"
            f"<p>It covers {format_count(len(covered), 'shown finding')}{names}. A more specific"
            f" entry of an indicator list still reports one. It is kept in"
            f" {escape(rule_path(self._case, rule))}.</p>"
            + (f"<p role='alert'>{escape(error)}.</p>" if error else "")
        )
