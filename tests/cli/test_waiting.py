"""A wait is explained on a terminal once it is long, and never where no person looks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flowbench import detect
from tests.traffic import T0, make_case, talk

START = """
import sys, time
from pathlib import Path
from flowbench.cli import common, main

common.PATIENCE = 0.2

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


def words(folder: Path) -> list[str]:
    case = make_case(folder, talk("10.0.0.5", "10.0.0.6", 443, T0))
    return [sys.executable, "-c", START, str(case.path)]


@pytest.mark.skipif(sys.platform == "win32", reason="terminals are POSIX")
def test_a_terminal_is_told_what_is_waited_for(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(
        words(tmp_path), stdout=subprocess.DEVNULL, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        told = b""
        try:
            while piece := os.read(ours, 65_536):
                told += piece
        except OSError:  # how Linux says that the other end is closed
            pass
        finally:
            os.close(ours)
    assert process.returncode == 0, told
    before, _, after = told.decode().partition("silent so far")
    assert before == ""
    assert "slow [red]one[/red] (0 of 2 done)" in after
    assert "one" not in after.rpartition("answer")[2]


def test_a_pipe_is_told_nothing(tmp_path: Path) -> None:
    ran = subprocess.run(words(tmp_path), capture_output=True, text=True, check=True)
    assert ran.stderr == "silent so far\nanswer\n"


def test_detectors_say_which_of_them_is_at_work(tmp_path: Path) -> None:
    case = make_case(tmp_path, talk("10.0.0.5", "10.0.0.6", 443, T0))
    said: list[tuple[int, int, str]] = []
    case.progress = lambda *step: said.append(step)
    detect.run(case, only=["beacon", "scan"])
    assert [step for step in said if step[2].startswith("asking")] == [
        (0, 2, "asking: beacon"),
        (1, 2, "asking: scan"),
    ]
    assert said[-1] == (2, 2, "")
    assert any("sorting" in what for _, _, what in said)
