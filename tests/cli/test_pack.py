"""Tests of flowbench pack."""

from __future__ import annotations

from pathlib import Path

from tests.cli.running import run


def test_beside_the_case_by_default(loaded: Path) -> None:
    result = run("pack", loaded)
    assert result.exit_code == 0
    assert result.stdout == f"{loaded.with_name(loaded.name + '.zip')}\n"


def test_evidence_is_not_pseudonymised(loaded: Path, tmp_path: Path) -> None:
    result = run("pack", loaded, "--with-evidence", "--pseudonymise", tmp_path / "key")
    assert result.exit_code == 2
    assert "leave out --with-evidence" in result.stderr
    assert not (tmp_path / "key").exists()


def test_a_pseudonymised_archive_and_its_key(loaded: Path, tmp_path: Path) -> None:
    result = run("pack", loaded, "-o", tmp_path / "p.zip", "--pseudonymise", tmp_path / "key")
    assert result.exit_code == 0
    assert (tmp_path / "key").is_file()
    assert run("unpack", tmp_path / "p.zip", tmp_path / "u").exit_code == 0
    assert run("verify", tmp_path / "u").exit_code == 0
