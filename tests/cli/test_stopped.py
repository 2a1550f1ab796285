"""Ctrl-C ends a command in one line and exit code 130, whatever it interrupts."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

START = """
import sys, time
from pathlib import Path
from flowbench import engine
from flowbench.case import Case
from flowbench.cli import main

path = Path(sys.argv[1])

def query():
    connection = engine.connect()
    ready()
    far = "SELECT count(*) FROM range(100_000_000_000) WHERE range * 7919 % 1_000_003 = 1_000_005"
    connection.con.sql(far).to_arrow_reader().read_all()

def nap():
    ready()
    time.sleep(30)

def load():
    def ingest(*_, **__):
        nap()
    Case.ingest = ingest
    Case.create(path / "case")
    main(["ingest", str(path / "case"), str(path)], prog_name="flowbench")

def ready():
    print("ready", flush=True)

what = {"query": query, "nap": nap, "load": load}[sys.argv[2]]
if sys.argv[2] == "load":
    what()
main.command("wait")(what)
main(["wait"], prog_name="flowbench")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("query", "flowbench: stopped\n"),
        ("nap", "flowbench: stopped\n"),
        ("load", "What was committed is kept; the same command takes up the rest\n"),
    ],
)
def test_ctrl_c(tmp_path: Path, what: str, said: str) -> None:
    words = [sys.executable, "-c", START, str(tmp_path), what]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            try:
                process.wait(2)  # until the engine is at it
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 130
    assert told.endswith(said)
    assert "Traceback" not in told
    assert len(told.strip().splitlines()) == 1
