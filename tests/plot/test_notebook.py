"""Figures in notebooks: no upload in JupyterLab, and kept by nbconvert; both in a browser."""

from __future__ import annotations

import re
import subprocess
import sys
from copy import copy
from pathlib import Path
from types import SimpleNamespace

import nbclient
import nbformat
import plotly.io as pio
import pytest

from flowbench.plot import notebook, theme
from flowbench.plot.figure import CONFIG
from tests.test_browser import browser  # noqa: F401  # a fixture

PLOTLY_JS = "* plotly.js v"
CELL = "from flowbench.plot import theme\nfigure = theme.figure({title!r})\nfigure"


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A kernel that is running a cell: its id, and that of the run."""
    state = SimpleNamespace(cell="a", run="1")

    def parent() -> dict:
        return {"header": {"msg_id": state.run}, "metadata": {"cellId": state.cell}}

    shell = SimpleNamespace(get_parent=parent)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    return state


def test_the_first_cell_carries_plotly_also_when_it_runs_again(runs: SimpleNamespace) -> None:
    renderer = notebook.ExportRenderer()
    figure = theme.figure("a").to_dict() | {"config": {}}
    carried = []
    for runs.cell, runs.run in (("a", "1"), ("a", "1"), ("b", "2"), ("a", "3"), (None, "4")):
        page = copy(renderer).to_mimebundle(figure)["text/html"]  # as plotly does
        carried.append(PLOTLY_JS in page)
        assert '"showSendToCloud": false' in page
        assert not re.search(r"<script[^>]+src=", page)
    assert carried == [True, False, False, True, False]


def test_a_chosen_renderer_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    before = pio.renderers.default
    try:
        pio.renderers.default = "json"
        notebook.prepare()
        assert pio.renderers.default == "json"
        pio.renderers.default = "plotly_mimetype"
        notebook.prepare()
        assert pio.renderers.default == "plotly_mimetype+flowbench"
    finally:
        pio.renderers.default = before
    assert pio.renderers["plotly_mimetype"].config.items() >= CONFIG.items()


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A notebook with two figures, run, and converted by nbconvert."""
    folder = tmp_path_factory.mktemp("exported")
    cells = [CELL.format(title=title) for title in ("first", "<b>second</b>")]
    written = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(written, timeout=120, kernel_name="python3").execute()
    nbformat.write(written, folder / "figures.ipynb")
    words = [sys.executable, "-m", "nbconvert", "--to", "html", str(folder / "figures.ipynb")]
    subprocess.run(words, check=True, capture_output=True)
    return folder / "figures.html"


@pytest.mark.browser
def test_an_exported_notebook_draws_its_figures_offline(browser, exported: Path) -> None:  # noqa: F811
    page = browser.new_context(offline=True).new_page()
    page.goto(exported.as_uri())
    page.locator(".js-plotly-plot .main-svg").nth(1).wait_for(state="attached")
    assert page.locator(".js-plotly-plot").count() == 2
    titles = page.locator(".gtitle").all_text_contents()
    assert [title.strip() for title in titles] == ["first", "<b>second</b>"]
    assert exported.read_text(encoding="utf-8").count(PLOTLY_JS) == 1
