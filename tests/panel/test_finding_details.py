"""A finding, what was written about it and its records, as HTML: hostile text stays text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from flowbench.case import Case
from flowbench.panel.finding_details import describe_finding, describe_records, to_table
from tests.detect.examples import example_finding

HOSTILE = "<img src=x onerror=alert(1)>\u202e"
ESCAPED = "&lt;img src=x onerror=alert(1)&gt;\\u202e"


def test_what_is_stated_marked_and_written(tmp_path: Path) -> None:
    case = Case.create(tmp_path / "case")
    finding = replace(example_finding(summary=HOSTILE), caveats=HOSTILE)
    plain = describe_finding(case, finding)
    assert plain.count(ESCAPED) == 2
    assert "<h4>" not in plain
    case.mark(finding.finding_id, starred=True, tags=["<b>"])
    case.note(HOSTILE, about=finding.finding_id)
    case.note("about another", about="10.0.0.9")
    case.decide(finding, "dismissed", "a backup")
    text = describe_finding(case, finding)
    assert "★ starred" in text
    assert "Tags: &lt;b&gt;" in text
    assert text.count(ESCAPED) == 3
    assert ">a backup</td>" in text
    assert "about another" not in text
    assert "<img" not in text


def test_records_of_each_kind_with_their_place() -> None:
    times = pd.to_datetime(["2026-09-01T00:00:00Z"] * 2)
    flows = pd.DataFrame(
        {"kind": "flow-logs", "file": HOSTILE, "line": [2, 3], "start": times, "bytes": [1.0, 2.0]}
    )
    dns = pd.DataFrame({"kind": ["dns"], "file": ["dns.log"], "line": [9], "name": ["a.example"]})
    text = describe_records(pd.concat([flows, dns]), 25, 1028)
    assert "Records 26 to 28 of 1,028" in text
    assert text.index("Flow records") < text.index("DNS queries")
    assert text.count(ESCAPED) == 2
    assert "2026-09-01 00:00:00</td>" in text
    assert ">2</td>" in text  # no 2.0
    assert ">a.example</td>" in text


def test_a_finding_without_records() -> None:
    assert "see its caveats" in describe_records(pd.DataFrame(), 0, 0)


def test_columns_without_values_are_left_out() -> None:
    rows = pd.DataFrame({"a": [None, "x"], "b": [pd.NA, None], "c": [np.array([]), ["y", "<"]]})
    text = to_table(rows, ["a", "b", "c"])
    assert "<td" in text
    assert ">b</th>" not in text
    assert ">y, &lt;</td>" in text
