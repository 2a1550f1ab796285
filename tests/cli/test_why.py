"""Tests of flowbench why."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.running import run


def test_the_answer_as_text_and_json(loaded: Path) -> None:
    result = run("why", loaded, "10.0.1.10", "198.51.100.7", 443)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "From 10.0.1.10 to 198.51.100.7 443/tcp"
    assert lines[3].endswith("first: a.log line 1")
    rows = json.loads(
        run("why", loaded, "10.0.1.10", "198.51.100.7", 443, "--format", "json").stdout
    )
    assert [row["kind"] for row in rows[:2]] == ["observation", "cause"]
    assert rows[1]["control"] == "unknown beyond the source"


def test_the_period_is_a_filter(loaded: Path) -> None:
    arguments = ("why", loaded, "10.0.1.10", "198.51.100.7", 443, "--from", "2026-09-02")
    result = run(*arguments)
    assert (result.exit_code, "  none" in result.stdout.splitlines()) == (0, True)


def test_wrong_input(loaded: Path) -> None:
    result = run("why", loaded, "10.0.1.10", "198.51.100.7")
    assert result.exit_code == 2
    assert result.stderr == "flowbench: TCP and UDP need a port, and ICMP has none\n"
    ping = run("why", loaded, "10.0.1.10", "198.51.100.7", "--protocol", "icmp")
    assert ping.exit_code == 0
