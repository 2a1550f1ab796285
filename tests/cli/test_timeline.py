"""Tests of flowbench timeline."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.running import run
from tests.incident_case import EXIT

pytestmark = pytest.mark.usefixtures("few_detectors")


def test_the_order_is_that_of_time(incident_case) -> None:
    rows = json.loads(run("timeline", incident_case, "--format", "json").stdout)
    assert len(rows) > 5
    assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)


def test_about_one_address(incident_case) -> None:
    everything = json.loads(run("timeline", incident_case, "--format", "json").stdout)
    about = json.loads(run("timeline", incident_case, "--about", EXIT, "--format", "json").stdout)
    assert len(about) < len(everything)
    assert json.loads(run("timeline", incident_case, EXIT, "--format", "json").stdout) == about
    wrong = run("timeline", incident_case, "--about", "the miner")
    assert wrong.exit_code == 2
    assert wrong.stderr.startswith("flowbench: 'the miner' is no address, network, interface, ")


def test_times_in_a_zone_beside_utc(incident_case) -> None:
    result = run("timeline", incident_case, EXIT, "--tz", "Asia/Tokyo", "--format", "json")
    row = json.loads(result.stdout)[0]
    assert row["time"].endswith(("Z", "+00:00"))
    assert row["local_time"].endswith("+09:00")
    wrong = run("timeline", incident_case, "--tz", "Mars/Olympus")
    assert (wrong.exit_code, "is not a time zone" in wrong.stderr) == (2, True)


def test_unfolded_calls(incident_case) -> None:
    folded, unfolded = (
        json.loads(run("timeline", incident_case, "eve", *option, "--format", "json").stdout)
        for option in ((), ("--unfold",))
    )
    assert len(unfolded) >= len(folded) > 0


def test_a_case_without_findings(case: Path) -> None:
    result = run("timeline", case)
    assert result.exit_code == 0
    assert "nothing to show; `flowbench timeline CASE WHAT`" in result.stderr
