"""Tests of flowbench dns."""

from __future__ import annotations

import json

from tests.cli.running import run
from tests.incident_case import EXIT, HOST


def test_queries_are_listed_by_time(incident_case) -> None:
    rows = json.loads(run("dns", incident_case, "--format", "json").stdout)
    assert rows
    assert [row["query_time"] for row in rows] == sorted(row["query_time"] for row in rows)
    assert "eu.pool.example" in {row["name"] for row in rows}
    header = run("dns", incident_case).stdout.splitlines()[0]
    assert header.split() == [
        "query_time",
        "srcaddr",
        "name",
        "query_type",
        "rcode",
        "answers",
    ]


def test_connections_without_a_query(incident_case) -> None:
    shown = run("dns", incident_case, "--missing", "--format", "json")
    rows = json.loads(shown.stdout)
    assert [(row["address"], row["service_port"], row["names"]) for row in rows] == [
        (EXIT, 443, [])
    ]
    assert shown.stderr.startswith("covered: 1 of 1 internal host with outbound connections")


def test_names_queried_before_the_connection(winterday) -> None:
    shown = run("dns", winterday.path, "--resolved", "--format", "json", "--limit", "5")
    rows = json.loads(shown.stdout)
    assert len(rows) == 5
    assert all(row["name"] and row["connections"] for row in rows)


def test_one_host(incident_case) -> None:
    own = json.loads(run("dns", incident_case, "--host", HOST, "--format", "json").stdout)
    assert {row["srcaddr"] for row in own} == {HOST}
    for option in ("--resolved", "--missing"):
        rows = run("dns", incident_case, option, "--host", "10.9.9.9", "--format", "json").stdout
        assert json.loads(rows) == []
    wrong = run("dns", incident_case, "--host", "db")
    assert (wrong.exit_code, wrong.stderr) == (2, "flowbench: db: invalid IP address\n")


def test_the_options_exclude_each_other(incident_case) -> None:
    wrong = run("dns", incident_case, "--resolved", "--missing")
    assert (wrong.exit_code, "choose one" in wrong.stderr) == (2, True)


def test_former_names_are_no_commands(incident_case) -> None:
    assert run("resolved", incident_case).exit_code == 2
    assert run("unresolved", incident_case).exit_code == 2
