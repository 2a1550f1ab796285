"""Tests of flowbench note."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from flowbench.case import Case
from tests.cli.running import run, run_on_terminal
from tests.traffic import T0, connect, make_case

HOST, BAD = "10.0.0.5", "203.0.113.50"
HOSTILE = "=cmd()|\x1b[31m<b>"
pytestmark = pytest.mark.usefixtures("few_detectors")


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A case that no test writes to."""
    return make_case(tmp_path_factory.mktemp("note"), connect(HOST, BAD, 443, T0)).path


@pytest.fixture
def case(tmp_path: Path) -> Path:
    text = f"indicator,kind,feed\n{BAD},c2,feed\n"
    return make_case(tmp_path, connect(HOST, BAD, 443, T0), indicators=text).path


def detected(case: Path, *options: str) -> list[dict]:
    return json.loads(run("detect", case, "--format", "json", *options).stdout)


def listed(case: Path, *options: object) -> list[dict]:
    return json.loads(run("note", case, "--format", "json", *options).stdout)


def test_notes_are_written_and_listed(case: Path) -> None:
    written = run("note", case, "owner called", "--about", HOST, "--at", "2026-09-01T04:00")
    assert (written.exit_code, written.stdout) == (0, "")
    run("note", case, HOSTILE, "--tag", "odd")
    first, second = listed(case)
    assert (first["about"], first["about_kind"], first["text"]) == (HOST, "address", "owner called")
    assert first["at"] == "2026-09-01T04:00:00Z"
    assert (second["about"], second["tags"], second["text"]) == (None, ["odd"], HOSTILE)
    assert [row["text"] for row in listed(case, "--about", HOST)] == ["owner called"]
    assert [row["text"] for row in listed(case, "--until", "2026-09-02")] == ["owner called"]
    shown = run_on_terminal(200, "note", case)
    assert "\\x1b[31m" in shown
    text = run("note", case, "--format", "csv").stdout
    assert list(csv.DictReader(io.StringIO(text)))[1]["text"] == f"'{HOSTILE}"


def test_stars_and_tags(case: Path) -> None:
    run("note", case, "--about", HOST, "--star", "--tag", "c2", "--tag", "x")
    run("note", case, "more", "--about", HOST, "--untag", "x")
    assert Case.open(case).marks[HOST] == {"about_kind": "address", "starred": True, "tags": ["c2"]}
    assert f"starred: {HOST}" in run("note", case).stderr
    run("note", case, "--about", HOST, "--unstar")
    assert "starred" not in run("note", case).stderr
    assert [row["kind"] for row in listed(case)] == ["mark", "note", "mark", "mark"]


def test_a_finding_is_dismissed_confirmed_and_reopened(case: Path) -> None:
    (finding,) = detected(case)
    name = finding["finding_id"]
    assert run("note", case, "--about", name[:-2], "--dismiss", "a \x1b[31msandbox").exit_code == 0
    assert detected(case) == []
    result = run("detect", case)
    assert f"{name}: dismissed by " in result.stderr
    assert ": a \\x1b[31msandbox" in result.stderr
    (row,) = detected(case, "--show-suppressed")
    assert row["suppressed_by"].startswith("dismissed by ")
    assert (row["suppression_reason"], row["decision"]) == ("a \x1b[31msandbox", "dismissed")
    assert json.loads(run("findings", case, "--format", "json").stdout) == []
    assert json.loads(run("findings", case, name, "--format", "json").stdout)[0]["decision"]
    run("note", case, "seen by two", "--about", name, "--confirm", "--tag", "reviewed")
    (row,) = detected(case)
    assert (row["decision"], row["decision_reason"]) == ("confirmed", "seen by two")
    assert f"{name}: confirmed by " in run("detect", case).stdout
    assert "decision" in run("findings", case).stdout
    run("note", case, "--about", name, "--reopen")
    assert detected(case)[0]["decision"] == "reopened"
    rows = listed(case, "--about", name)
    assert [row["decision"] for row in rows] == ["dismissed", "confirmed", None, "reopened"]


def test_dismissal_is_no_change_since_the_last_run(case: Path) -> None:
    (finding,) = detected(case)
    run("note", case, "--about", finding["finding_id"], "--dismiss", "a sandbox")
    assert detected(case, "--since-last") == []


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--about", "10.0.0.77", "x"], "10.0.0.77 does not occur in this case; the nearest"),
        (["--about", "nobody"], "'nobody' is no address"),
        (["--star"], "what is to be marked? Give --about WHAT"),
        (["--tag", "x"], "what is to be marked? Give --about WHAT"),
        (["--confirm"], "which finding is confirmed? Give its id after --about"),
        (["--about", HOST, "--confirm"], "10.0.0.5 is no finding, but address"),
        (["--about", HOST, "--confirm", "--reopen"], "give one of --confirm, --dismiss"),
        (["--about", HOST, "x", "--dismiss", "y"], "the reason follows --dismiss: omit TEXT"),
        (["--about", HOST, "--at", "2026-09-01"], "--at is the time of a note"),
        (["x" * 10_001], "the note has 10,001 characters, at most 10,000 are kept"),
        (["x", "--at", "noon"], "noon: invalid time"),
    ],
)
def test_wrong_usage_is_an_error_and_writes_nothing(
    unchanged: Path, options: list[str], error: str
) -> None:
    result = run("note", unchanged, *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert error in result.stderr
    assert listed(unchanged) == []
