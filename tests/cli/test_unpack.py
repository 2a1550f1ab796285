"""Tests of flowbench unpack."""

from __future__ import annotations

from pathlib import Path

from tests.cli.running import run


def test_an_archive_is_unpacked_once(loaded: Path, tmp_path: Path) -> None:
    run("pack", loaded, "-o", tmp_path / "c.zip", "--with-evidence")
    result = run("unpack", tmp_path / "c.zip", tmp_path / "again")
    assert (result.exit_code, "flowbench verify" in result.stderr) == (0, True)
    assert run("verify", tmp_path / "again").exit_code == 0
    result = run("unpack", tmp_path / "c.zip", tmp_path / "again")
    assert (result.exit_code, "is not an empty folder" in result.stderr) == (2, True)


def test_what_is_no_archive(loaded: Path, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x")
    assert run("unpack", tmp_path / "x", tmp_path / "u").exit_code == 2
