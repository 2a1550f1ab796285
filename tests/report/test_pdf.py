"""The report as PDF: printed by a real browser, and refused without one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from flowbench.errors import InputError
from flowbench.report import pdf

needs_browser = pytest.mark.skipif(pdf.find_browser() is None, reason="no Chromium")
PAGE = """<!doctype html><title>x</title><h1>Report</h1><script>document.title = "drawn"</script>
<details><summary>more</summary><p>folded</p></details>"""


@pytest.mark.browser
@needs_browser
def test_a_page_is_printed(tmp_path: Path) -> None:
    page = tmp_path / "a b.html"
    page.write_text(PAGE)
    path = pdf.print_pdf(page, tmp_path / "r.pdf")
    data = path.read_bytes()
    assert data.startswith(b"%PDF-")
    assert b"%%EOF" in data[-20:]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a b.html", "r.pdf"]


def test_without_a_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(InputError, match="no Chromium to print with: install chromium"):
        pdf.print_pdf(tmp_path / "a.html", tmp_path / "r.pdf")


def test_a_browser_that_fails_is_an_input_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pdf, "find_browser", lambda: "/bin/false")
    with pytest.raises(InputError, match="/bin/false cannot print"):
        pdf.print_pdf(tmp_path / "a.html", tmp_path / "r.pdf")
    assert list(tmp_path.iterdir()) == []
