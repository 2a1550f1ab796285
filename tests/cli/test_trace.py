"""Tests of flowbench trace."""

from __future__ import annotations

import json

from flowbench.cli.trace import print_steps
from flowbench.investigate.trace import Step, Trace
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


def test_steps_below_their_kind_with_their_records(incident_case, tmp_path) -> None:
    text = run("trace", incident_case, "eve", "--figure", tmp_path / "chain.html").stdout
    assert "Attribution of eve" in (tmp_path / "chain.html").read_text()
    created = text[text.index("Created by") : text.index("Access key")]
    assert "  2026-08-31 20:00:00  ada called CreateUser for user eve" in created
    assert created.rstrip().endswith("[1:3:3]")
    assert "Files ([file:line:item])\n  [1] other.jsonl" in text


def test_a_period(incident_case) -> None:
    args = ("--from", "2026-08-31T23:01", "--until", "2026-08-31T23:01:30", "--format", "json")
    rows = json.loads(run("trace", incident_case, "eve", *args).stdout)
    assert [row["event_id"] for row in rows if row["step"] == "principal activity"] == ["e5"]
    assert [row["event_id"] for row in rows if row["step"] == "created by"] == ["e1", "e2"]
    wrong = run("trace", incident_case, "eve", "--from", "2026-09-02", "--until", "2026-09-01")
    assert (wrong.exit_code, "the period is empty" in wrong.stderr) == (2, True)


def test_hostile_text_on_a_terminal(capsys) -> None:
    step = Step("created by", "\x1b[2J\u202eeve" + "A" * 5_000, None, file="a\x1b.json", line=1)
    print_steps(Trace("\x1b", (step,)))
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "\\x1b[2J\\u202eeve" in shown
    assert "A… [1:1]" in shown
