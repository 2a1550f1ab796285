"""Tests of flowbench connections."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.running import run
from tests.incident_case import HOST, POOL


def test_connections_that_match(incident_case: Path) -> None:
    def rows(*options: object) -> list[dict[str, object]]:
        result = run("connections", incident_case, *options, "--format", "json")
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    everything = rows()
    assert [row["first_seen"] for row in everything] == sorted(r["first_seen"] for r in everything)
    with_pool = rows("--peer", POOL)
    assert {row["initiator"] for row in with_pool} == {HOST}
    assert rows("--where", f"src = {HOST} and dst.indicator = mining") == with_pool
    port = with_pool[0]["service_port"]
    assert rows("--port", port, "--where", f"ip = {POOL}") == [
        row for row in with_pool if row["service_port"] == port
    ]
    rejected = rows("--rejected")
    assert rejected == rows("--where", "rejected") == [r for r in everything if r["rejected"]]
    assert rows("--until", "1999-01-01") == []


def test_a_filter_that_cannot_be_read(incident_case: Path) -> None:
    result = run("connections", incident_case, "--where", "prot = tcp")
    assert (result.exit_code, result.stderr) == (
        2,
        "flowbench: the filter is wrong at character 1 (prot): 'prot' is not a field; the nearest:"
        " proto, port, sport\n",
    )
