"""Findings grouped: a story a host, a strand for what is said of the same peers."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
from click.testing import CliRunner

from flowbench import detect
from flowbench.cli import main, output
from flowbench.detect import Findings
from tests.detect.test_compare import AT, made
from tests.traffic import T0, connect, make_case

HOST, OTHER, PEER = "10.0.0.5", "10.0.0.6", "203.0.113.5"


def several() -> Findings:
    later = AT + pd.Timedelta("5h")
    return Findings(
        [
            made(["203.0.113.9"], subject=OTHER, severity="critical", score=0.4),
            made([PEER], score=0.9),
            made([PEER], score=0.95, ports=[80], summary="best", last_seen=later),
            replace(made([PEER], severity="low"), detector="beacon", title="Beaconing"),
            made(["203.0.113.6", "203.0.113.7"], severity="medium"),
            made([], severity="low"),
        ]
    )


def test_a_story_a_host_the_gravest_first() -> None:
    told = detect.group_findings(several())
    assert list(told.columns) == detect.FINDING_GROUPS.columns
    first, second = told.to_dict("records")
    assert (first["subject"], first["severity"], first["findings"]) == (OTHER, "critical", 1)
    assert (second["subject"], second["severity"], second["score"]) == (HOST, "high", 0.95)
    assert [second[name] for name in ("critical", "high", "medium", "low")] == [0, 2, 1, 2]
    assert (second["findings"], second["related"]) == (5, 3)
    assert (second["first_seen"], second["last_seen"]) == (AT, AT + pd.Timedelta("5h"))
    assert list(second["detectors"]) == ["contact", "beacon"]


def test_what_detectors_say_of_one_peer_is_one_strand() -> None:
    found = several()
    told = detect.relate_findings(found)
    assert list(told.columns) == detect.RELATED_FINDINGS.columns
    assert told["subject"].tolist() == [OTHER, HOST, HOST, HOST]
    one = told.iloc[1]
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
    assert list(told["peers"][2]) == ["203.0.113.6", "203.0.113.7"]
    assert told["findings"].sum() == len(found) == sum(len(ids) for ids in told["finding_ids"])


def test_no_findings_no_stories() -> None:
    none = Findings([])
    assert detect.group_findings(none).empty
    assert detect.relate_findings(none).empty


def test_the_order_does_not_depend_on_the_findings_order() -> None:
    found = several()
    mixed = Findings(random.Random(3).sample(list(found), len(found)))
    assert detect.group_findings(found).equals(detect.group_findings(mixed))
    assert detect.relate_findings(found).equals(detect.relate_findings(mixed))


def test_a_terminal_shows_hosts_and_nothing_that_obeys(capsys) -> None:
    rows = [made([f"203.0.113.{n}"], summary=f"no {n}\x1b[2J") for n in range(10, 21)]
    found = Findings(rows)
    output.tell(detect.group_findings(found), detect.relate_findings(found))
    shown = capsys.readouterr().out
    lines = shown.splitlines()
    assert lines[0] == "10.0.0.5  11 high  2026-09-01 00:00 to 2026-09-01 01:00 UTC"
    assert lines[1].startswith("  high 0.50  203.0.113.")
    assert re.fullmatch(r"      no \d+\\x1b\[2J", lines[2].rstrip())
    assert lines[-1] == "  and 3 more, the gravest high: --format csv has all"
    assert "\x1b" not in shown


def test_detect_tells_stories_and_files_hold_rows(tmp_path: Path) -> None:
    bad = "indicator,kind,feed\n203.0.113.5,c2,feed\n"
    case = make_case(
        tmp_path, [*connect(HOST, PEER, 443, T0), *connect(OTHER, PEER, 443, T0)], indicators=bad
    )
    told = CliRunner().invoke(main, ["detect", str(case.path)])
    assert [line.split()[0] for line in told.stdout.splitlines() if line[0] != " "] == [HOST, OTHER]
    assert "2 findings, 2 finding groups" in told.stderr
    flat = CliRunner().invoke(main, ["detect", str(case.path), "--format", "json"])
    assert [list(row) for row in json.loads(flat.stdout)] == [detect.FINDINGS.columns] * 2
