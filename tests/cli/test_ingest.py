"""Tests of flowbench ingest."""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flowbench.case import Case, cache
from flowbench.errors import CaseError
from tests.cli.running import NODATA, RECORD, load, run


def test_the_table_has_a_row_per_kind_and_the_notes_the_rest(case: Path, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(f"{RECORD}\n{NODATA}\nrubbish\n")
    (tmp_path / "empty.log").write_text("version account-id interface-id srcaddr dstaddr\n")
    first = load(case, tmp_path / "a.log", tmp_path / "empty.log")
    assert [line.split() for line in first.stdout.splitlines()] == [
        ["kind", "files", "records", "quarantined"],
        ["flow-logs", "2", "2", "1"],
    ]
    assert first.stderr.splitlines() == [
        "1 file without records.",
        f"1 entry in quarantine: see `flowbench quarantine {case}`.",
    ]
    again = load(case, tmp_path / "a.log")
    assert (again.stdout, again.stderr.splitlines()[0]) == ("", "1 file already in the case.")


def test_json_has_a_row_per_file(case: Path, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(RECORD)
    rows = json.loads(load(case, tmp_path / "a.log", "--format", "json").stdout)
    assert [(row["file"], row["kind"], row["outcome"], row["records"]) for row in rows] == [
        ("a.log", "flow-logs", "loaded", 1)
    ]


def computed(case: Path) -> list[str]:
    """The computed tables in the cache, by the first word of their folders."""
    return sorted(path.name.split("-")[0] for path in (case / "cache").glob("*-*/"))


def test_the_last_step_computes_connections_unless_another_load_follows(case, tmp_path) -> None:
    (tmp_path / "a.log").write_text(RECORD)
    load(case, tmp_path / "a.log")
    assert computed(case) == []
    assert run("ingest", case, tmp_path / "a.log").exit_code == 0
    assert computed(case) == ["addresses", "connections", "cube"]
    entries = len(Case.open(case).log.entries)
    assert json.loads(run("connections", case, "--format", "jsonl").stdout)["service_port"] == 443
    assert run("ingest", case, tmp_path / "a.log").exit_code == 0
    assert len(Case.open(case).log.entries) == entries


LATER = "The load is complete; the first command that needs connections computes them"


@pytest.mark.parametrize(
    ("error", "exit_code", "message"),
    [
        (KeyboardInterrupt(), 130, f"flowbench: stopped. {LATER}"),
        (RuntimeError("Query interrupted"), 130, f"flowbench: stopped. {LATER}"),
        (CaseError("no \x1b[2Jroom"), 0, "connections are not computed: no \\x1b[2Jroom. " + LATER),
        (ValueError(), 0, f"connections are not computed: ValueError. {LATER}"),
    ],
)
def test_without_the_last_step_the_load_is_complete(
    loaded, tmp_path, monkeypatch, error, exit_code, message
) -> None:
    def stop(*_: object) -> None:
        raise error

    monkeypatch.setattr(cache, "ensure", stop)
    (tmp_path / "b.log").write_text(RECORD.replace("443", "80"))
    result = run("ingest", loaded, tmp_path / "b.log")
    assert (result.exit_code, result.stdout.split()[-4:-1]) == (exit_code, ["flow-logs", "1", "1"])
    assert result.stderr.rstrip(".\n") == message
    assert len(Case.open(loaded).evidence) == 2


def write_bad_files(folder: Path) -> dict[str, Path]:
    chooser = random.Random(3)
    lines = ["".join(chooser.choices("abc xyz 019.:-", k=60)) for _ in range(1000)]
    contents = {
        "empty": b"",
        "cut.gz": gzip.compress(os.urandom(5000))[:2000],
        "binary": bytes(chooser.randrange(256) for _ in range(5000)),
        "header-only": b"version account-id interface-id srcaddr dstaddr\n",
        "random": "\n".join(lines).encode(),
        "long": b"x" * 10_000_000,
    }
    paths = {name: folder / name for name in contents}
    for name, content in contents.items():
        paths[name].write_bytes(content)
    return paths


def test_bad_files_do_not_stop_the_load_and_are_in_quarantine(case: Path, tmp_path: Path) -> None:
    paths = write_bad_files(tmp_path)
    good = tmp_path / "good.log"
    good.write_text(RECORD)
    result = load(case, *paths.values(), good)
    assert "entries in quarantine" in result.stderr
    assert "1 file without records." in result.stderr
    rows = json.loads(run("quarantine", case, "--format", "json").stdout)
    assert {row["file"] for row in rows} == set(paths) - {"header-only"}
    assert all(row["reason"] for row in rows)
    assert len(run("flows", case, "--format", "jsonl").stdout.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["nowhere"], "does not exist"), (["hollow"], "no files in"), ([], "Missing argument")],
)
def test_wrong_paths_are_exit_code_2(case, tmp_path, arguments, message) -> None:
    (tmp_path / "hollow").mkdir()
    result = run("ingest", case, *(tmp_path / name for name in arguments))
    assert (result.exit_code, message in result.stderr) == (2, True)


def test_a_folder_without_permission(case: Path, tmp_path: Path) -> None:
    barred = tmp_path / "barred"
    barred.mkdir()
    (barred / "a.log").write_text(RECORD)
    (tmp_path / "some").mkdir()
    inner = tmp_path / "some" / "inner"
    inner.mkdir()
    (tmp_path / "some" / "b.log").write_text(RECORD)
    barred.chmod(0)
    inner.chmod(0)

    def run_without_privilege(*arguments: object) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", "flowbench", *map(str, arguments)]
        if os.getuid() == 0:  # root may read everything unless it drops these capabilities
            words = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *words]
        return subprocess.run(words, capture_output=True, text=True, check=False)

    if os.getuid() == 0 and not shutil.which("setpriv"):
        pytest.skip("root may read everything, and setpriv is not installed")
    try:
        none = run_without_privilege("ingest", case, barred)
        assert none.returncode == 2
        assert "cannot be read: no permission" in none.stderr
        assert "Traceback" not in none.stderr
        some = run_without_privilege("ingest", "--no-connections", case, tmp_path / "some")
        assert some.returncode == 0, some.stderr
        assert "not readable: inner" in some.stderr
    finally:
        barred.chmod(0o755)
        inner.chmod(0o755)
    assert "Permission denied" in run("quarantine", case).stdout


def test_hostile_file_names_are_escaped(case: Path, tmp_path: Path) -> None:
    (tmp_path / "a\x1b[31m\n.log").write_text("rub\x1b[2Jbish\x07 line")
    result = load(case, tmp_path / "a\x1b[31m\n.log")
    shown = result.output + run("quarantine", case).output
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "a\\x1b[31m\\x0a.log" in shown
