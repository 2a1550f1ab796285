"""The cache: computed once, checked before it is used."""

from __future__ import annotations

import hashlib
import os
import shutil

import duckdb
import pyarrow.parquet as pq
import pytest

from flowbench.case import Case, cache, set_aside, verify
from flowbench.errors import CaseError
from tests.case.conftest import write_log


def test_connections_are_computed_once_for_the_same_tables(case, logs) -> None:
    case.ingest(logs)
    count = case.connections.count().execute()
    cached = {p: p.stat().st_mtime_ns for p in (case.path / "cache").iterdir()}
    again = Case.open(case.path)
    assert again.connections.count().execute() == count > 0
    assert {p: p.stat().st_mtime_ns for p in (case.path / "cache").iterdir()} == cached
    write_log(logs / "new.log.gz", range(9000, 9100))
    again.ingest(logs)
    assert again.connections.count().execute() > count
    shutil.rmtree(case.path / "cache")
    assert Case.open(case.path).connections.count().execute() > count


@pytest.mark.parametrize("how", ["changed", "emptied", "no parquet"])
def test_a_cached_table_that_was_changed_is_computed_again(case, logs, how) -> None:
    case.ingest(logs)
    count = case.connections.count().execute()
    assert count > 1
    assert case.verify()["ok"].all()
    (path,) = (case.path / "cache").glob("*/connections.parquet")
    rows = case.connections.to_pyarrow()
    if how == "no parquet":
        path.write_bytes(b"rubbish")
    else:
        pq.write_table(rows.slice(0, 0 if how == "emptied" else 1), path)
    checked = case.verify().set_index("name")
    assert checked.index[~checked["ok"]].tolist() == [f"{path.parent.name}/{path.name}"]
    assert checked.loc[~checked["ok"], "result"].tolist() == ["altered"]
    again = Case.open(case.path)
    assert again.connections.count().execute() == count
    assert again.verify()["ok"].all()


@pytest.mark.parametrize("name", ["it's", 'a "case"', "case[1]", "what?", "*", "ünï cödé"])
def test_a_case_in_a_folder_of_any_name(logs, tmp_path, name) -> None:
    case = Case.create(tmp_path / name)
    case.ingest(logs)
    assert case.connections.count().execute() > 0
    again = Case.open(case.path)
    assert (
        again.connection_summaries.connections.sum().execute() == case.connections.count().execute()
    )


def test_the_custody_log_has_the_digests(case, logs) -> None:
    case.ingest(logs)
    _ = case.connections
    (folder,) = (case.path / "cache").glob("connections-*")
    (entry,) = case.log.entries_of("connections")
    assert entry["details"]["folder"] == folder.name
    files = entry["details"]["files"]
    assert [file["file"] for file in files] == [
        "address_zones.parquet",
        "connection_summaries.parquet",
        "connections.parquet",
        "sightings.parquet",
    ]
    for file in files:
        data = (folder / file["file"]).read_bytes()
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (file["sha256"], file["bytes"])


@pytest.mark.parametrize("log_entry", [False, True])
def test_rows_dropped_with_digests_that_fit_are_found_and_not_used(case, logs, log_entry) -> None:
    case.ingest(logs)
    count = case.connections.count().execute()
    (folder,) = (case.path / "cache").glob("connections-*")
    for name in ("connections", "connection_summaries"):
        rows = pq.read_table(folder / f"{name}.parquet")
        pq.write_table(rows.slice(1), folder / f"{name}.parquet")
    sums = [f"{f['sha256']}  {f['file']}\n" for f in cache.hash_files(folder)]
    if log_entry:
        case.log.append("connections", folder=folder.name, files=cache.hash_files(folder))
    (folder / "SHA256SUMS").write_text("".join(sums))
    checked = Case.open(case.path).verify()
    wrong = checked.loc[~checked["ok"], "name"].tolist()
    assert f"{folder.name}/connections.parquet" in wrong
    assert (folder.name in wrong) == log_entry
    again = Case.open(case.path)
    assert again.connections.count().execute() == count
    moved = list((case.path / "set-aside").glob("*-connections.parquet"))
    assert len(moved) == 1  # what was tampered with is kept
    assert again.verify()["ok"].all() != log_entry
    (warning, *_) = set_aside.describe_changes(again.log)
    assert "connection_summaries.parquet was changed since flowbench wrote it" in warning
    if log_entry:  # the entry that was forged stays on record
        checked = verify.verify_case(case.path, case.log, recompute=True)
        recomputed = checked[checked["name"].str.endswith("(computed again)")]
        assert recomputed["ok"].tolist() == [True]
        assert (
            "different digests of these cached tables"
            in checked.loc[~checked["ok"], "detail"].tolist()[0]
        )


