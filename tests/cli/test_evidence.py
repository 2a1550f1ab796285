"""From a finding to its lines, and from the lines in the original files to the same values."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from flowbench.case import Case
from flowbench.cli import main


def original(path: Path, line: int) -> dict[str, str]:
    """A line of a text flow log as it stands in the file, by the names of its header."""
    lines = gzip.decompress(path.read_bytes()).decode().split("\n")
    names = lines[0].replace("-", "_").split()
    return dict(zip(names, lines[line - 1].split(), strict=True))


def test_every_line_behind_every_finding_says_the_same_in_the_original_file(
    winterday: Case, winterday_findings
) -> None:
    paths = winterday.evidence.set_index("evidence_id")["path"]
    compared = 0
    for finding in winterday_findings:
        records = winterday.evidence_for(finding)
        assert len(records)
        sample = records.iloc[:: max(1, len(records) // 5)]
        for record in sample.to_dict("records"):
            raw = original(winterday.path / paths[record["evidence_id"]], record["line"])
            if record["log_status"] != "OK":  # a window that is told of has no ends
                assert raw["log_status"] == record["log_status"]
                continue
            assert (raw["srcaddr"], raw["dstaddr"]) == (record["srcaddr"], record["dstaddr"])
            for name in ("srcport", "dstport", "protocol", "packets", "bytes"):
                assert int(raw[name]) == record[name]
            assert int(raw["start"]) == record["start"].timestamp()
            assert int(raw["end"]) == record["end"].timestamp()
            assert (raw["action"], raw["interface_id"]) == (
                record["action"],
                record["interface_id"],
            )
            compared += 1
    assert compared >= 20


def test_the_command_shows_the_records(winterday: Case, winterday_findings) -> None:
    finding = winterday_findings[0]
    words = ["evidence", str(winterday.path), finding.finding_id, "--format", "json"]
    ran = CliRunner().invoke(main, words)
    assert ran.exit_code == 0, ran.output
    rows = json.loads(ran.stdout)
    expected = winterday.evidence_for(finding)
    assert [(row["file"], row["line"]) for row in rows] == list(
        zip(expected["file"], expected["line"], strict=True)
    )
    assert finding.summary[:40] in ran.stderr


@pytest.mark.parametrize("name", ["magic-123", "", "contact-zzzz"])
def test_no_such_finding(winterday: Case, name) -> None:
    ran = CliRunner().invoke(main, ["evidence", str(winterday.path), name])
    assert ran.exit_code == 2
    assert "detect" in ran.stderr
