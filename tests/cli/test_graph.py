"""Tests of flowbench graph."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.running import run
from tests.incident_case import DATABASE, HOST, INSTANCE, POOL, WEB


def test_edges(incident_case: Path) -> None:
    shown = run("graph", incident_case, "--format", "json")
    rows = json.loads(shown.stdout)
    assert (shown.exit_code, len(rows)) == (0, 4)
    assert (rows[0]["source"], rows[0]["target"], rows[0]["connections"]) == (HOST, POOL, 3)
    near = run("graph", incident_case, INSTANCE, "--rejected", "--format", "json")
    assert [(row["target"], row["rejected"]) for row in json.loads(near.stdout)] == [(DATABASE, 8)]


def test_a_filter(incident_case: Path) -> None:
    some = run("graph", incident_case, "--where", "dport = 3306 and answered", "--format", "json")
    assert [(row["source"], row["target"]) for row in json.loads(some.stdout)] == [(WEB, DATABASE)]
    wrong = run("graph", incident_case, "--where", "dport == 3306")
    assert (wrong.exit_code, "the filter is wrong at character" in wrong.stderr) == (2, True)


def test_a_figure(incident_case: Path, tmp_path: Path) -> None:
    path = tmp_path / "graph.html"
    assert run("graph", incident_case, HOST, "--figure", path).exit_code == 0
    page = path.read_text(encoding="utf-8")
    assert f"Communication of {HOST}" in page
    assert "<script>alert" not in page
    wrong = run("graph", incident_case, "--figure", tmp_path / "no" / "graph.html")
    assert (wrong.exit_code, "cannot write" in wrong.stderr) == (2, True)


def test_what_is_nothing(incident_case: Path) -> None:
    wrong = run("graph", incident_case, "eva")
    assert (wrong.exit_code, "the nearest: eve" in wrong.stderr) == (2, True)


def test_levels(incident_case: Path) -> None:
    shown = run("graph", incident_case, "--level", "country", "--format", "json")
    assert {row["source"] for row in json.loads(shown.stdout)} == {"internal"}
    wrong = run("graph", incident_case, "--outsiders", "planet")
    assert (wrong.exit_code, "choose address, country" in wrong.stderr) == (2, True)
    wrong = run("graph", incident_case, "--level", "planet")
    assert (wrong.exit_code, "choose one of address, interface" in wrong.stderr) == (2, True)
