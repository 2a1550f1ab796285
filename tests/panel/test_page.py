"""The page of all panels: each is made when its tab is opened."""

from __future__ import annotations

import sys
from pathlib import Path

import ipywidgets
import pytest

import flowbench as fb
from flowbench.case import Case
from flowbench.errors import InputError
from flowbench.panel import FindingsTriage, page

MODULE = sys.modules["flowbench.panel.page"]  # the function has its name


def test_a_panel_is_made_when_its_tab_is_first_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def make(name: str):
        return lambda case: made.append(name) or ipywidgets.Label(name)

    monkeypatch.setattr(MODULE, "TABS", {name: make(name) for name in ("One", "Two")})
    shown = page(Case.create(tmp_path / "case", "<b>a case</b>"))
    assert shown.tabs.titles == ("One", "Two")
    assert "&lt;b&gt;a case&lt;/b&gt;" in shown.children[0].value
    assert made == ["One"]
    for number in (1, 0, 1):
        shown.tabs.selected_index = number
    assert made == ["One", "Two"]


def test_a_panel_that_cannot_be_made_says_why_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [InputError("no findings in <x>"), None]

    def make(case: Case) -> ipywidgets.Label:
        if answer := answers.pop(0):
            raise answer
        return ipywidgets.Label("made")

    monkeypatch.setattr(MODULE, "TABS", {"One": make})
    shown = page(Case.create(tmp_path / "case"))
    message, again = shown.tabs.children[0].children
    assert "no findings in &lt;x&gt;." in message.value
    again.click()
    assert shown.tabs.children[0].children[0].value == "made"


def test_the_panels_of_a_case(incident: Case) -> None:
    shown = fb.panel.page(incident)
    assert {"Hunt", "Findings", "Graph", "Timeline"} <= set(shown.tabs.titles)
    shown.tabs.selected_index = shown.tabs.titles.index("Findings")
    (panel,) = shown.tabs.children[shown.tabs.selected_index].children
    assert isinstance(panel, FindingsTriage)
    assert len(panel.list.ids) == 4
