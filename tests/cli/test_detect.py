"""Tests of flowbench detect."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.cli.running import load, run
from tests.detect.link_cases import FIRST, HOUR, SECOND, session
from tests.incident_case import EXIT, HOST, POOL
from tests.traffic import T0, connect, make_case


@pytest.fixture
def allowed(incident_case: Path, tmp_path: Path) -> Path:
    """A copy of the incident's evidence in a case whose allow list covers the Tor exit."""
    (tmp_path / "allow.txt").write_text(f"# feed: \x1b[31mlab\n# kind: allow\n{EXIT}\n")
    case = tmp_path / "allowed"
    run("new", case)
    load(case, incident_case.parent, tmp_path / "allow.txt")
    return case


def test_a_terminal_shows_findings_by_host(incident_case: Path) -> None:
    result = run("detect", incident_case)
    assert result.exit_code == 0
    headers = [line for line in result.stdout.splitlines() if line and line[0] != " "]
    assert headers[0].startswith(f"{HOST}  ")
    assert " UTC" in headers[0]
    assert POOL in result.stdout
    assert result.stderr.splitlines()[-1].endswith(" finding groups")


@pytest.mark.usefixtures("few_detectors")
def test_json_has_a_row_per_finding_with_a_map_of_scores(incident_case: Path) -> None:
    rows = json.loads(run("detect", incident_case, "--format", "json").stdout)
    assert {row["detector"] for row in rows} >= {"contact", "mining"}
    assert all(isinstance(row["scores"], dict | list) for row in rows)
    text = run("detect", incident_case, "--format", "csv").stdout
    names = next(csv.reader(io.StringIO(text, newline="")))
    assert "scores" not in names
    assert any(name.startswith("score_") for name in names)


def test_links_are_a_table_of_their_own(tmp_path: Path) -> None:
    records = [
        *session(FIRST, SECOND, 22, HOUR),
        *connect(FIRST, POOL, 443, T0),
        *connect(SECOND, EXIT, 443, T0 + 2 * HOUR),
    ]
    text = f"indicator,kind,feed\n{POOL},c2,x\n{EXIT},c2,x\n"
    case = make_case(tmp_path, records, indicators=text).path
    options = ["--only", "contact", "--links"]
    (row,) = json.loads(run("detect", case, *options, "--format", "json").stdout)
    assert (row["from_group"], row["to_group"], row["service_port"]) == (FIRST, SECOND, 22)
    assert SECOND in run("detect", case, *options).stdout
    wrong = run("detect", case, "--links", "--since-last")
    assert (wrong.exit_code, "--links is a table of its own" in wrong.stderr) == (2, True)
    linked = f"linked to {SECOND} (administrative session on 22/tcp (ssh), 1x, from 2026-09-01"
    assert linked in run("detect", case, "--only", "contact").stdout


def test_only_some_detectors(incident_case: Path) -> None:
    rows = json.loads(run("detect", incident_case, "--only", "mining", "--format", "json").stdout)
    assert {row["detector"] for row in rows} == {"mining"}
    wrong = run("detect", incident_case, "--only", "magic")
    assert (wrong.exit_code, "magic" in wrong.stderr) == (2, True)
    assert len(wrong.stderr.splitlines()) == 1


def test_detectors_that_cannot_run_are_noted(loaded: Path) -> None:
    result = run("detect", loaded)
    assert "segmentation: not run: the case has no policy" in result.stderr
    assert result.stderr.endswith("1 finding, 1 finding group\n")  # of how much the logs lack


@pytest.mark.usefixtures("few_detectors")
def test_suppressed_findings_are_counted_and_can_be_shown(allowed: Path) -> None:
    result = run("detect", allowed)
    (note,) = [line for line in result.stderr.splitlines() if "suppressed" in line]
    assert note.endswith("suppressed by '\\x1b[31mlab' (allow list): --show-suppressed")
    shown = json.loads(run("detect", allowed, "--show-suppressed", "--format", "json").stdout)
    assert {row["suppressed_by"] for row in shown} == {None, "\x1b[31mlab"}
    both = run("detect", allowed, "--show-suppressed", "--since-last")
    assert (both.exit_code, "omit --show-suppressed" in both.stderr) == (2, True)


@pytest.mark.usefixtures("few_detectors")
def test_changes_since_the_last_run(loaded: Path) -> None:
    first = run("detect", loaded, "--since-last")
    assert "no earlier run to compare with" in first.stderr
    again = run("detect", loaded, "--since-last")
    assert ": 0 new, 0 changed, 0 gone" in again.stderr
    assert json.loads(run("detect", loaded, "--since-last", "--format", "json").stdout) == []


@pytest.mark.usefixtures("few_detectors")
def test_a_damaged_run_is_noted_and_the_result_printed(loaded: Path) -> None:
    run("detect", loaded)
    for path in (loaded / "findings").iterdir():
        path.write_bytes(b"x")
    result = run("detect", loaded, "--since-last")
    assert (result.exit_code, "nothing to compare with" in result.stderr) == (0, True)


def test_a_case_without_flow_logs_is_one_sentence(case: Path, tmp_path: Path) -> None:
    (tmp_path / "iocs.txt").write_text(f"{EXIT}\n")
    load(case, tmp_path / "iocs.txt")
    lines = run("detect", case).stderr.splitlines()
    (sentence,) = [line for line in lines if "no flow logs" in line]
    assert sentence.startswith("beacon, brute-force, contact, ")
    assert not [line for line in lines if "needs" in line]


def test_filters_choose_findings(incident_case: Path) -> None:
    options = ("--only", "contact", "--format", "json")
    some = json.loads(run("detect", incident_case, *options, "--peer", POOL).stdout)
    assert {row["peer"] for row in some} == {POOL}
    assert json.loads(run("detect", incident_case, *options, "--until", "2020-01-01").stdout) == []
