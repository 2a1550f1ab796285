"""Tests of progress: long waits are shown on a terminal, and nothing in a pipe."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

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


class Terminal(io.StringIO):
    """A terminal that remembers what was written to it."""

    def isatty(self) -> bool:
        return True


def frames_of(report: Callable[[progress.Progress], None], what: str, **options: bool) -> list[str]:
    """What a bar writes to a terminal, as the pieces between cleared lines."""
    with mock.patch.object(sys, "stderr", Terminal()) as stream:  # pytest replaces a fixture's
        with progress.progress_bar(what, **options) as bar:
            report(bar)
        return stream.getvalue().split("\r\x1b[2K")


@pytest.fixture(autouse=True)
def quick_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(progress, "REFRESH_SECONDS", 0.02)


def test_many_updates_are_written_now_and_then() -> None:
    def report(bar: progress.Progress) -> None:
        for done in range(1, 20_001):
            bar(done * 1_000, 20_000_000, "a.log")
        time.sleep(0.06)
        for _ in range(10):  # nothing new
            bar(20_000_000, 20_000_000, "a.log")
            time.sleep(0.02)

    frames = frames_of(report, "reading")
    assert frames[-2:] == ["reading: 20.0 MB of 20.0 MB", ""]
    assert len(frames) < 60
    assert len(set(frames)) == len(frames) - 1  # each says something new; two are empty


def test_a_long_step_shows_that_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.05)

    def report(bar: progress.Progress) -> None:
        bar(1_500, 2_000, "")
        time.sleep(0.3)

    frames = frames_of(report, "listing", is_bytes=False)
    assert frames[1:3] == ["listing: 1,500 of 2,000", "listing: 1,500 of 2,000, 0 s"]


def test_a_line_is_shortened_and_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")

    def report(bar: progress.Progress) -> None:
        bar(1, 2, "")
        time.sleep(0.1)

    frames = frames_of(report, "\x1b[31m" + "x" * 50)
    assert frames == ["", "\\x1b[31m" + "x" * 11, ""]


def test_a_dumb_terminal_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")

    def report(bar: progress.Progress) -> None:
        bar(1, 2, "")
        time.sleep(0.05)

    assert frames_of(report, "reading") == [""]
