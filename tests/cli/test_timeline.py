"""Tests of flowbench timeline."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.running import run
from tests.incident_case import EXIT


def test_the_order_is_that_of_time(incident_case) -> None:
    rows = json.loads(run("timeline", incident_case, "--format", "json").stdout)
    assert len(rows) > 5
    assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)


def test_about_one_address(incident_case) -> None:
    everything = json.loads(run("timeline", incident_case, "--format", "json").stdout)
    about = json.loads(run("timeline", incident_case, "--about", EXIT, "--format", "json").stdout)
    assert len(about) < len(everything)
    wrong = run("timeline", incident_case, "--about", "the miner")
    assert (wrong.exit_code, wrong.stderr) == (2, "flowbench: the miner: invalid IP address\n")


def test_a_case_without_findings(case: Path) -> None:
    result = run("timeline", case)
    assert result.exit_code == 0
    assert "nothing to show; --about ADDRESS" in result.stderr
