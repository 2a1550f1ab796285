"""The widget with code carries its front end; panels show the code of their view in it."""

from __future__ import annotations

from flowbench.panel.code_view import CodeView
from flowbench.panel.graph_view import STATIC


def test_the_widget_carries_its_module_and_style() -> None:
    view = CodeView(code="fb.panel.timeline(case)")
    assert view._esm == (STATIC / "code.js").read_text(encoding="utf-8")
    assert view._css == (STATIC / "panel.css").read_text(encoding="utf-8")
    assert view.code == "fb.panel.timeline(case)"
    assert "innerHTML" not in view._esm
