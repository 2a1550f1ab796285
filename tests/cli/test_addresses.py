"""Tests of flowbench addresses."""

from __future__ import annotations

import json

import pytest

from flowbench.cli import common
from tests.cli.running import run
from tests.incident_case import CALLER, EXIT, HOSTILE, INSTANCE, POOL, WEB


def test_the_inventory(incident_case) -> None:
    shown = run("addresses", incident_case)
    assert shown.exit_code == 0
    lines = shown.stdout.splitlines()
    header = "address interface_id service name kinds country network_owner cloud_service"
    assert lines[0].split() == [*header.split(), "names", "valid_from"]
    assert any(POOL in line and "eu.pool.example" in line and "mining" in line for line in lines)
    rows = json.loads(run("addresses", incident_case, "--format", "json", "--external").stdout)
    assert {POOL, EXIT} <= {row["address"] for row in rows}
    assert WEB not in {row["address"] for row in rows}


def test_a_terminal_gets_a_limited_number_of_rows(incident_case, monkeypatch) -> None:
    monkeypatch.setattr(common, "MAX_TERMINAL_ROWS", 2)
    shown = run("addresses", incident_case)
    assert len(shown.stdout.splitlines()) == 3
    assert shown.stderr.startswith("2 of ")
    assert len(json.loads(run("addresses", incident_case, "--format", "json").stdout)) > 2
    limited = run("addresses", incident_case, "--format", "json", "--limit", 1)
    assert len(json.loads(limited.stdout)) == 1


def test_one_address_has_a_line_per_value(incident_case) -> None:
    shown = run("addresses", incident_case, POOL, "192.0.2.254")
    assert shown.stderr.splitlines() == ["192.0.2.254: not in this case"]
    facts = {tuple(line.split()[1:3]) for line in shown.stdout.splitlines()[1:]}
    assert {("names", "eu.pool.example"), ("kinds", "mining"), ("internal", "False")} <= facts
    assert not any(name == "country" for name, *_ in facts)


def test_hostile_names_are_escaped(incident_case) -> None:
    shown = run("addresses", incident_case, "10.0.0.5").stdout
    assert "\\x0anext" in shown
    assert HOSTILE not in shown


@pytest.mark.parametrize(
    ("what", "expected"),
    [(INSTANCE, {"10.0.0.5"}), ("10.0.0.6/31", {WEB}), ("eu.pool.example", {POOL})],
)
def test_whatever_is_named(incident_case, what, expected) -> None:
    rows = json.loads(run("addresses", incident_case, what, "--format", "json").stdout)
    assert {row["address"] for row in rows} == expected


def test_the_addresses_of_a_principal(incident_case) -> None:
    shown = run("addresses", incident_case, "eve")
    assert shown.stderr.splitlines()[-1] == (f"eve: not in the flow logs or an inventory: {CALLER}")


def test_what_is_nothing(incident_case) -> None:
    wrong = run("addresses", incident_case, "10.0.0")
    assert (wrong.exit_code, "'10.0.0' is no address, network" in wrong.stderr) == (2, True)
