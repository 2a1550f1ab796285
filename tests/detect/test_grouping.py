"""Findings grouped by subject, and by subject and peers."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from flowbench import detect
from flowbench.cli import main, output
from flowbench.detect import Findings
from tests.detect.examples import AT, example_finding
from tests.traffic import T0, connect, make_case

HOST, OTHER, PEER = "10.0.0.5", "10.0.0.6", "203.0.113.5"


def several() -> Findings:
    later = AT + pd.Timedelta("5h")
    return Findings(
        [
            example_finding(["203.0.113.9"], subject=OTHER, severity="critical", score=0.4),
            example_finding([PEER], score=0.9),
            example_finding([PEER], score=0.95, ports=[80], summary="best", last_seen=later),
            replace(example_finding([PEER], severity="low"), detector="beacon", title="Beaconing"),
            example_finding(["203.0.113.6", "203.0.113.7"], severity="medium"),
            example_finding([], severity="low"),
        ]
    )


def test_one_group_per_subject_the_most_severe_first() -> None:
    groups = detect.group_findings(several())
    assert list(groups.columns) == detect.FINDING_GROUPS.columns
    first, second = groups.to_dict("records")
    assert (first["subject"], first["severity"], first["findings"]) == (OTHER, "critical", 1)
    assert (second["subject"], second["severity"], second["score"]) == (HOST, "high", 0.95)
    assert [second[name] for name in ("critical", "high", "medium", "low")] == [0, 2, 1, 2]
    assert (second["findings"], second["related"]) == (5, 3)
    assert (second["first_seen"], second["last_seen"]) == (AT, AT + pd.Timedelta("5h"))
    assert list(second["detectors"]) == ["contact", "beacon"]


def test_findings_about_the_same_peers_are_related() -> None:
    found = several()
    groups = detect.relate_findings(found)
    assert list(groups.columns) == detect.RELATED_FINDINGS.columns
    assert groups["subject"].tolist() == [OTHER, HOST, HOST, HOST]
    one = groups.iloc[1]
    assert (one["peer"], one["severity"], one["score"], one["summary"]) == (
        PEER,
        "high",
        0.95,
        "best",
    )
    assert list(one["detectors"]) == ["contact", "beacon"]
    assert one["title"].endswith(" + Beaconing")
    assert one["finding_ids"][0] == found[1].finding_id
    assert one["findings"] == 3
    assert list(groups["peers"][2]) == ["203.0.113.6", "203.0.113.7"]
    assert groups["findings"].sum() == len(found) == sum(len(ids) for ids in groups["finding_ids"])


def test_no_findings_no_groups() -> None:
    none = Findings([])
    assert detect.group_findings(none).empty
    assert detect.relate_findings(none).empty


def test_the_order_does_not_depend_on_the_findings_order() -> None:
    found = several()
    mixed = Findings(random.Random(3).sample(list(found), len(found)))
    assert detect.group_findings(found).equals(detect.group_findings(mixed))
    assert detect.relate_findings(found).equals(detect.relate_findings(mixed))


def test_a_terminal_shows_subjects_and_escapes_control_characters(capsys) -> None:
    rows = [example_finding([f"203.0.113.{n}"], summary=f"no {n}\x1b[2J") for n in range(10, 21)]
    found = Findings(rows)
    output.print_groups(found)
    shown = capsys.readouterr().out
    lines = shown.splitlines()
    assert lines[0] == "10.0.0.5  11 high  2026-09-01 00:00 to 2026-09-01 01:00 UTC"
    assert lines[1].startswith("  high 0.50  203.0.113.")
    assert re.fullmatch(r"      no \d+\\x1b\[2J", lines[2].rstrip())
    assert lines[-1] == "  and 3 more, high or below: --format csv lists all"
    assert "\x1b" not in shown


@pytest.mark.usefixtures("few_detectors")
def test_detect_prints_groups_and_files_hold_rows(tmp_path: Path) -> None:
    bad = "indicator,kind,feed\n203.0.113.5,c2,feed\n"
    case = make_case(
        tmp_path, [*connect(HOST, PEER, 443, T0), *connect(OTHER, PEER, 443, T0)], indicators=bad
    )
    groups = CliRunner().invoke(main, ["detect", str(case.path)])
    assert [line.split()[0] for line in groups.stdout.splitlines() if line[0] != " "] == [
        HOST,
        OTHER,
    ]
    assert "2 findings, 2 finding groups" in groups.stderr
    flat = CliRunner().invoke(main, ["detect", str(case.path), "--format", "json"])
    assert [list(row) for row in json.loads(flat.stdout)] == [detect.FINDINGS.columns] * 2


def test_hosts_with_one_external_address_form_a_group() -> None:
    hosts = [f"10.0.0.{n}" for n in range(20, 24)]
    beacons = [
        replace(example_finding([PEER], subject=host), detector="beacon", title="Beaconing")
        for host in hosts
    ]
    own = example_finding(["203.0.113.9"], subject=hosts[0], severity="medium")
    groups = detect.group_findings(Findings([*beacons, own])).to_dict("records")
    assert [(row["subject"], list(row["hosts"]), row["findings"]) for row in groups] == [
        (PEER, hosts, 4),
        (hosts[0], hosts[:1], 1),
    ]
    (related, _other) = detect.relate_findings(Findings([*beacons, own])).to_dict("records")
    assert (related["subject"], list(related["hosts"])) == (PEER, hosts)
    assert len(detect.group_findings(Findings(beacons[:2]))) == 2  # two are no campaign


def test_sources_that_scan_one_host_are_no_group() -> None:
    scans = [
        replace(example_finding([HOST], subject=f"203.0.113.{n}"), detector="scan")
        for n in range(4)
    ]
    assert len(detect.group_findings(Findings(scans))) == 4


def test_a_terminal_names_the_hosts_of_a_campaign(capsys) -> None:
    output.print_groups(
        Findings(
            replace(example_finding([PEER], subject=f"10.0.0.{n}"), detector="beacon")
            for n in range(20, 27)
        )
    )
    header, line = capsys.readouterr().out.splitlines()[:2]
    assert header.startswith(f"{PEER}  7 high  2026-09-01 00:00 to 2026-09-01 01:00 UTC  7 hosts: ")
    assert header.endswith("10.0.0.24 and 2 more")
    assert "7 hosts" in line
