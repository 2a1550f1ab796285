"""Tests of Ctrl-C: one line and exit code 130, in a query, in Python, and during a load."""

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
    sql = "SELECT count(*) FROM range(100_000_000_000) WHERE range * 7919 % 1_000_003 = 1_000_005"
    connection.con.sql(sql).to_arrow_reader().read_all()

def sleep():
    ready()
    time.sleep(30)

def load():
    def ingest(*_, **__):
        sleep()
    Case.ingest = ingest
    Case.create(path / "case")
    main(["ingest", str(path / "case"), str(path)], prog_name="flowbench")

def ready():
    print("ready", flush=True)

action = {"query": query, "sleep": sleep, "load": load}[sys.argv[2]]
if sys.argv[2] == "load":
    action()
main.command("wait")(action)
main(["wait"], prog_name="flowbench")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
@pytest.mark.parametrize(
    ("action", "message"),
    [
        ("query", "flowbench: stopped\n"),
        ("sleep", "flowbench: stopped\n"),
        ("load", "Committed files stay loaded; the same command loads the rest\n"),
    ],
)
def test_ctrl_c(tmp_path: Path, action: str, message: str) -> None:
    words = [sys.executable, "-c", START, str(tmp_path), action]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            try:
                process.wait(2)  # until the query runs
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 130
    assert errors.endswith(message)
    assert "Traceback" not in errors
    assert len(errors.strip().splitlines()) == 1
