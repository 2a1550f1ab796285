"""Tests of flowbench cloud-ranges."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowbench.errors import InputError
from flowbench.fetch import cloud_ranges
from tests.cli.running import run


def test_the_path_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud_ranges, "fetch", lambda folder: folder / "ip-ranges.json")
    result = run("cloud-ranges", "--to", tmp_path)
    assert (result.exit_code, result.stdout) == (0, f"{tmp_path / 'ip-ranges.json'}\n")


def test_a_failed_download_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_folder: Path | None) -> Path:
        raise InputError("no answer")

    monkeypatch.setattr(cloud_ranges, "fetch", fail)
    result = run("cloud-ranges")
    assert (result.exit_code, result.stderr) == (2, "flowbench: no answer\n")
