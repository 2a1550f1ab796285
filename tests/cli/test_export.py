"""Tests of flowbench export."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.running import run

pytestmark = pytest.mark.usefixtures("few_detectors")


def test_an_export_in_the_case_and_elsewhere(incident_case: Path, tmp_path: Path) -> None:
    result = run("export", incident_case, "--to", "attack-navigator")
    assert result.exit_code == 0
    assert result.stdout == f"{incident_case / 'attack-navigator.json'}\n"
    run("export", incident_case, "--to", "attack-navigator", "-o", tmp_path / "l.json")
    assert (tmp_path / "l.json").read_bytes() == (
        incident_case / "attack-navigator.json"
    ).read_bytes()


def test_an_unknown_format(incident_case: Path) -> None:
    assert run("export", incident_case, "--to", "xlsx").exit_code == 2