def test_a_forged_first_entry_is_found_by_computing_again(case, logs) -> None:
    case.ingest(logs)
    folder = cache._folder(case.path, case.log)
    forged = [{"file": "connections.parquet", "sha256": "0" * 64, "bytes": 1}]
    case.log.append("connections", folder=folder.name, files=forged)
    assert case.verify()["ok"].all()
    checked = verify.verify_case(case.path, case.log, recompute=True)
    (detail,) = checked.loc[~checked["ok"], "detail"]
    assert "not the digest in the custody log: address_zones.parquet" in detail
    assert not (case.path / "cache").exists()


def test_any_number_of_threads_gives_the_same_bytes(case, logs, tmp_path, monkeypatch) -> None:
    case.ingest(logs)
    connect, digests = cache.engine.connect, []
    for threads in (1, 2, 5):

        def with_threads(*places, threads=threads):
            connection = connect(*places)
            connection.con.execute(f"SET threads = {threads}")
            return connection

        monkeypatch.setattr(cache.engine, "connect", with_threads)
        (tmp_path / str(threads)).mkdir()
        folder = cache.build_elsewhere(
            case.path, case.log, lambda *_: None, tmp_path / str(threads)
        )
        digests.append(cache.hash_files(folder))
    assert digests[0] == digests[1] == digests[2]


def test_a_log_that_ends_early_gets_no_entry_and_answers_all_the_same(case, logs) -> None:
    case.ingest(logs)
    log = case.log.path
    log.write_bytes(log.read_bytes() + b"torn")
    case.log.head_path.write_bytes(b"9 " + b"0" * 64 + b"\n")
    before = log.read_bytes()
    assert Case.open(case.path).connections.count().execute() > 0
    assert log.read_bytes() == before
    assert not (case.path / "cache").exists()


def test_a_failure_leaves_no_folder_and_the_next_attempt_succeeds(case, logs, monkeypatch) -> None:
    case.ingest(logs)

    def fail(*_: object, **__: object) -> None:
        raise duckdb.OutOfMemoryException("Out of Memory Error: failed to offload\nmore")

    with monkeypatch.context() as patched:
        patched.setattr(cache.connections, "build_connections", fail)
        with pytest.raises(CaseError, match=r"not enough room in memory .*offload$"):
            _ = case.connections
    assert [path.name for path in (case.path / "cache").iterdir()] == ["cache.lock"]
    assert case.connections.count().execute() > 0


def test_leftovers_of_a_kill_are_removed(case, logs) -> None:
    case.ingest(logs)
    old = case.path / "cache" / "connections-0123456789abcdef.aside" / "spill"
    old.mkdir(parents=True)
    spill = case.path / "spill-1"
    spill.mkdir()
    os.utime(spill, (1, 1))
    recent = case.path / "spill-2"
    recent.mkdir()
    (old.parent / "connections.parquet").write_bytes(b"half")
    assert case.verify()["ok"].all()  # a kill is no change
    _ = case.connections
    assert not old.exists()
    assert not spill.exists()
    assert recent.exists()


def test_a_case_on_a_read_only_disk_is_computed_elsewhere(case, logs, monkeypatch) -> None:
    case.ingest(logs)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Read-only file system")

    monkeypatch.setattr(cache, "ensure_tables", refuse)
    assert case.connections.count().execute() > 0
    assert not (case.path / "cache").exists()
