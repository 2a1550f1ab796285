"""Tests of flowbench evaluate: the row per detector, and Wilson's interval."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from flowbench.cli.evaluate import summarize_detectors, wilson_interval
from flowbench.detect.evaluate import COLUMNS, ERROR_COLUMNS
from tests.cli.running import run
from tests.traffic import T0, connect, make_case

BAD, GOOD, OTHER = "203.0.113.50", "198.51.100.9", "198.51.100.10"


@pytest.mark.parametrize(
    ("successes", "trials", "expected"),
    [  # Newcombe, Statistics in Medicine 17 (1998), table I, method 3
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
    ],
)
def test_wilson_interval(successes, trials, expected) -> None:
    assert wilson_interval(successes, trials) == pytest.approx(expected, abs=0.0001)


def test_wilson_interval_at_its_ends() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert wilson_interval(20, 20)[1] == 1.0


def test_a_row_per_detector_with_its_own_kinds() -> None:
    rows = [
        ("mining", "mining", 4, 3, 0.75, 10, 1, 5, 0),
        ("mining", "web-mining", 2, 2, 1.0, 10, 1, 5, 0),
        ("mining", "port-scan", 30, 1, 0.0333, 10, 1, 5, 0),
        ("mining", "chat", 0, 0, None, 10, 1, 0, 0),
        ("scan", "mining", 4, 0, 0.0, 10, 0, 5, 0),
        ("scan", "web-mining", 2, 0, 0.0, 10, 0, 5, 0),
        ("scan", "port-scan", 30, 30, 1.0, 10, 0, 5, 0),
        ("scan", "chat", 0, 0, None, 10, 0, 0, 0),
        ("spike", "mining", 4, 0, 0.0, 10, 0, 5, 0),
        ("any", "mining", 4, 3, 0.75, 10, 1, 5, 2),
        ("any", "port-scan", 30, 30, 1.0, 10, 1, 5, 2),
    ]
    every, mining, scan, spike = summarize_detectors(pd.DataFrame(rows, columns=COLUMNS)).to_dict(
        "records"
    )
    assert mining == {
        "detector": "mining", "kinds": "mining, web-mining", "pairs": 6, "caught": 5, "missed": 1,
        "recall": 5 / 6, "recall_95": "0.44 to 0.97", "false_benign": 1, "false_background": 0,
        "precision": 6 / 7,
    }  # fmt: skip
    assert (every["kinds"], every["caught"], every["missed"]) == ("all", 33, 1)
    assert (every["false_background"], every["precision"]) == (2, 33 / 36)
    assert (scan["kinds"], scan["caught"], scan["precision"]) == ("port-scan", 30, 1.0)
    assert (spike["kinds"], spike["pairs"]) == ("", 0)
    assert all(pd.isna(spike[name]) for name in ("recall", "recall_95", "precision"))


def test_labels_without_a_malicious_kind() -> None:
    rows = [("spike", "chat", 0, 0, None, 10, 2, 0, 0), ("spike", "noise", 0, 0, None, 0, 0, 7, 3)]
    (row,) = summarize_detectors(pd.DataFrame(rows, columns=COLUMNS)).to_dict("records")
    assert (row["false_benign"], row["false_background"], row["precision"]) == (2, 3, 0.0)


@pytest.fixture
def labelled(tmp_path: Path) -> tuple[Path, Path]:
    records = [*connect("10.0.0.5", BAD, 443, T0), *connect("10.0.0.6", GOOD, 443, T0)]
    records += connect("10.0.0.6", OTHER, 22, T0)
    make_case(tmp_path, records, indicators=f"indicator,kind,feed\n{BAD},c2,feed\n")
    labels = tmp_path / "labels.csv"
    labels.write_text(
        f"src,dst,label,kind\n10.0.0.5,{BAD},malicious,contact\n"
        f"10.0.0.6,{GOOD},benign,web\n10.0.0.6,{OTHER},malicious,magic\n"
        f"10.0.0.7,{GOOD},malicious,absent\n"
    )
    return tmp_path / "evidence", labels


def test_the_table_and_the_notes(labelled) -> None:
    result = run("evaluate", labelled[0], "--labels", labelled[1])
    assert result.exit_code == 0
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0] == (
        [
            "detector",
            "kinds",
            "pairs",
            "caught",
            "missed",
            "recall",
            "recall_95",
            "false_benign",
            "false_background",
            "precision",
        ]
    )
    contact = next(line for line in lines if line[0] == "contact")
    assert contact[1:] == ["contact", "1", "1", "0", "1", "0.21", "to", "1.00", "0", "0", "1"]
    assert [line[0] for line in lines[1:]] == sorted({line[0] for line in lines[1:]})
    assert "malicious kinds that no detector is made for: magic" in result.stderr
    assert "not counted: 1 labelled pair without a record" in result.stderr
    assert "capture windows: " in result.stderr


def test_json_has_a_row_per_detector_and_kind(labelled) -> None:
    result = run("evaluate", labelled[0], "--labels", labelled[1], "--format", "json")
    rows = json.loads(result.stdout)
    assert list(rows[0]) == COLUMNS
    assert {row["kind"] for row in rows} == {"contact", "magic", "web"}


def test_labels_that_cannot_be_read(labelled, tmp_path: Path) -> None:
    result = run("evaluate", labelled[0], "--labels", tmp_path / "none.csv")
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)


def test_errors_are_listed(labelled) -> None:
    arguments = ["evaluate", labelled[0], "--labels", labelled[1], "--errors", "--format", "json"]
    rows = json.loads(run(*arguments).stdout)
    assert list(rows[0]) == ERROR_COLUMNS
    missed = [row for row in rows if row["detector"] == "any"]
    assert [(row["error"], row["kind"], row["dst"]) for row in missed] == [
        ("missed", "magic", OTHER)
    ]
