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
