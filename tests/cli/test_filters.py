"""Tests of the options that select rows, in every command that lists any."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flowbench.cli.filters import parse_address
from flowbench.errors import InputError
from tests.cli.running import run
from tests.incident_case import HOST, POOL

LISTS = ("flows", "events", "coverage", "dns", "addresses")


def rows(command: str, case: Path, *options: object) -> list[dict[str, object]]:
    result = run(command, case, *options, "--format", "json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.parametrize("command", LISTS)
def test_a_period(incident_case: Path, command: str) -> None:
    everything = rows(command, incident_case)
    assert everything
    times = ("--from", "2026-09-01", "--until", "2026-09-02T00:00Z")
    some = rows(command, incident_case, *times)
    assert len(some) <= len(everything)
    before = rows(command, incident_case, "--until", "1999-01-01")
    if command == "addresses":  # those without an assignment have no period
        assert all(row["valid_from"] is None for row in before)
    else:
        assert before == []
        assert rows(command, incident_case, "--from", "2030-01-01") == []


@pytest.mark.parametrize("command", [*LISTS, "timeline", "findings", "detect"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--from", "yesterday"), "yesterday: invalid time; write 2026-09-01"),
        (("--from", ""), "'': invalid time"),
        (("--until", " "), "invalid time"),
        (("--from", "0001-01-01T00:00+05:00"), "invalid time"),
        (("--until", "9999-12-31T23:59-05:00"), "invalid time"),
        (("--from", "2026-09-02", "--until", "2026-09-01"), "the period is empty"),
    ],
)
def test_a_wrong_period(incident_case: Path, command: str, options, message: str) -> None:
    result = run(command, incident_case, *options)
    assert (result.exit_code, message in result.stderr) == (2, True)


def test_flow_records_between_two_addresses(incident_case: Path) -> None:
    between = rows("flows", incident_case, "--address", HOST, "--peer", POOL)
    assert between
    assert all({row["srcaddr"], row["dstaddr"]} == {HOST, POOL} for row in between)
    (port,) = {min(row["srcport"], row["dstport"]) for row in between}
    assert rows("flows", incident_case, "--peer", POOL, "--port", port) == between
    assert rows("flows", incident_case, "--peer", POOL, "--port", 1) == []
    rejected = rows("flows", incident_case, "--rejected")
    assert {row["action"] for row in rejected} == {"REJECT"}
    wrong = run("flows", incident_case, "--peer", "pool")
    assert (wrong.exit_code, wrong.stderr) == (2, "flowbench: pool: invalid IP address\n")
    empty = run("flows", incident_case, "--peer", "")
    assert (empty.exit_code, empty.stderr) == (2, "flowbench: '': invalid IP address\n")
    assert run("flows", incident_case, "--port", 65_536).exit_code == 2
    assert run("flows", incident_case, "--port", "").exit_code == 2


def test_names_under_a_domain(incident_case: Path) -> None:
    names = {row["name"] for row in rows("dns", incident_case, "--name", "POOL.example.")}
    assert names == {"eu.pool.example"}
    assert rows("dns", incident_case, "--name", "ool.example") == []
    answers = rows("dns", incident_case, "--peer", POOL)
    assert all(POOL in row["answers"] for row in answers)
    wrong = run("dns", incident_case, "--missing", "--name", "x.example")
    assert (wrong.exit_code, "choose one" in wrong.stderr) == (2, True)


def test_a_filter_expression_of_flow_records(incident_case: Path) -> None:
    between = rows("flows", incident_case, "--address", HOST, "--peer", POOL)
    where = f"ip = {HOST} and ip = {POOL}"
    assert rows("flows", incident_case, "--where", where) == between
    assert rows("flows", incident_case, "--where", f"not ({where})", "--peer", POOL) == []
    wrong = run("flows", incident_case, "--where", "answered")
    assert (wrong.exit_code, "flow records do not have it" in wrong.stderr) == (2, True)


def test_parse_address() -> None:
    assert parse_address("2001:DB8:0::1") == "2001:db8::1"
    assert parse_address("10.0.0.5%vpc-0a1") == "10.0.0.5%vpc-0a1"
    assert parse_address("10.0.0.5%111122223333") == "10.0.0.5%111122223333"
    with pytest.raises(
        InputError, match="eth0 is not a VPC, account or interface id: give the addr"
    ):
        parse_address("fe80::1%eth0")
    for text in ("", "10.0.0", "10.0.0.1/32", "::1%eth0x/1", "10.0.0.1%", "db.example"):
        with pytest.raises(InputError, match="invalid IP address"):
            parse_address(text)
