"""Tests of flowbench trace."""

from __future__ import annotations

import json

from tests.cli.running import run
from tests.incident_case import HOST, INSTANCE, INTERFACE, ROGUE


def test_from_an_address_to_the_principal(incident_case) -> None:
    rows = json.loads(run("trace", incident_case, HOST, "--format", "json").stdout)
    values = {row["step"]: row["value"] for row in reversed(rows)}
    assert values["address"] == HOST
    assert values["interface"] == INTERFACE
    assert values["instance"] == INSTANCE
    assert values["principal"] == ROGUE
    shown = run("trace", incident_case, HOST)
    assert shown.exit_code == 0
    assert INSTANCE in shown.stdout


def test_at_a_time(incident_case) -> None:
    result = run("trace", incident_case, HOST, "--at", "2026-09-01T01:00", "--format", "json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)[0]["value"] == HOST
    wrong = run("trace", incident_case, HOST, "--at", "yesterday")
    assert (wrong.exit_code, "yesterday" in wrong.stderr) == (2, True)


def test_an_unknown_address_has_gaps(incident_case) -> None:
    rows = json.loads(run("trace", incident_case, "10.99.0.1", "--format", "json").stdout)
    assert "gap" in {row["step"] for row in rows}
    wrong = run("trace", incident_case, "i-0aaaa1112")
    assert (wrong.exit_code, "the nearest: i-0aaaa1111" in wrong.stderr) == (2, True)


def test_a_user_is_traced_to_what_it_did(incident_case) -> None:
    rows = json.loads(run("trace", incident_case, "eve", "--format", "json").stdout)
    assert {"created by", "principal activity", "consequence"} <= {row["step"] for row in rows}
