"""The cache: computed once, checked before it is used."""

from __future__ import annotations

import hashlib
import os
import shutil

import duckdb
import pyarrow.parquet as pq
import pytest

from flowbench.case import Case, cache
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


def test_the_sums_are_those_of_sha256sum(case, logs) -> None:
    case.ingest(logs)
    _ = case.connections
    (folder,) = (case.path / "cache").glob("connections-*")
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    assert [line.split("  ")[1] for line in lines] == [
        "address_zones.parquet",
        "connection_summaries.parquet",
        "connections.parquet",
        "sightings.parquet",
    ]
    for line in lines:
        sha256, name = line.split("  ")
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == sha256
    assert {name for name, _ in cache.check_files(folder)} == {ln.split("  ")[1] for ln in lines}


def test_sums_that_name_files_elsewhere_are_looked_up_in_the_folder(tmp_path) -> None:
    (tmp_path / "secret").write_bytes(b"x")
    folder = tmp_path / "folder"
    folder.mkdir()
    sha256 = hashlib.sha256(b"x").hexdigest()
    (folder / "SHA256SUMS").write_text(f"{sha256}  ../secret\n")
    assert cache.check_files(folder) == [("secret", False)]


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_sums_that_cannot_be_read_are_not_intact(tmp_path, content) -> None:
    if content is not None:
        (tmp_path / "SHA256SUMS").write_bytes(content)
    assert cache.check_files(tmp_path) == [("SHA256SUMS", False)]


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
