"""The forms: each button's action, and the exact allow list before it is loaded."""

from __future__ import annotations

from pathlib import Path

from flowbench.case import Case
from flowbench.detect import Findings
from flowbench.detect.allow_rule import AllowRule
from flowbench.panel.finding_actions import AllowListForm, DecisionForm
from tests.detect.examples import example_finding


def test_every_button_acts_with_the_reason_and_the_tag() -> None:
    acts: list[tuple[str, str, str]] = []
    form = DecisionForm(lambda *given: acts.append(given))
    form.reason.value, form.tag.value = "the backup", "owner"
    for button in form.buttons.values():
        button.click()
    assert acts == [(name, "the backup", "owner") for name in form.buttons]
    form.clear()
    assert (form.reason.value, form.tag.value) == ("", "")


def test_the_rule_is_shown_exactly_before_it_is_written(tmp_path: Path) -> None:
    written: list[AllowRule] = []
    case = Case.create(tmp_path / "case")
    form = AllowListForm(case, written.append)
    finding, like = example_finding(), example_finding(subject="10.0.0.6")
    form.show(finding, Findings([finding, like, example_finding(["203.0.113.6"])]))
    form.reason.value = "<b>ours</b>"
    for line in (
        "# kind: allow<br># reason: &lt;b&gt;ours&lt;/b&gt;<br>indicator,port<br>203.0.113.5,443",
        "It covers 2 shown findings: ",
        f"{case.path}/evidence/",
    ):
        assert line in form.preview.value
    form.covers.value = "peers"
    assert "<br>203.0.113.5,<" in form.preview.value
    form.button.click()
    assert [rule.text.splitlines()[-1] for rule in written] == ["203.0.113.5,"]


def test_a_rule_without_a_reason_is_not_written(tmp_path: Path) -> None:
    written: list[AllowRule] = []
    form = AllowListForm(Case.create(tmp_path / "case"), written.append)
    form.button.click()
    finding = example_finding(subject="arn:aws:iam::1:user/<script>", ports=(80, 443))
    form.show(finding, Findings([finding]))
    assert form.covers.value == "peers"
    form.button.click()
    assert "the reason of the allow list is empty" in form.preview.value
    form.covers.value = "subject"
    assert form.button.disabled
    assert "cannot name the subject" in form.preview.value
    assert written == []
