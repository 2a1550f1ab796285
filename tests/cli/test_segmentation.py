"""Tests of flowbench segmentation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flowbench.case import Case
from tests.cli.running import run
from tests.traffic import T0, connect, interface, make_case, reject

WEB, DB = "10.0.0.5", "10.0.1.4"
POLICY = """
groups:
  web: {tags: {tier: web}}
  db: {subnets: subnet-db}
  ghosts: {tags: {tier: "\\e[31m"}}
rules:
  - {from: web, to: db, ports: 443, verdict: allow}
  - {from: web, to: db, verdict: deny}
"""
OWN = [
    interface(WEB, "a", TagSet=[{"Key": "tier", "Value": "web"}]),
    interface(DB, "d", SubnetId="subnet-db"),
]


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    (tmp_path / "policy.yaml").write_text(POLICY)
    return tmp_path / "policy.yaml"


def test_a_violation_is_exit_code_1(tmp_path: Path, policy: Path) -> None:
    case = make_case(tmp_path, connect(WEB, DB, 22, T0), interfaces=OWN)
    answer = run("segmentation", case.path, policy, "--format", "json")
    assert answer.exit_code == 1
    (row,) = json.loads(answer.stdout)
    assert (row["severity"], row["subject"], row["peer"]) == ("high", WEB, DB)
    unused, *others = answer.stderr.splitlines()
    assert unused.startswith("line 7, web ")
    assert unused.endswith(" db on 443: no connection matches")
    assert others == [
        "group ghosts: no address of the case belongs to it",
        "1 connection against the policy, 0 rejected attempts"
        " (2026-09-01 00:00 to 2026-09-01 00:00 UTC)",
    ]
    rules = json.loads(
        run("segmentation", case.path, policy, "--show", "rules", "--format", "json").stdout
    )
    assert [row["state"] for row in rules] == ["unused", "violated", "unused"]
    csv = run("segmentation", case.path, policy, "--show", "groups", "--format", "csv").stdout
    assert csv.splitlines()[1].startswith("web,db,violated,1,1,0,0,")


def test_rejected_attempts_alone_are_exit_code_0(tmp_path: Path, policy: Path) -> None:
    case = make_case(tmp_path, [reject(WEB, DB, 22, T0)], interfaces=OWN)
    answer = run("segmentation", case.path, policy)
    assert answer.exit_code == 0
    assert "low" in answer.stdout
    assert "0 connections against the policy, 1 rejected attempt" in answer.stderr


def test_a_kept_policy_needs_no_file(tmp_path: Path, policy: Path) -> None:
    case = make_case(tmp_path, connect(WEB, DB, 22, T0), interfaces=OWN).path
    none = run("segmentation", case)
    message = f"flowbench: {case} has no policy: give a file, with --keep to keep it\n"
    assert (none.exit_code, none.stderr) == (2, message)
    assert "segmentation: not run: the case has no policy" in run("detect", case).stderr
    assert run("segmentation", case, policy, "--keep").exit_code == 1
    policy.unlink()
    assert run("segmentation", case).exit_code == 1
    assert Case.open(case).log.entries[-1]["details"]["text"] == POLICY
    assert "segmentation" in run("detect", case).stdout
    assert run("verify", case).exit_code == 0


def test_a_bad_policy_is_not_kept(tmp_path: Path, policy: Path) -> None:
    case = make_case(tmp_path, connect(WEB, DB, 22, T0), interfaces=OWN).path
    policy.write_text("groups: {a: {cidr: 10.0.0.0/8}}\nrules: []")
    answer = run("segmentation", case, policy, "--keep")
    assert answer.exit_code == 2
    assert f"{policy}, line 1: group 'a': unknown key 'cidr'; known are tags" in answer.stderr
    assert Case.open(case).policy is None
    missing = run("segmentation", case, tmp_path / "none.yaml")
    assert (missing.exit_code, "none.yaml cannot be read" in missing.stderr) == (2, True)


def test_the_figure_opens_with_no_network(tmp_path: Path, policy: Path) -> None:
    case = make_case(tmp_path, connect(WEB, DB, 22, T0), interfaces=OWN).path
    page = tmp_path / "matrix.html"
    assert run("segmentation", case, policy, "--figure", page).exit_code == 1
    text = page.read_text(encoding="utf-8")
    assert 'id="matrix"' in text
    assert '<script src="http' not in text
    wrong = run("segmentation", case, policy, "--figure", tmp_path / "no" / "m.html")
    assert (wrong.exit_code, "cannot write" in wrong.stderr) == (2, True)


@pytest.fixture
def abroad(tmp_path: Path) -> Path:
    """A case whose web server connected to an address in a country."""
    case = make_case(tmp_path, connect(WEB, "203.0.113.9", 8443, T0), interfaces=OWN)
    (tmp_path / "dbip-country-lite-2026-09.csv").write_text("203.0.113.0,203.0.113.255,KP\n")
    case.ingest(tmp_path / "dbip-country-lite-2026-09.csv")
    return case.path


@pytest.mark.parametrize(
    ("countries", "exit_code", "state"),
    [("deny: [KP]", 1, "violated"), ("allow: [CH]", 1, "violated"), ("deny: [IR]", 0, "compliant")],
)
@pytest.mark.parametrize("rules", ["", POLICY])
def test_countries(
    abroad: Path, tmp_path: Path, rules: str, countries: str, exit_code: int, state: str
) -> None:
    (tmp_path / "c.yaml").write_text(f"{rules}\ncountries: {{{countries}}}\n")
    answer = run("segmentation", abroad, tmp_path / "c.yaml", "--format", "json")
    assert answer.exit_code == exit_code
    rows = json.loads(answer.stdout)
    assert [row["peer"] for row in rows] == ["203.0.113.9"] * exit_code
    assert f"{exit_code} connection" in answer.stderr.splitlines()[-1]
    assert ("against the policy" in answer.stderr) == bool(rules)
    shown = run("segmentation", abroad, tmp_path / "c.yaml", "--show", "rules", "--format", "json")
    last = json.loads(shown.stdout)[-1]
    assert (last["rule"].partition(":")[0], last["state"]) == ("countries", state)


def test_filters_choose_violations_and_leave_the_exit_code(abroad: Path, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("countries: {deny: [KP]}\n")
    for options in (("--peer", "192.0.2.1"), ("--until", "2020-01-01"), ("--port", 22)):
        answer = run("segmentation", abroad, tmp_path / "c.yaml", *options, "--format", "json")
        assert (answer.exit_code, json.loads(answer.stdout)) == (1, [])
