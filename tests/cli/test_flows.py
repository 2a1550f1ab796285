"""Tests of flowbench flows."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.running import NODATA, RECORD, load, run


def test_values_are_canonical_in_json_lines(case: Path, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(f"{RECORD}\n{NODATA}\n")
    load(case, tmp_path / "a.log")
    rows = [
        json.loads(line) for line in run("flows", case, "--format", "jsonl").stdout.splitlines()
    ]
    by_line = {row["line"]: row for row in rows}
    assert by_line[1]["srcaddr"] == "10.0.1.10"
    assert by_line[1]["start"] == "2026-09-01T03:10:00Z"
    assert by_line[1]["tcp_flags"] is None
    assert by_line[2]["srcaddr"] is None
    assert by_line[2]["srcport"] is None
    assert by_line[1]["evidence_id"] == by_line[2]["evidence_id"] != ""


def test_one_address(case: Path, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(f"{RECORD}\n{NODATA}\n")
    load(case, tmp_path / "a.log")
    rows = run("flows", case, "--format", "json", "--address", "198.51.100.7").stdout
    assert [row["line"] for row in json.loads(rows)] == [1]
    assert json.loads(run("flows", case, "--format", "json", "--address", "::1").stdout) == []
    wrong = run("flows", case, "--address", "' OR 1=1")
    assert (wrong.exit_code, wrong.stderr) == (2, "flowbench: ' OR 1=1: invalid IP address\n")


def test_a_limit_is_noted_on_a_terminal(case: Path, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(f"{RECORD}\n{NODATA}\n")
    load(case, tmp_path / "a.log")
    limited = run("flows", case, "--limit", 1)
    assert len(limited.stdout.splitlines()) == 2
    assert limited.stderr == "1 of 2 rows; --limit or --format for more\n"
    in_json = run("flows", case, "--limit", 1, "--format", "json")
    assert (len(json.loads(in_json.stdout)), in_json.stderr) == (1, "")


def test_a_file_that_cannot_be_written(loaded: Path, tmp_path: Path) -> None:
    result = run("flows", loaded, "--format", "json", "-o", tmp_path / "no" / "x")
    assert (result.exit_code, "cannot write" in result.stderr) == (2, True)
    assert len(result.stderr.splitlines()) == 1


def test_hosts_of_one_address(case: Path, tmp_path: Path) -> None:
    header = (
        "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes"
    )
    lines = [
        f"2 {account} eni-{account[0]} 10.0.1.10 198.51.100.{n} 40000 443 6 1 40"
        " 1788220800 1788220859 ACCEPT OK"
        for account in ("111111111111", "222222222222")
        for n in (7, 8)
    ]
    (tmp_path / "a.log").write_text("\n".join([f"{header} start end action log-status", *lines]))
    load(case, tmp_path / "a.log")

    def rows(command: str, *options: str) -> list[dict[str, object]]:
        return json.loads(run(command, case, *options, "--format", "json").stdout)

    assert len(rows("flows", "--address", "10.0.1.10")) == 4
    one = rows("flows", "--address", "10.0.1.10%222222222222")
    assert [row["interface_id"] for row in one] == ["eni-2", "eni-2"]
    assert rows("flows", "--address", "10.0.1.10%vpc-1") == []
    assert [row["interface_id"] for row in rows("addresses", "10.0.1.10")] == ["eni-1", "eni-2"]
    assert [row["account_id"] for row in rows("addresses", "10.0.1.10%111111111111")] == [
        "111111111111"
    ]
    for command in (("trace", case, "10.0.1.10"), ("timeline", case, "--about", "10.0.1.10")):
        refused = run(*command)
        assert refused.exit_code == 2
        assert "give one of 10.0.1.10%111111111111, 10.0.1.10%222222222222" in refused.stderr
    assert run("flows", case, "--address", "10.0.1.10%").exit_code == 2
