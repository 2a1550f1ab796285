"""The hunting bench's front end: shipped, self-contained, without markup from data."""

from __future__ import annotations

import re
from pathlib import Path

from flowbench.panel import bench_view
from flowbench.panel.bench_view import BenchView

STATIC = Path(bench_view.__file__).parent / "static"


def test_the_widget_carries_its_module_and_style() -> None:
    view = BenchView()
    assert view._esm == (STATIC / "bench.js").read_text(encoding="utf-8")
    assert view._css == (STATIC / "bench.css").read_text(encoding="utf-8")
    assert (view.code, view.bars, view.rows["rows"]) == ("", [], [])


def test_the_module_loads_nothing_and_evaluates_nothing() -> None:
    code = (STATIC / "bench.js").read_text(encoding="utf-8")
    assert set(re.findall(r"https?://[\w./-]+", code)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"\beval\(|\bimport\(|\bfetch\(|XMLHttpRequest|WebSocket|innerHTML", code)
