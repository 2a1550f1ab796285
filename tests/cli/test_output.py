"""Tests of output: exact in data formats, escaped on a terminal and in CSV."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from flowbench import text
from flowbench.cli import output
from flowbench.errors import InputError

HOSTILE = ['=HYPERLINK("x")', "+1+1", "-2", "@SUM(A1)", "\tx", "\rx", "a\x1b[31mred\x07", "<b>"]


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "name": HOSTILE,
            "count": pd.array([1, None, *range(6)], "Int64"),
            "when": pd.to_datetime(["2026-09-01T03:10:00Z", None] * 4, utc=True),
            "tags": [["a", "b"], None] * 4,
        }
    )


def test_json_is_exact(tmp_path: Path) -> None:
    output.write(frame(), "json", tmp_path / "x.json")
    rows = json.loads((tmp_path / "x.json").read_text())
    assert [row["name"] for row in rows] == HOSTILE
    assert rows[0] == {
        "name": HOSTILE[0],
        "count": 1,
        "when": "2026-09-01T03:10:00Z",
        "tags": ["a", "b"],
    }
    assert rows[1] == {"name": "+1+1", "count": None, "when": None, "tags": None}


def test_no_rows_are_an_empty_list(capsys) -> None:
    output.write(frame().head(0), "json")
    assert json.loads(capsys.readouterr().out) == []


def test_jsonl_streams_batches(capsys) -> None:
    batches = pa.table({"n": pa.array([1, None, 3], pa.int32())}).to_reader(max_chunksize=1)
    output.write(batches, "jsonl")
    assert capsys.readouterr().out == '{"n": 1}\n{"n": null}\n{"n": 3}\n'


def test_csv_quotes_formulas(capsys) -> None:
    output.write(frame(), "csv")
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out, newline="")))
    assert [row["name"] for row in rows[:6]] == ["'" + name for name in HOSTILE[:6]]
    assert rows[0]["count"] == "1"
    assert rows[1]["count"] == ""


def test_numbers_keep_their_sign_in_csv() -> None:
    assert text.escape_formula(-5) == -5


def test_a_terminal_gets_control_characters_escaped(capsys) -> None:
    output.write(frame(), "table")
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "a\\x1b[31mred\\x07" in shown
    assert "<b>" in shown


def test_rich_markup_in_data_is_text(capsys) -> None:
    output.write(pd.DataFrame({"name": ["[red]x[/red]"]}), "table")
    assert "[red]x[/red]" in capsys.readouterr().out


def test_parquet_has_the_same_rows(tmp_path: Path) -> None:
    output.write(frame(), "parquet", tmp_path / "x.parquet")
    again = pd.read_parquet(tmp_path / "x.parquet")
    assert again["name"].tolist() == HOSTILE


@pytest.mark.parametrize("form", ["json", "csv", "parquet"])
def test_a_file_that_cannot_be_written(tmp_path: Path, form: str) -> None:
    with pytest.raises(InputError, match=r"cannot write .*nowhere"):
        output.write(frame(), form, tmp_path / "nowhere" / "x")


@pytest.mark.parametrize("form", ["csv", "json", "jsonl"])
@pytest.mark.parametrize("terminal", [True, False])
def test_no_format_sends_controls_to_a_terminal(monkeypatch, capsys, form, terminal) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
    output.write(pd.DataFrame({"subject": ["a\x1b[2J\rb\u202e", "plain"], "n": [1, 2]}), form)
    shown = capsys.readouterr().out
    assert bool(set("\x1b\r\u202e") & set(shown)) is (form == "csv" and not terminal)
    assert "plain" in shown
    if terminal and form == "csv":
        assert shown == '"subject","n"\n'.replace('"', "") + '"a\\x1b[2J\\x0db\\u202e",1\nplain,2\n'


def test_parquet_is_not_printed_to_a_terminal(monkeypatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    with pytest.raises(InputError, match="--output"):
        output.write(frame(), "parquet")


def test_nan_is_null_in_json(capsys) -> None:
    output.write(pd.DataFrame({"share": [0.5, float("nan")]}), "jsonl")
    assert capsys.readouterr().out == '{"share": 0.5}\n{"share": null}\n'


def test_numbers_have_thousands_separators_and_ports_have_none(capsys) -> None:
    output.write(pd.DataFrame({"n": [1234567, 9999], "dstport": [51544, 80]}), "table")
    shown = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert shown == [["n", "dstport"], ["1,234,567", "51544"], ["9,999", "80"]]


def test_findings_are_grouped_by_host(winterday_findings, capsys) -> None:
    findings = winterday_findings.at_least("high")
    output.print_groups(findings)
    lines = capsys.readouterr().out.splitlines()
    headers = [line for line in lines if not line.startswith(" ")]
    assert len(headers) == len({finding.subject for finding in findings})
    assert headers[0].startswith(f"{findings[0].subject}  ")
    assert f"({findings[0].finding_id}" in lines[1]
    assert " ".join(lines[2].split()).startswith(findings[0].summary[:40])


def test_many_related_findings_are_counted(winterday_findings, capsys, monkeypatch) -> None:
    monkeypatch.setattr(output, "_MAX_RELATED", 1)
    output.print_groups(winterday_findings)
    assert " more, " in capsys.readouterr().out


def test_scores_of_findings_are_a_map_or_columns(winterday_findings, tmp_path: Path) -> None:
    for form in ("json", "csv", "parquet"):
        output.write_findings(winterday_findings, form, tmp_path / form)
    rows = json.loads((tmp_path / "json").read_text())
    assert [row["finding_id"] for row in rows] == [f.finding_id for f in winterday_findings]
    assert rows[0]["scores"] == dict(winterday_findings[0].scores)
    header = (tmp_path / "csv").read_text().splitlines()[0].split(",")
    assert "scores" not in header
    assert any(name.startswith("score_") for name in header)
    assert "scores" in pd.read_parquet(tmp_path / "parquet").columns
