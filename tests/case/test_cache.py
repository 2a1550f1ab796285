"""The cache: computed once, checked before it is used."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
from functools import partial
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from flowbench import connections
from flowbench.case import Case, cache, set_aside, verify
from flowbench.errors import CaseError
from tests.case.conftest import write_log
from tests.traffic import interface

FIRST = "connections-2026-09-01T0310.parquet"


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
    (path,) = (case.path / "cache").glob(f"*/{FIRST}")
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
        FIRST,
        "connections-unclear.parquet",
        "host_facts.parquet",
        "sightings.parquet",
        "summaries-2026-09-01T0310.parquet",
        "unclear-2026-09-01T0310.parquet",
    ]
    for file in files:
        data = (folder / file["file"]).read_bytes()
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (file["sha256"], file["bytes"])


@pytest.mark.parametrize("log_entry", [False, True])
def test_rows_dropped_with_digests_that_fit_are_found_and_not_used(case, logs, log_entry) -> None:
    case.ingest(logs)
    count = case.connections.count().execute()
    (folder,) = (case.path / "cache").glob("connections-*")
    for name in (FIRST, "connection_summaries.parquet"):
        rows = pq.read_table(folder / name)
        pq.write_table(rows.slice(1), folder / name)
    sums = [f"{f['sha256']}  {f['file']}\n" for f in cache.hash_files(folder)]
    if log_entry:
        case.log.append("connections", folder=folder.name, files=cache.hash_files(folder))
    (folder / "SHA256SUMS").write_text("".join(sums))
    checked = Case.open(case.path).verify()
    wrong = checked.loc[~checked["ok"], "name"].tolist()
    assert f"{folder.name}/{FIRST}" in wrong
    assert (folder.name in wrong) == log_entry
    again = Case.open(case.path)
    assert again.connections.count().execute() == count
    moved = list((case.path / "set-aside").glob(f"*-{FIRST}"))
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


@pytest.fixture
def two_days(case, logs, monkeypatch):
    """A case with a day's connections in several files, and another day's records loaded."""
    build = partial(connections.build_connections, per_file=250)
    monkeypatch.setattr(cache.connections, "build_connections", build)
    case.ingest(logs)
    assert case.connections.count().execute() > 0
    day = logs / "next-day.log.gz"
    write_log(day, range(9000, 9100))
    text = gzip.decompress(day.read_bytes()).decode()
    day.write_bytes(gzip.compress(text.replace(" 17882", " 17883").encode(), mtime=0))
    case.ingest(logs)
    return case


def _inodes(case: Case) -> dict[str, int]:
    """The cached files of periods, and which file on the disk each is."""
    (folder,) = (case.path / "cache").glob("connections-*")
    return {path.name: path.stat().st_ino for path in folder.glob("connections-20*")}


def test_a_new_day_is_added_and_gives_the_bytes_of_all_days(two_days) -> None:
    before = _inodes(two_days)
    assert len(before) == 3
    assert two_days.connections.count().execute() > 0
    kept = _inodes(two_days).items() & before.items()
    assert len(kept) == len(before) - 1
    checked = verify.verify_case(two_days.path, two_days.log, recompute=True)
    assert "identical to the digests in the custody log" in checked["detail"].tolist()
    assert checked["ok"].all()


def test_other_evidence_changes_no_connections(two_days, tmp_path) -> None:
    assert two_days.connections.count().execute() > 0
    before = _inodes(two_days)
    feed = tmp_path / "list.csv"
    feed.write_text("indicator,kind,feed\n203.0.113.50,c2,list\n")
    inventory = tmp_path / "enis.json"
    inventory.write_text(json.dumps({"NetworkInterfaces": [interface("10.9.9.9", "new")]}))
    two_days.ingest(feed)
    assert two_days.connections.count().execute() > 0
    assert _inodes(two_days) == before
    two_days.ingest(inventory)
    assert two_days.connections.count().execute() > 0
    assert len(_inodes(two_days).items() & before.items()) == len(before) - 1


@pytest.mark.parametrize("step", ["build_connections", "hash_files", "append", "replace"])
def test_a_kill_while_a_day_is_added_leaves_the_day_before(two_days, monkeypatch, step) -> None:
    (folder,) = (two_days.path / "cache").glob("connections-*")
    before = _inodes(two_days)

    def kill(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    owner = {"hash_files": cache, "append": two_days.log, "replace": Path}
    with monkeypatch.context() as patched:
        patched.setattr(owner.get(step, cache.connections), step, kill)
        with pytest.raises(KeyboardInterrupt):
            _ = two_days.connections
    assert _inodes(two_days) == before
    again = Case.open(two_days.path)
    assert again.verify()["ok"].all()
    assert again.connections.count().execute() > 0
    assert len(_inodes(two_days).items() & before.items()) == len(before) - 1
    assert not folder.exists()


def test_a_changed_table_of_the_day_before_is_not_used(two_days) -> None:
    before = _inodes(two_days)
    path = next((two_days.path / "cache").glob("*/host_facts.parquet"))
    path.write_bytes(path.read_bytes()[:-9])
    assert two_days.connections.count().execute() > 0
    assert not _inodes(two_days).items() & before.items()
