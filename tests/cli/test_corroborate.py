"""Tests of flowbench corroborate."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.running import run, run_on_terminal
from tests.incident_case import HOST, POOL
from tests.investigate.alert_cases import alert, alert_case, dns_request, silence

pytestmark = pytest.mark.usefixtures("few_detectors")


def test_alerts_with_their_verdicts(incident_case: Path) -> None:
    result = run("corroborate", incident_case)
    assert result.exit_code == 0
    assert "confirmed" in result.stdout
    assert result.stderr.endswith("1 GuardDuty finding: 1 confirmed\n")
    (row,) = json.loads(run("corroborate", incident_case, "--format", "json").stdout)
    assert (row["verdict"], row["peer"], row["file"]) == ("confirmed", POOL, "flows.log")
    assert len(row["finding_ids"]) >= 2


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (["--verdict", "confirmed"], 1),
        (["--verdict", "not seen"], 0),
        (["--peer", POOL], 1),
        (["--peer", "192.0.2.1"], 0),
        (["--until", "2026-08-31"], 0),
    ],
)
def test_filters(incident_case: Path, options: list[str], count: int) -> None:
    found = json.loads(run("corroborate", incident_case, *options, "--format", "json").stdout)
    assert len(found) == count


def test_findings_that_no_alert_mentions(incident_case: Path) -> None:
    rows = json.loads(run("corroborate", incident_case, "--unreported", "--format", "json").stdout)
    assert {row["subject"] for row in rows} == {HOST}
    assert POOL not in {row["peer"] for row in rows}
    assert "UnauthorizedAccess:EC2/TorClient" in {row["guardduty_type"] for row in rows}


def test_a_case_without_alerts(loaded: Path) -> None:
    result = run("corroborate", loaded)
    assert (result.exit_code, result.stdout.strip()) == (0, result.stdout.strip())
    assert "the case has no GuardDuty findings" in result.stderr


def test_hostile_text_is_escaped(tmp_path: Path) -> None:
    given = alert("Trojan:EC2/\x1b[31mX!DNS", action=dns_request("a.example"), identifier="\x1b[2J")
    case = alert_case(tmp_path, silence(), given)
    shown = run_on_terminal(250, "corroborate", case.path)
    assert "\\x1b[31mX" in shown
    assert "\x1b" not in shown
