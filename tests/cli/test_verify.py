"""Tests of flowbench verify."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.running import RECORD, load, run


def test_an_intact_case_is_exit_code_0(loaded: Path) -> None:
    result = run("verify", loaded)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == (
        "checked case.json, 1 evidence file, 1 table part, custody log: all match\n"
    )


def test_changed_evidence_is_exit_code_1(loaded: Path, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(RECORD.replace("3120", "3121"))
    wrong = run("verify", loaded)
    assert wrong.exit_code == 1
    assert wrong.stdout.startswith(
        "altered: evidence file a.log\n  changed (same size): SHA-256 was\n"
    )
    assert wrong.stderr.endswith(": 1 failed\n")


def test_moved_evidence_is_said_and_found(loaded: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "a.log").rename(tmp_path / "there" / "a.log")
    moved = run("verify", loaded)
    assert (moved.exit_code, moved.stdout) == (0, "")
    assert moved.stderr.splitlines()[0] == (
        "checked case.json, 1 table part, custody log: all match"
    )
    assert "not compared: 1 evidence file, not available here" in moved.stderr
    found = run("verify", loaded, "--evidence", tmp_path / "there")
    assert (found.exit_code, "1 evidence file" in found.stderr) == (0, True)
    assert "not available" not in found.stderr
    (tmp_path / "empty").mkdir()
    missing = run("verify", loaded, "--evidence", tmp_path / "empty")
    assert missing.exit_code == 1
    assert missing.stdout.startswith("missing: evidence file a.log\n")


def test_a_head_of_another_case_is_exit_code_1_and_no_digest_2(loaded: Path) -> None:
    wrong = run("verify", loaded, "--head", "0" * 64)
    assert wrong.exit_code == 1
    assert "0" * 64 in wrong.stdout  # whole, on one line
    assert run("verify", loaded, "--head", "12").exit_code == 2


def test_a_changed_case_json_is_exit_code_1(loaded: Path) -> None:
    (loaded / "case.json").write_text("{]")
    wrong = run("verify", loaded)
    assert wrong.exit_code == 1
    assert wrong.stdout.startswith("altered: case.json\n")


def test_no_case_is_exit_code_2(tmp_path: Path) -> None:
    result = run("verify", tmp_path)
    assert (result.exit_code, "is not a case" in result.stderr) == (2, True)


@pytest.mark.parametrize("columns", ["40", "80", "160"])
def test_no_line_is_wider_than_the_terminal_and_no_digest_cut(
    loaded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    (tmp_path / "a.log").write_text("\x1b[31m")
    lines = run("verify", loaded).stdout.splitlines()
    assert max(map(len, lines)) <= max(int(columns), 68)
    digests = [word for line in lines for word in line.replace(",", " ").split() if len(word) == 64]
    assert len(digests) == 2


def test_a_hostile_name_is_shown_as_codes(case: Path, tmp_path: Path) -> None:
    path = tmp_path / "\x1b[2Jx.log"
    path.write_text(RECORD)
    load(case, path)
    path.write_text("changed")
    assert "\x1b" not in run("verify", case).stdout


def test_set_aside_files_are_listed_though_all_match(loaded: Path, tmp_path: Path) -> None:
    (loaded / "tables" / "flows" / "x.parquet").write_bytes(b"x")
    assert run("verify", loaded).exit_code == 1
    (tmp_path / "b.log").write_text(RECORD.replace("443", "444"))
    added = load(loaded, tmp_path / "b.log")
    assert "1 file was moved to set-aside" in added.stderr
    result = run("verify", loaded)
    assert result.exit_code == 0
    assert result.stdout.startswith(
        "note: file set aside tables/flows/x.parquet\n  moved to set-aside/"
    )


def test_json_lists_every_check(loaded: Path) -> None:
    rows = json.loads(run("verify", loaded, "--format", "json").stdout)
    assert {row["what"] for row in rows} == {"case", "evidence", "table", "custody"}
    assert all(row["ok"] and row["result"] == "intact" for row in rows)
