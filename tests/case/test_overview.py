"""What a notebook shows of a case and of its tables."""

from __future__ import annotations

import re
import subprocess
import sys
import time

import ibis
import pandas as pd
import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell

from flowbench.case import Case, overview
from tests.case.conftest import HEADER, record


@pytest.fixture
def shell():
    """IPython, as it is in a notebook's kernel."""
    shell = InteractiveShell.instance()
    yield shell
    InteractiveShell.clear_instance()


def test_a_case_is_shown_with_its_kinds(case, tmp_path) -> None:
    (tmp_path / "a.log").write_text("\n".join([HEADER, record(0), record(1), "2 short"]))
    (tmp_path / "list.txt").write_text("192.0.2.1\n")
    case.ingest(tmp_path / "a.log", tmp_path / "list.txt")
    rows = re.findall(r"<tr>(.*?)</tr>", case._repr_html_())
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]
    assert cells[0] == ["Kind", "Files", "Size", "Records", "Quarantined", "Period"]
    size = (tmp_path / "a.log").stat().st_size
    period = "2026-09-01 03:10 to 2026-09-01 03:11 UTC"
    assert ["flow-logs", "1", f"{size} B", "2", "1", period] in cells
    assert ["indicators", "1", "10 B", "1", "0", ""] in cells
    assert "1 entry in quarantine" in case._repr_html_()
    assert repr(case) == "<Case 'case', 2 evidence files>"


def test_an_empty_case_says_what_to_do(case) -> None:
    assert "case.ingest(folder)" in case._repr_html_()
    assert repr(case) == "<Case 'case', 0 evidence files>"


def test_hostile_names_are_text(tmp_path) -> None:
    hostile = "<script>alert(1)</script>\x1b[2J"
    case = Case.create(tmp_path / "<img src=x>", hostile)
    html = case._repr_html_()
    assert "<script>" not in html
    assert "<img" not in html
    assert "\x1b" not in html
    assert "&lt;script&gt;" in html
    assert "\x1b" not in repr(case)


def test_colours_are_left_to_the_theme(winterday) -> None:
    html = winterday._repr_html_()
    assert "color:" not in html.replace("background: none", "")
    assert "#" not in html


def test_a_notebook_shows_the_first_rows_of_a_table(case, logs, shell) -> None:
    case.ingest(logs)
    overview.show_tables_in_notebook()
    table = case.flows.select("evidence_id", "line", "srcaddr").order_by("evidence_id", "line")
    data, _ = shell.display_formatter.format(table)
    assert data["text/html"].count("<tr>") == overview.ROWS_SHOWN
    assert "<td>10.0.1.10</td>" in data["text/html"]
    assert data["text/plain"].count("10.0.1.10") == overview.ROWS_SHOWN
    assert not ibis.options.interactive


def test_hostile_text_in_a_table_is_text(case, tmp_path, shell) -> None:
    overview.show_tables_in_notebook()
    hostile = "<script>alert(1)</script>\x1b[2J\u202e"
    table = ibis.memtable(pd.DataFrame({"name": [hostile, None], "<b>x": [1, 2]}))
    data, _ = shell.display_formatter.format(table)
    assert "<script>" not in data["text/html"]
    assert "<b>" not in data["text/html"]
    for text in data.values():
        assert "\x1b" not in text
        assert "\u202e" not in text


def test_a_script_runs_no_query_to_show_a_table(case, logs) -> None:
    case.ingest(logs)
    code = (
        "import sys; from flowbench.case import Case; case = Case.open(sys.argv[1])\n"
        "text = repr(case.flows); assert 'IPython' not in sys.modules\n"
        "assert '10.0.1.10' not in text and 'srcaddr' in text, text\n"
    )
    subprocess.run([sys.executable, "-c", code, str(case.path)], check=True)


@pytest.mark.parametrize("jedi", [False, True])
def test_a_notebook_completes_columns_within_a_second(winterday, shell, jedi) -> None:
    _ = winterday.connections
    shell.user_ns["case"] = winterday
    shell.Completer.use_jedi = jedi

    def complete(text: str) -> set[str]:
        with provisionalcompleter():
            completions = shell.Completer.completions(text, len(text))
            return {completion.text.removeprefix(".") for completion in completions}

    complete("case.connections.")  # jedi parses Ibis once for each environment
    for text, expected in (("case.connections.", "initiator"), ("case.", "connections")):
        began = time.process_time()
        assert expected in complete(text)
        assert time.process_time() - began < 1


def test_the_manifest_has_utc_times_and_one_row_a_file(case, logs) -> None:
    case.ingest(logs)
    frame = case.evidence
    assert len(frame) == 6
    assert "fields" not in frame
    assert str(frame["first_seen"].dtype).endswith("UTC]")
    info = case.info()
    assert info["kind"].tolist() == ["flow-logs"]
    assert info.loc[0, ["files", "records", "quarantined"]].tolist() == [6, 600, 0]
    assert info.loc[0, "bytes"] == frame["size"].sum()
