"""Table parts: whole batches or nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flowbench.case import Case, custody, parts
from flowbench.case.custody import CustodyLog
from flowbench.errors import CaseError
from flowbench.loaders import batch
from flowbench.loaders.evidence import Evidence
from tests.case.conftest import table_bytes


def test_ctrl_c_leaves_whole_batches_only(case, logs, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(parts, "ROWS_PER_BATCH", 200)
    monkeypatch.setattr(batch, "MAX_GROUP", 0)
    undisturbed = Case.create(tmp_path / "undisturbed")
    undisturbed.ingest(logs)

    def interrupt(done: int, total: int, name: str) -> None:
        if name == "4.log.gz":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        case.ingest(logs, progress=interrupt)
    assert case.flows.count().execute() == 400
    assert len(table_bytes(case.path)) == 2
    case.ingest(logs)
    assert table_bytes(case.path) == table_bytes(undisturbed.path)


def test_ctrl_c_after_the_entry_is_written_keeps_its_parts(case, logs, monkeypatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(custody.atomic, "write_bytes", interrupt)  # of custody.head
        assert set(case.ingest(logs)["outcome"]) == {"loaded"}
    again = Case.open(case.path)
    assert again.flows.count().execute() == 600
    assert again.verify()["ok"].all()


def test_a_full_disk_is_a_case_error(case, logs, monkeypatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(parts.pq.ParquetWriter, "write_table", refuse)
    with pytest.raises(CaseError, match=r"No space left on device.*Make room"):
        case.ingest(logs)
    assert Case.open(case.path).flows.count().execute() == 0


def test_parts_are_recorded_with_rows_hash_and_size(tmp_path) -> None:
    batch = parts.Batch(tmp_path, 7)
    rows = pa.table({"n": [1, 2]})
    batch.add("flows", rows)
    batch.add("quarantine", pa.table({"reason": ["x"]}))
    batch.add("flows", rows)
    batch.add("flows", pa.table({"n": ["other columns"]}))
    assert batch.row_count == 6
    records = batch.finish()
    assert [(part["file"], part["table"], part["rows"]) for part in records] == [
        ("flows/00000007-0.parquet", "flows", 4),
        ("quarantine/00000007-1.parquet", "quarantine", 1),
        ("flows/00000007-2.parquet", "flows", 1),
    ]
    for part in records:
        data = (tmp_path / part["file"]).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (part["bytes"], part["sha256"])
        assert pq.read_table(tmp_path / part["file"]).num_rows == part["rows"]


@pytest.mark.parametrize("finished", [False, True])
def test_an_abandoned_batch_leaves_no_file(tmp_path, monkeypatch, finished) -> None:
    monkeypatch.setattr(parts, "ROWS_PER_GROUP", 1)
    batch = parts.Batch(tmp_path, 1)
    batch.add("flows", pa.table({"n": [1]}))
    if finished:
        batch.finish()
    assert list(tmp_path.glob("flows/*"))
    batch.abandon()
    assert not list(tmp_path.glob("flows/*"))


def test_the_next_number_counts_loads_and_is_not_taken(tmp_path) -> None:
    log = CustodyLog(tmp_path / "custody.jsonl", "t")
    log.append("create")
    assert parts.next_number(log) == 2
    log.append("set-aside")  # what an interruption adds
    log.append("connections")
    assert parts.next_number(log) == 2
    part = {"table": "flows", "file": "flows/00000007-0.parquet", "sha256": "", "bytes": 0}
    log.append("load", parts=[part])
    assert parts.next_number(log) == 8


def test_an_error_in_a_reader_is_raised_in_its_turn(tmp_path) -> None:
    files = [Evidence(f"{n}", "", 300_000, f"{n}", "") for n in range(3)]
    committed: list[str] = []

    def read(group: list[Evidence]) -> Iterator[tuple[str, pa.Table]]:
        if group[0].file == "1":
            raise ValueError("broken")
        yield "flows", pa.table({"n": [1]})

    with pytest.raises(ValueError, match="broken"):
        parts.load_files(
            files,
            folder=tmp_path,
            first_number=1,
            read=read,
            commit=lambda evidence, _: committed.extend(e.file for e in evidence),
            progress=lambda _: None,
        )
    assert committed == []
    assert not list(tmp_path.glob("*/*"))


def test_many_tiny_tables_are_joined_and_written_as_they_came(tmp_path, monkeypatch) -> None:
    written = []
    for limit in (2, 3, 1_000):
        monkeypatch.setattr(parts, "TABLES_PER_GROUP", limit)
        batch = parts.Batch(tmp_path / str(limit), 1)
        for number in range(10):
            words = pa.array([f"w{number % 4}", None]).dictionary_encode()
            batch.add("flows", pa.table({"line": [number, number + 100], "action": words}))
            assert len(next(iter(batch._pending.values()))) < limit
        (part,) = batch.finish()
        written.append(pq.read_table(tmp_path / str(limit) / part["file"]).to_pylist())
    assert written[0] == written[1] == written[2]
    assert [row["line"] for row in written[0]][:3] == [0, 100, 1]


def test_wide_rows_are_written_before_they_fill_the_memory(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(parts, "BYTES_PER_GROUP", 10_000)
    batch = parts.Batch(tmp_path, 1)
    for _ in range(5):
        batch.add("api_events", pa.table({"request": ["x" * 4_000]}))
    (part,) = batch.finish()
    file = pq.ParquetFile(tmp_path / part["file"])
    assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == [3, 2]
