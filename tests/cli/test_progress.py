"""Tests of progress: long waits are shown on a terminal, and nothing in a pipe."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flowbench import detect
from flowbench.cli import progress
from tests.traffic import T0, connect, make_case

START = """
import sys, time
from pathlib import Path
from flowbench.cli import common, main, progress

progress.WAITING_SECONDS = 0.2

@main.command("wait")
def wait():
    case = common.open_case(Path(sys.argv[1]))
    case.progress(0, 2, "quick [red]one[/red]")
    case.progress(2, 2, "")
    time.sleep(0.4)
    print("silent so far", file=sys.stderr, flush=True)
    case.progress(0, 2, "slow [red]one[/red]")
    time.sleep(0.8)
    case.progress(2, 2, "")
    time.sleep(0.3)
    print("answer", file=sys.stderr, flush=True)

main(["wait"], prog_name="flowbench")
"""


def command(folder: Path) -> list[str]:
    case = make_case(folder, connect("10.0.0.5", "10.0.0.6", 443, T0))
    return [sys.executable, "-c", START, str(case.path)]


@pytest.mark.skipif(sys.platform == "win32", reason="terminals are POSIX")
def test_a_terminal_shows_long_waits(tmp_path: Path) -> None:
    reader, writer = os.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(
        command(tmp_path), stdout=subprocess.DEVNULL, stderr=writer, env=environment
    ) as process:
        os.close(writer)
        shown = b""
        try:
            while piece := os.read(reader, 65_536):
                shown += piece
        except OSError:  # Linux: the other end is closed
            pass
        finally:
            os.close(reader)
    assert process.returncode == 0, shown
    before, _, after = shown.decode().partition("silent so far")
    assert before == ""
    assert "slow [red]one[/red] (0 of 2 done)" in after
    assert "one" not in after.rpartition("answer")[2]


def test_a_pipe_gets_no_progress(tmp_path: Path) -> None:
    ran = subprocess.run(command(tmp_path), capture_output=True, text=True, check=True)
    assert ran.stderr == "silent so far\nanswer\n"


def test_detectors_report_which_of_them_runs(tmp_path: Path) -> None:
    case = make_case(tmp_path, connect("10.0.0.5", "10.0.0.6", 443, T0))
    steps: list[tuple[int, int, str]] = []
    case.progress = lambda *step: steps.append(step)
    detect.run(case, only=["beacon", "scan"])
    assert [step for step in steps if step[2].startswith("detector")] == [
        (0, 2, "detector beacon"),
        (1, 2, "detector scan"),
    ]
    assert steps[-1] == (2, 2, "")
    assert len({what for _, _, what in steps}) > 3


def test_a_bar_is_silent_in_a_pipe(capsys) -> None:
    with progress.progress_bar("reading") as report:
        report(1, 2, "a.log")
    assert capsys.readouterr() == ("", "")
