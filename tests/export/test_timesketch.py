"""Timesketch: the mandatory columns, as its importer checks them, and their values."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from pathlib import Path

import pandas as pd

from flowbench.detect import Findings
from flowbench.export import timesketch
from flowbench.investigate import timeline
from tests.incident_case import HOST, POOL
from tests.traffic import T0, connect, make_case


def test_the_columns_that_timesketch_requires(case, findings) -> None:
    rows = list(csv.DictReader(io.StringIO(timesketch.to_csv(case, findings).decode())))
    assert rows
    for row in rows:
        assert row["message"]
        moment = datetime.fromisoformat(row["datetime"])
        assert moment.tzinfo is not None
        assert int(row["timestamp"]) == round(moment.timestamp() * 1_000_000)
        assert row["timestamp_desc"] in ("Event Time", "Start Time", "End Time")
        assert not any(name.startswith(("_", "__ts_")) for name in row)


def test_a_period_is_two_rows_and_a_moment_is_one(case, findings) -> None:
    events = timeline.build(case, findings=findings)
    periods = (events["end"].notna() & (events["end"] != events["time"])).sum()
    rows = list(timesketch.rows(case, findings))
    assert len(rows) == len(events) + periods
    (start, end) = [r for r in rows if r["activity"] == "Crypto-mining traffic"]
    assert (start["timestamp_desc"], end["timestamp_desc"]) == ("Start Time", "End Time")
    assert (start["actor"], start["object"], start["attack_technique"]) == (HOST, POOL, "T1496.001")


def test_both_forms_have_the_same_rows(case, findings) -> None:
    lines = timesketch.to_jsonl(case, findings).decode().splitlines()
    assert [json.loads(line)["message"] for line in lines] == [
        row["message"] for row in timesketch.rows(case, findings)
    ]


def test_hostile_notes_are_text(tmp_path: Path) -> None:
    case = make_case(tmp_path, connect(HOST, POOL, 443, T0))
    case.note("=cmd()|' /C calc'!A0", about="@SUM(1)", at=pd.Timestamp(T0, unit="s", tz="UTC"))
    (row,) = csv.DictReader(io.StringIO(timesketch.to_csv(case, Findings()).decode()))
    assert row["object"] == "'@SUM(1)"
    assert row["message"] == "Note: =cmd()|' /C calc'!A0"  # no formula: it does not begin with one
    (line,) = timesketch.to_jsonl(case, Findings()).decode().splitlines()
    assert json.loads(line)["object"] == "@SUM(1)"


def test_the_same_bytes_twice(case, findings) -> None:
    assert timesketch.to_csv(case, findings) == timesketch.to_csv(case, findings)
