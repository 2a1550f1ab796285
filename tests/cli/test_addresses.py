"""The commands about addresses, as a person types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_cli import run
from tests.story import EXIT, HOSTILE, POOL, WEB, story


@pytest.fixture(scope="module")
def story_case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return story(tmp_path_factory.mktemp("addresses") / "story").path


def test_the_whole_book(story_case) -> None:
    shown = run("addresses", story_case)
    assert shown.exit_code == 0
    lines = shown.stdout.splitlines()
    assert lines[0].split() == [
        "address", "valid_from", "interface_id", "service", "name", "country", "network_owner",
        "cloud_service", "names", "kinds",
    ]  # fmt: skip
    assert any(POOL in line and "eu.pool.example" in line and "mining" in line for line in lines)
    rows = json.loads(run("addresses", story_case, "--format", "json", "--outside").stdout)
    assert {POOL, EXIT} <= {row["address"] for row in rows}
    assert WEB not in {row["address"] for row in rows}


def test_a_terminal_gets_no_more_than_it_can_show(story_case, monkeypatch) -> None:
    monkeypatch.setattr("flowbench.cli.addresses._SHOWN", 2)
    shown = run("addresses", story_case)
    assert len(shown.stdout.splitlines()) == 3
    assert shown.stderr.startswith("2 of ")
    assert len(json.loads(run("addresses", story_case, "--format", "json").stdout)) > 2
    assert (
        len(json.loads(run("addresses", story_case, "--format", "json", "--limit", 1).stdout)) == 1
    )


def test_one_address_line_by_line(story_case) -> None:
    shown = run("addresses", story_case, POOL, "192.0.2.254")
    assert shown.stderr.splitlines() == ["192.0.2.254: not in this case"]
    facts = {tuple(line.split()[1:3]) for line in shown.stdout.splitlines()[1:]}
    assert {("names", "eu.pool.example"), ("kinds", "mining"), ("internal", "False")} <= facts
    assert not any(what == "country" for what, *_ in facts)


def test_text_of_attackers_is_shown_not_obeyed(story_case) -> None:
    shown = run("addresses", story_case, "10.0.0.5").stdout
    assert "\\x0anext" in shown
    assert HOSTILE not in shown


def test_what_is_no_address_is_said(story_case) -> None:
    wrong = run("addresses", story_case, "10.0.0")
    assert (wrong.exit_code, wrong.stderr.strip()) == (2, "flowbench: 10.0.0 is no address")


def test_what_was_reached_without_a_name(story_case) -> None:
    shown = run("unresolved", story_case, "--format", "json")
    rows = json.loads(shown.stdout)
    assert [(row["address"], row["service_port"], row["names"]) for row in rows] == [
        (EXIT, 443, [])
    ]
    assert "judged: 1 of 1 inside hosts" in shown.stderr


def test_what_was_looked_up_before_it_was_reached(winterday) -> None:
    shown = run("resolved", winterday.path, "--format", "json", "--limit", "5")
    rows = json.loads(shown.stdout)
    assert len(rows) == 5
    assert all(row["name"] and row["connections"] for row in rows)
