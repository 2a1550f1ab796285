"""Rows of the timeline: those of a group, and the most telling."""

from __future__ import annotations

import pandas as pd

from flowbench.investigate.timeline import TABLE
from flowbench.report.rows import choose_rows, select_rows

AT = pd.Timestamp("2026-09-01", tz="UTC")


def frame(*rows: tuple[str, str, str | None, str | None, str | None]) -> pd.DataFrame:
    names = ("data_source", "activity", "actor", "object", "severity")
    made = [dict(zip(names, row, strict=True)) for row in rows]
    return TABLE.frame(
        row | {"time": AT + pd.Timedelta(minutes=n), "detail": str(n), "evidence": f"e{n}"}
        for n, row in enumerate(made)
    )


EVENTS = frame(
    ("flow logs", "Last connection", "10.0.0.5", "192.0.2.1", None),
    ("CloudTrail", "DescribeInstances", "eve", "i-1", None),
    ("CloudTrail", "StopInstances", "bob", "i-1, i-2 and 2 more", None),
    ("flowbench", "Beaconing", "10.0.0.5", "192.0.2.1", "high"),
    ("flowbench", "Beaconing", "10.0.0.6", "10.0.0.5", "low"),
    ("GuardDuty", "Recon", "10.0.0.7", "10.0.0.5", "low"),
    ("notes", "Note", "ann", "beacon-1", None),
    ("flow logs", "Administrative session", "192.0.2.9", "10.0.0.50", None),
)


def details(rows: list[dict[str, object]]) -> str:
    return "".join(str(row["detail"]) for row in rows)


def test_rows_of_a_group() -> None:
    """By ends, also among several; findings by id only, and notes about a finding."""
    found = select_rows(EVENTS, ["10.0.0.5", "i-1"], ["e3", "beacon-1"])
    assert "".join(found["detail"]) == "012356"
    assert select_rows(EVENTS, [], []).empty
    assert select_rows(TABLE.frame([]), ["10.0.0.5"], []).empty


def test_the_most_telling_are_shown_in_order_of_time() -> None:
    rows = choose_rows(EVENTS, 4)
    assert (details(rows.shown), details(rows.folded)) == ("2367", "0145")
    rows = choose_rows(EVENTS, 6)
    assert (details(rows.shown), details(rows.folded)) == ("234567", "01")


def test_one_row_alone_is_not_folded() -> None:
    assert choose_rows(EVENTS, 7) == (EVENTS.to_dict("records"), [])


def test_calls_that_only_read_are_shown_where_there_is_nothing_else() -> None:
    call = ("CloudTrail", "ListBuckets", "eve", None, None)
    assert details(choose_rows(frame(*[call] * 5), 3).shown) == "012"
    mixed = frame(*[call] * 4, ("CloudTrail", "CreateUser", "eve", None, None))
    assert details(choose_rows(mixed, 3).shown) == "4"
