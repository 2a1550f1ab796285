"""The command as a person types it: answers, exit codes, and never a stack trace."""

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
from click.testing import CliRunner, Result

from flowbench.cli import main

RECORD = (
    "2 123456789012 eni-0a 10.0.1.10 198.51.100.7 51544 443 6 18 3120"
    " 1788232200 1788232259 ACCEPT OK"
)
NODATA = "2 unknown eni-1 - - - - - - - 1788232200 1788232259 - NODATA"


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert not isinstance(result.exception, Exception) or isinstance(result.exception, SystemExit)
    return result


@pytest.fixture
def case(tmp_path: Path) -> Path:
    assert run("new", tmp_path / "case").exit_code == 0
    return tmp_path / "case"


def test_flows_as_json_lines_are_canonical(case, tmp_path) -> None:
    (tmp_path / "a.log").write_text(f"{RECORD}\n{NODATA}\n")
    assert run("ingest", case, tmp_path / "a.log").exit_code == 0
    rows = [
        json.loads(line) for line in run("flows", case, "--format", "jsonl").stdout.splitlines()
    ]
    by_line = {row["line"]: row for row in rows}
    assert by_line[1]["srcaddr"] == "10.0.1.10"
    assert by_line[1]["start"] == "2026-09-01T03:10:00Z"
    assert by_line[1]["tcp_flags"] is None
    assert by_line[2]["srcaddr"] is None
    assert by_line[2]["srcport"] is None
    assert by_line[1]["evidence_id"] == by_line[2]["evidence_id"] != ""
    only = run("flows", case, "--format", "json", "--address", "198.51.100.7").stdout
    assert [row["line"] for row in json.loads(only)] == [1]
    wrong = run("flows", case, "--format", "json", "--address", "' OR 1=1")
    assert (wrong.exit_code, wrong.stderr.strip()) == (2, "flowbench: ' OR 1=1 is no address")


def test_info_and_verify(case, tmp_path) -> None:
    log = tmp_path / "a.log"
    log.write_text(RECORD)
    run("ingest", case, log)
    shown = run("info", case).stdout
    assert "flow-logs" in shown
    assert "2026-09-01 03:10:00 to 2026-09-01 03:10:59 UTC" in shown
    assert run("verify", case).exit_code == 0
    log.write_text(RECORD.replace("3120", "3121"))
    wrong = run("verify", case)
    assert wrong.exit_code == 1
    assert "a.log" in wrong.stdout
    assert "changed since it was loaded" in wrong.stdout


def bad_inputs(folder: Path) -> dict[str, Path]:
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


def test_bad_files_stop_nothing_and_none_vanishes(case, tmp_path) -> None:
    paths = bad_inputs(tmp_path)
    good = tmp_path / "good.log"
    good.write_text(RECORD)
    result = run("ingest", case, *paths.values(), good)
    assert result.exit_code == 0
    assert "entries in quarantine" in result.stderr
    assert "1 files hold no records" in result.stderr
    rows = json.loads(run("quarantine", case, "--format", "json").stdout)
    assert {row["file"] for row in rows} == set(paths) - {"header-only"}
    assert all(row["reason"] for row in rows)
    assert len(run("flows", case, "--format", "jsonl").stdout.splitlines()) == 1


def test_what_the_user_got_wrong_is_exit_code_2_and_one_line(case, tmp_path) -> None:
    (tmp_path / "hollow").mkdir()
    for arguments, message in {
        ("new", case): "is a case already",
        ("info", tmp_path / "nowhere"): "is no case",
        ("ingest", case, tmp_path / "nowhere"): "does not exist",
        ("ingest", case, tmp_path / "hollow"): "no files in",
        ("detect", case, "--only", "magic"): "magic",
        ("flows", case, "--format", "json", "-o", tmp_path / "no" / "x"): "cannot write",
    }.items():
        result = run(*arguments)
        assert (arguments[0], result.exit_code) == (arguments[0], 2)
        assert message in result.stderr
        assert "Traceback" not in result.output
        assert len(result.stderr.strip().splitlines()) == 1
    assert run("ingest", case).exit_code == 2
    assert run("frobnicate").exit_code == 2


def test_a_folder_nobody_may_read(case, tmp_path) -> None:
    barred = tmp_path / "barred"
    barred.mkdir()
    (barred / "a.log").write_text(RECORD)
    (tmp_path / "some").mkdir()
    inner = tmp_path / "some" / "inner"
    inner.mkdir()
    (tmp_path / "some" / "b.log").write_text(RECORD)
    barred.chmod(0)
    inner.chmod(0)

    def without_privilege(*arguments: object) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", "flowbench", *map(str, arguments)]
        if os.getuid() == 0:  # root may read everything, unless that power is given up first
            words = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *words]
        return subprocess.run(words, capture_output=True, text=True, check=False)

    if os.getuid() == 0 and not shutil.which("setpriv"):
        pytest.skip("root may read everything, and there is no setpriv to give that up")
    try:
        refused = without_privilege("ingest", case, barred)
        assert refused.returncode == 2
        assert "cannot be read: no permission" in refused.stderr
        assert "Traceback" not in refused.stderr
        partly = without_privilege("ingest", case, tmp_path / "some")
        assert partly.returncode == 0, partly.stderr
        assert "not readable: inner" in partly.stderr
    finally:
        barred.chmod(0o755)
        inner.chmod(0o755)
    assert "Permission denied" in run("quarantine", case).stdout


def test_hostile_names_reach_no_terminal(case, tmp_path) -> None:
    (tmp_path / "a\x1b[31m\n.log").write_text("rub\x1b[2Jbish\x07 line")
    result = run("ingest", case, tmp_path / "a\x1b[31m\n.log")
    shown = result.output + run("quarantine", case).output
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "a\\x1b[31m\\x0a.log" in shown


@pytest.mark.parametrize(
    "command",
    [
        "new",
        "ingest",
        "info",
        "verify",
        "detect",
        "timeline",
        "flows",
        "quarantine",
        "report",
        "demo",
        "lab",
    ],
)
def test_every_command_explains_itself(command) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert len(result.output.splitlines()) > 4


def test_a_damaged_table_is_no_stack_trace(case, tmp_path) -> None:
    (tmp_path / "a.log").write_text(RECORD)
    run("ingest", case, tmp_path / "a.log")
    part = next((case / "tables" / "flows").iterdir())
    part.write_bytes(b"PAR1" + b"x" * 200 + b"PAR1")
    result = CliRunner().invoke(main, ["flows", str(case)])
    assert result.exit_code == 2
    assert "the case's tables cannot be read" in result.stderr
    part.unlink()
    assert run("info", case).exit_code == 2
