"""The custody log: its chain, and every way to tamper with it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from flowbench.case import Case, custody
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
def test_a_log_cut_short_is_reported_and_nothing_is_appended_to_it(path, cut) -> None:
    path.write_bytes(left := path.read_bytes()[:-cut])
    log = CustodyLog(path, "t")
    assert len(log.entries) == 3
    assert not log.can_append
    torn, removed = log.check()
    assert "it ends early" in torn
    assert "after entry 3 are not a whole entry" in torn
    assert removed.endswith("custody.head names entry 4, and the log ends with entry 3")
    with pytest.raises(CaseError, match=r"ends early.*Restore custody\.jsonl and custody\.head"):
        log.append("note", text="covers it up")
    assert path.read_bytes() == left


@pytest.mark.parametrize("kept", [0, 1, 2, 3])
def test_entries_removed_from_the_end_are_missed(path, kept) -> None:
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:kept]))
    log = CustodyLog(path, "t")
    assert f"names entry 4, and the log ends with entry {kept}" in log.check()[-1]
    with pytest.raises(CaseError, match="ends early"):
        log.append("note", text="x")


@pytest.mark.parametrize("left", [b"{", b'{"action":"note","by', b"\0" * 40])
def test_what_a_crash_left_of_an_entry_is_reported_then_kept(path, left) -> None:
    path.write_bytes(path.read_bytes() + left)
    log = CustodyLog(path, "t")
    (problem,) = log.check()
    assert f"it ends early: {len(left)} bytes after entry 4" in problem
    assert (log.find_changes(), log.can_append) == ([], True)
    log.append("note", text="after the crash")
    again = CustodyLog(path, "t")
    assert again.check() == []
    moved, note = again.entries[4:]
    assert (moved["action"], note["details"]) == ("set-aside", {"text": "after the crash"})
    (record,) = moved["details"]["files"]
    assert (record["was"], record["bytes"]) == ("custody.jsonl", len(left))
    assert (path.parent / "set-aside" / record["file"]).read_bytes() == left


@pytest.mark.parametrize("bit", range(8))
def test_a_flip_of_the_last_byte_is_reported(path, bit) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1 << bit]))
    assert CustodyLog(path, "t").check()


@pytest.mark.parametrize("end", [b"\r", b"\r\n", b"\x0b", b"\n\n"])
def test_other_line_ends_in_the_middle_are_reported_and_hide_no_entry(path, end) -> None:
    path.write_bytes(path.read_bytes().replace(b"\n", end, 1))
    log = CustodyLog(path, "t")
    assert log.check()
    assert [entry["seq"] for entry in log.entries][-1] == 4


def test_text_that_means_the_same_is_a_change_too(path) -> None:
    CustodyLog(path, "t").append("note", text="\u00e9 1")
    data = path.read_bytes()
    for old, new in ((b"\\u00e9", b"\\u00E9"), (b'{"action"', b'{ "action"'), (b"\n", b" \n")):
        path.write_bytes(data.replace(old, new, 1))
        assert CustodyLog(path, "t").check() == [
            "custody log: its text was changed, its entries were not"
        ]
    path.write_bytes(data)
    assert CustodyLog(path, "t").check() == []


def test_a_log_that_is_gone_is_not_begun_again(tmp_path: Path) -> None:
    log = CustodyLog(tmp_path / "case" / "custody.jsonl", "flowbench test")
    log.path.parent.mkdir()
    log.append("note", text="first")
    shutil.rmtree(log.path.parent)
    with pytest.raises(CaseError, match=r"custody\.jsonl is gone: nothing is added"):
        log.append("note", text="second")
    assert not log.path.parent.exists()


def test_an_append_by_another_process_is_no_problem(path) -> None:
    log = CustodyLog(path, "t")
    CustodyLog(path, "other").append("note", text="while the first verifies")
    assert (log.check(), log.can_append) == ([], True)
    log.append("note", text="then")
    assert [entry["seq"] for entry in log.entries] == [1, 2, 3, 4, 5, 6]


def test_the_head_may_lag_behind_the_log(path) -> None:
    head = path.with_suffix(".head")
    third = head.read_bytes()
    CustodyLog(path, "t").append("note", text="a kill before custody.head is written")
    head.write_bytes(third)
    log = CustodyLog(path, "t")
    assert (log.check(), log.can_append) == ([], True)
    log.append("note", text="next")
    assert head.read_text() == f"6 {log.head}\n"


@pytest.mark.parametrize("content", [b"", b"4", b"\xff\xfe", b"9" * 5000 + b" x", b"1 0\n", None])
def test_a_changed_head_is_reported(path, content) -> None:
    head = path.with_suffix(".head")
    if content is None:
        head.write_bytes(head.read_bytes().upper())
    else:
        head.write_bytes(content)
    (problem,) = CustodyLog(path, "t").check()
    assert "custody.head names none of its entries" in problem


def test_a_missing_head_is_reported_unless_the_log_is_older_than_it(case, path) -> None:
    path.with_suffix(".head").unlink()
    assert CustodyLog(path, "t").check() == []  # its first entry does not name case.json
    case.log.head_path.unlink()
    (problem,) = Case.open(case.path).log.check()
    assert problem == "custody log: custody.head, which names its last entry, is missing"


def test_a_full_disk_leaves_no_half_entry(path, monkeypatch) -> None:
    before = path.read_bytes()

    def refuse(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", refuse)
        with pytest.raises(CaseError, match="No space left"):
            CustodyLog(path, "t").append("note", text="x")
    assert path.read_bytes() == before
    assert CustodyLog(path, "t").check() == []


def test_an_entry_stays_when_the_head_cannot_be_written(path, monkeypatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(custody.atomic, "write_bytes", refuse)
        CustodyLog(path, "t").append("note", text="x")
    log = CustodyLog(path, "t")
    assert (len(log.entries), log.check()) == (5, [])


def test_the_content_entry_is_the_last_that_changed_anything(path) -> None:
    log = CustodyLog(path, "t")
    note = log.head
    for action in sorted(custody.DERIVED_ACTIONS):
        log.append(action)
    assert log.content_entry is not None
    assert log.content_entry["digest"] == note != log.head
    log.append("policy", text="x")
    assert log.content_entry["digest"] == log.head
    assert CustodyLog(path.with_name("none.jsonl"), "t").content_entry is None


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
    with pytest.raises(CaseError, match="custody log was changed"):
        again.ingest(logs)
    assert table_bytes(case.path) == before
