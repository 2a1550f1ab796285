"""The custody log: its chain, and every way to tamper with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flowbench.case import Case
from flowbench.case.custody import START, CustodyLog, entry_digest
from flowbench.errors import CaseError
from tests.case.conftest import table_bytes


@pytest.fixture
def path(tmp_path: Path) -> Path:
    log = CustodyLog(tmp_path / "custody.jsonl", "flowbench test")
    for number in range(1, 5):
        log.append("note", text=f"note {number}")
    return log.path


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def rewrite(path: Path, entries: list[dict]) -> None:
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))


def test_each_entry_holds_the_digest_of_the_one_before(path) -> None:
    entries = lines(path)
    assert [entry["seq"] for entry in entries] == [1, 2, 3, 4]
    assert [entry["previous"] for entry in entries] == [
        START,
        *(entry["digest"] for entry in entries[:-1]),
    ]
    assert all(entry["digest"] == entry_digest(entry) for entry in entries)
    log = CustodyLog(path, "other")
    assert log.check() == []
    assert log.head == entries[-1]["digest"]
    assert log.entries[0]["tool"] == "flowbench test"
    assert log.entries[0]["time"].endswith("+00:00")


def test_a_changed_entry_is_reported(path) -> None:
    entries = lines(path)
    entries[1]["details"]["text"] = "something else"
    rewrite(path, entries)
    assert CustodyLog(path, "t").check() == [
        "custody log, entry 2: its content was changed (note)",
    ]


def test_a_changed_entry_with_a_new_digest_breaks_the_chain(path) -> None:
    entries = lines(path)
    entries[1]["details"]["text"] = "something else"
    entries[1]["digest"] = entry_digest(entries[1])
    rewrite(path, entries)
    assert CustodyLog(path, "t").check() == [
        "custody log, entry 3: does not follow the entry before it"
    ]


def test_moved_entries_are_reported(path) -> None:
    entries = lines(path)
    entries[1], entries[2] = entries[2], entries[1]
    rewrite(path, entries)
    found = CustodyLog(path, "t").check()
    assert "custody log, entry 2: it is numbered 3; entries were moved" in found
    assert "custody log, entry 2: does not follow the entry before it" in found


def test_a_removed_entry_breaks_the_chain(path) -> None:
    entries = lines(path)
    del entries[1]
    rewrite(path, entries)
    assert (
        "custody log, entry 2: does not follow the entry before it" in CustodyLog(path, "t").check()
    )


def test_a_line_that_is_not_an_entry_is_reported(path) -> None:
    data = path.read_text().splitlines(keepends=True)
    data[2] = "{]\n"
    path.write_text("".join(data))
    assert "custody log, line 3: not an entry; it was changed" in CustodyLog(path, "t").check()


@pytest.mark.parametrize("cut", [1, 20, 100])
def test_a_line_cut_short_by_a_crash_was_never_an_entry(path, cut) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    log = CustodyLog(path, "t")
    assert (len(log.entries), log.check()) == (3, [])
    log.append("note", text="after the crash")
    again = CustodyLog(path, "t")
    assert (len(again.entries), again.check()) == (4, [])
    assert again.entries[-1]["details"] == {"text": "after the crash"}


def test_an_append_by_an_older_object_loses_no_entry(case, logs) -> None:
    other = Case.open(case.path)
    other.ingest(logs)
    case.note("written by one who had not seen the load")
    again = Case.open(case.path)
    assert again.flows.count().execute() == 600
    assert [entry["action"] for entry in again.custody] == ["create", "load", "note"]
    assert again.verify()["ok"].all()


@pytest.mark.parametrize("damage", ["gone", "shortened", "changed", "{}"])
def test_a_damaged_log_stops_loading_and_keeps_the_tables(case, logs, damage) -> None:
    case.ingest(logs)
    before = table_bytes(case.path)
    log = case.path / "custody.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    if damage == "gone":
        log.unlink()
    else:
        text = {"shortened": lines[0], "changed": "".join(lines).replace("load", "lead")}
        log.write_text(text.get(damage, "".join([*lines, "{}\n"])))
    again = Case.open(case.path)
    assert not again.verify()["ok"].all()
    if damage != "shortened":
        with pytest.raises(CaseError, match="custody log was changed"):
            again.ingest(logs)
        assert table_bytes(case.path) == before
