"""Files that no entry names are moved aside and logged."""

from __future__ import annotations

import pytest

from flowbench.case import Case, set_aside
from tests.case.conftest import write_log


def orphan(case: Case) -> bytes:
    """Take the entry of the last load out of the log, as whoever wants its records gone."""
    lines = case.log.path.read_bytes().splitlines(keepends=True)
    case.log.path.write_bytes(b"".join(lines[:-1]))
    case.log.head_path.write_text(f"{len(lines) - 1} {case.custody[-2]['digest']}\n")
    (part,) = case.custody[-1]["details"]["parts"]
    return (case.path / "tables" / part["file"]).read_bytes()


def test_a_part_whose_entry_is_gone_is_listed_and_survives_the_next_load(case, logs) -> None:
    case.ingest(logs)
    data = orphan(case)
    again = Case.open(case.path)
    checked = again.verify()
    assert checked.loc[~checked["ok"], ["result", "detail"]].to_numpy().tolist() == [
        ["unrecorded", "the custody log has no entry for it"]
    ]
    again.ingest(write_log(logs / "new.gz", range(9)))
    (path,) = (case.path / "set-aside").iterdir()
    assert path.read_bytes() == data
    (entry,) = again.log.entries_of("set-aside")
    (record,) = entry["details"]["files"]
    assert (record["file"], record["was"]) == (path.name, "tables/flows/00000002-0.parquet")
    checked = Case.open(case.path).verify()
    assert checked["ok"].all()
    (note,) = checked.loc[checked["what"] == "set-aside", "detail"]
    assert note == f"moved to set-aside/{path.name}: the custody log has no entry for it"


def test_a_load_goes_on_after_a_crash_that_left_half_an_entry(case, logs) -> None:
    case.ingest(logs)
    data = orphan(case)
    with case.log.path.open("ab") as log:
        log.write(b'{"action":"load","by"')  # a power cut
    checked = Case.open(case.path).verify()
    assert set(checked.loc[~checked["ok"], "what"]) == {"table", "custody"}
    again = Case.open(case.path)
    assert set(again.ingest(logs)["outcome"]) == {"loaded"}
    moved = [path.read_bytes() for path in sorted((case.path / "set-aside").iterdir())]
    assert sorted(moved) == sorted([data, b'{"action":"load","by"'])
    assert Case.open(case.path).verify()["ok"].all()
    assert again.flows.count().execute() == 600


@pytest.mark.parametrize("lock", [b"", b"process 7 of alice on host"])
def test_what_a_killed_load_left_is_no_alarm(case, logs, lock) -> None:
    case.ingest(logs)
    orphan(case)
    (case.path / "ingest.lock").write_bytes(lock)
    (case.path / "tables" / "flows" / "9.parquet.aside").write_bytes(b"half")
    checked = Case.open(case.path).verify()
    assert checked["ok"].all() == bool(lock)
    assert ("note" in checked["result"].tolist()) == bool(lock)


def test_a_kill_between_entry_and_move_is_repeated(case, logs, monkeypatch) -> None:
    case.ingest(logs)
    path = case.path / "tables" / "flows" / "1.parquet"
    path.write_bytes(b"x")
    with monkeypatch.context() as patched:
        patched.setattr(
            set_aside.Path, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        patched.setattr(case.log, "append", case.log.append)
        with pytest.raises(KeyboardInterrupt):
            set_aside.move_aside(case.path, case.log, [path], "why")
    assert path.exists()
    case.ingest(write_log(logs / "new.gz", range(9)))
    assert not path.exists()
    assert [p.read_bytes() for p in (case.path / "set-aside").iterdir()] == [b"x"]


def test_only_changed_files_are_a_warning(case) -> None:
    for name, reason in (("a", set_aside.UNRECORDED), ("b", set_aside.CHANGED)):
        (case.path / name).write_bytes(name.encode())
        set_aside.move_aside(case.path, case.log, [case.path / name], reason)
    (warning,) = set_aside.describe_changes(case.log)
    assert warning.startswith(
        "b was changed since flowbench wrote it. It is not used and was moved to set-aside/"
    )


def test_nothing_to_move_is_no_entry(case) -> None:
    set_aside.move_aside(case.path, case.log, [], "why")
    assert [entry["action"] for entry in case.custody] == ["create"]


def test_a_file_set_aside_may_be_deleted_but_not_changed(case) -> None:
    path = case.path / "cache.txt"
    path.write_bytes(b"x")
    set_aside.move_aside(case.path, case.log, [path], "why")
    (moved,) = (case.path / "set-aside").iterdir()
    moved.write_bytes(b"y")
    assert not case.verify()["ok"].all()
    moved.unlink()
    assert case.verify()["ok"].all()


def test_unrecorded_files_are_complete_and_in_order(tmp_path) -> None:
    (tmp_path / "flows").mkdir()
    for name in ("2.parquet", "1.parquet", "3.parquet", "4.parquet.aside"):
        (tmp_path / "flows" / name).write_bytes(b"")
    unrecorded = set_aside.find_unrecorded(tmp_path, "*/*", {"flows/3.parquet"})
    assert [path.name for path in unrecorded] == ["1.parquet", "2.parquet"]
    set_aside.remove_incomplete(tmp_path, "*/*")
    assert [p.name for p in sorted((tmp_path / "flows").iterdir())] == [
        "1.parquet",
        "2.parquet",
        "3.parquet",
    ]


def test_a_lock_without_content_was_released(tmp_path) -> None:
    lock = tmp_path / "x.lock"
    assert not set_aside.was_interrupted(lock)
    lock.write_bytes(b"")
    assert not set_aside.was_interrupted(lock)
    lock.write_bytes(b"process 7")
    assert set_aside.was_interrupted(lock)
