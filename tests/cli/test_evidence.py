"""Tests of flowbench evidence, and of the way from a finding to the lines of the files."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from flowbench import detect
from flowbench.case import Case
from tests.cli.running import run


def read_line(path: Path, line: int) -> dict[str, str]:
    """Return a line of a text flow log as it is in the file, by the names of its header."""
    lines = gzip.decompress(path.read_bytes()).decode().split("\n")
    names = lines[0].replace("-", "_").split()
    return dict(zip(names, lines[line - 1].split(), strict=True))


def test_supporting_records_have_the_values_of_their_lines(
    winterday: Case, winterday_findings
) -> None:
    paths = winterday.evidence.set_index("evidence_id")["path"]
    compared = 0
    by_detector = {finding.detector: finding for finding in winterday_findings}
    for finding in by_detector.values():
        records = winterday.evidence_for(finding)
        assert len(records)
        records = records[records["kind"] == "flow-logs"]
        sample = records.iloc[:: max(1, len(records) // 5)]
        for record in sample.to_dict("records"):
            raw = read_line(winterday.path / paths[record["evidence_id"]], record["line"])
            if record["log_status"] != "OK":  # NODATA and SKIPDATA have no addresses
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


def test_the_records_of_a_finding(winterday: Case, winterday_findings) -> None:
    finding = winterday_findings.of("contact")[0]
    result = run("evidence", winterday.path, finding.finding_id, "--format", "json")
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    expected = winterday.evidence_for(finding)
    assert [(row["file"], row["line"]) for row in rows] == list(
        zip(expected["file"], expected["line"], strict=True)
    )
    header, count = result.stderr.splitlines()
    assert header.startswith(f"{finding.finding_id} ({finding.severity}): {finding.summary[:40]}")
    assert count == f"{len(rows):,} flow records"


def test_the_api_events_and_dns_queries_of_a_finding(tmp_path: Path) -> None:
    from tests.detect.detectors.test_service_abuse import DAY, HOST, alive, call, look_up
    from tests.traffic import make_case

    rows = [look_up(HOST, "iam.amazonaws.com", 3 * DAY + n) for n in range(2)]
    rows += [call("mira", "198.51.100.7", 9, "StopLogging", service="cloudtrail")]
    case = make_case(tmp_path, alive(HOST), json_lines=rows)
    found = detect.run(case, only=["api-abuse", "service-abuse"], keep=False)
    for finding, expected in zip(
        found, ("1 API event", "2 flow records, 2 DNS queries"), strict=True
    ):
        result = run("evidence", case.path, finding.finding_id, "--format", "json")
        assert result.stderr.splitlines()[1] == expected
        cited = json.loads(result.stdout)
        assert [(row["file"], row["item"]) for row in cited if row["kind"] != "flow-logs"] == (
            [("other.jsonl", 3)] if len(cited) == 1 else [("other.jsonl", 1), ("other.jsonl", 2)]
        )
        shown = run("evidence", case.path, finding.finding_id)
        assert ("event_name" in shown.stdout) == (len(cited) == 1)


@pytest.mark.usefixtures("few_detectors")
@pytest.mark.parametrize("start", ["", "contact-zzzz"])
def test_an_id_that_names_no_single_finding(incident_case: Path, start) -> None:
    result = run("evidence", incident_case, start)
    assert (result.exit_code, "flowbench detect" in result.stderr) == (2, True)


def test_the_records_about_something(incident_case: Path) -> None:
    result = run("evidence", incident_case, "eve", "--rejected", "--format", "json")
    rows = json.loads(result.stdout)
    assert [(row["event_id"], row["kind"], row["line"]) for row in rows] == [
        ("e4", "cloudtrail", 5), ("e6", "cloudtrail", 7),
    ]  # fmt: skip
    assert result.stderr.splitlines()[-1] == "2 API events"
    shown = run("evidence", incident_case, "10.0.0.5", "--port", "3333")
    assert shown.stdout.splitlines()[0].split()[:3] == ["start", "srcaddr", "dstaddr"]
    assert shown.stderr.splitlines()[-1] == "696 flow records, 1 GuardDuty finding"
    assert run("evidence", incident_case, "10.0.0.200").stderr.splitlines() == ["no records"]


def test_what_is_nothing(incident_case: Path) -> None:
    wrong = run("evidence", incident_case, "magic-123")
    assert (wrong.exit_code, "'magic-123' is no address" in wrong.stderr) == (2, True)
