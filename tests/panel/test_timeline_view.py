"""The timeline's widget carries its front end, and nothing that it would have to load."""

from __future__ import annotations

import re

from flowbench.panel.graph_view import STATIC
from flowbench.panel.timeline_view import TimelineView


def test_the_widget_carries_its_module_and_style() -> None:
    view = TimelineView()
    assert view._esm == (STATIC / "timeline.js").read_text(encoding="utf-8")
    assert view._css == (STATIC / "panel.css").read_text(encoding="utf-8")
    assert (view.elements, view.selected) == ({}, "")


def test_the_module_is_small_and_loads_nothing() -> None:
    code = (STATIC / "timeline.js").read_text(encoding="utf-8")
    assert len(code) < 20_000
    assert set(re.findall(r"https?://[\w./-]+", code)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"\beval\(|\bimport\(|\bfetch\(|innerHTML", code)
