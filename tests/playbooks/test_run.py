"""A run: a notebook executed on a case, in one HTML file."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowbench import playbooks
from flowbench.case import Case
from flowbench.errors import InputError, StoppedError
from tests.playbooks.notebooks import make_notebook


def test_the_results_of_all_cells_are_in_the_file(tmp_path: Path) -> None:
    path = make_notebook(tmp_path / "n.ipynb", "print(CASE, HOST, 6 * 7)", "'<script>' + HOST")
    before, steps = path.read_bytes(), []
    outcome = playbooks.run(
        path, tmp_path / "case", tmp_path / "out.html", {"host": "<b>"}, lambda *s: steps.append(s)
    )
    html = outcome.path.read_text(encoding="utf-8")
    assert outcome == (tmp_path / "out.html", None)
    assert f"{tmp_path / 'case'} &lt;b&gt; 42" in html
    assert "<pre>'&lt;script&gt;&lt;b&gt;'</pre>" in html
    assert [step for step, *_ in steps] == [0, 1, 2, 3, 4, 5, 6, 1]
    assert steps[-2:] == [(6, 7, "Section 2"), (1, 1, "")]
    assert path.read_bytes() == before
    assert "<script src" not in html  # nothing is loaded from elsewhere
    dark = html.partition("@media screen and (prefers-color-scheme: dark)")[2]
    assert "--jp-layout-color0: #111;" in dark.partition("</style>")[0]
    assert "white-space: pre-wrap" in html  # long lines of code wrap
    assert "<title>n</title>" in html


def test_a_panel_is_left_out_of_the_file(tmp_path: Path) -> None:
    path = make_notebook(tmp_path / "n.ipynb", "import ipywidgets\nipywidgets.Text('seen')")
    html = playbooks.run(path, tmp_path, tmp_path / "out.html").path.read_text(encoding="utf-8")
    assert "This panel needs a running notebook" in html
    assert "html-manager" not in html


def test_a_playbook_that_ends_early_has_its_first_part(tmp_path: Path) -> None:
    case = Case.create(tmp_path / "case")
    cells = (
        "import flowbench as fb",
        "fb.playbooks.require(fb.Case.open(CASE), 'flows')",
        "print(6*7)",
    )
    path = make_notebook(tmp_path / "n.ipynb", *cells)
    outcome = playbooks.run(path, case.path, tmp_path / "out.html")
    assert outcome.ended == "the case has no VPC flow logs. Load them with `flowbench ingest`."
    html = outcome.path.read_text(encoding="utf-8")
    assert "This playbook ends here: the case has no VPC flow logs." in html
    assert ">42" not in html


def test_a_cell_that_fails_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    path = make_notebook(tmp_path / "n.ipynb", "1", "raise ValueError('\\x1b[2Jbad')")
    with pytest.raises(InputError) as error:
        playbooks.run(path, tmp_path / "case", tmp_path / "out.html")
    assert str(error.value) == (r"n.ipynb: the section 'Section 2' failed: ValueError: \x1b[2Jbad")
    assert not (tmp_path / "out.html").exists()


def test_a_folder_that_is_not_there_is_an_input_error(tmp_path: Path) -> None:
    path = make_notebook(tmp_path / "n.ipynb", "1")
    with pytest.raises(InputError, match="there is no folder "):
        playbooks.run(path, tmp_path / "case", tmp_path / "none" / "out.html")


def test_a_stopped_run_leaves_nothing(tmp_path: Path) -> None:
    stop = "import os, signal, time\nos.kill(os.getppid(), signal.SIGINT)\ntime.sleep(60)"
    path = make_notebook(tmp_path / "n.ipynb", stop)
    with pytest.raises(StoppedError, match="stopped; nothing was written"):
        playbooks.run(path, tmp_path / "case", tmp_path / "out.html")
    assert [each.name for each in tmp_path.iterdir()] == ["n.ipynb"]


def test_a_kernel_that_dies_is_an_input_error(tmp_path: Path) -> None:
    path = make_notebook(tmp_path / "n.ipynb", "import os\nos._exit(1)")
    with pytest.raises(InputError, match="the process that runs its cells has ended"):
        playbooks.run(path, tmp_path / "case", tmp_path / "out.html")
