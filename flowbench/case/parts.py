"""The case's tables on disk: Parquet parts, written aside and then named in the custody log.

A load killed at any instant leaves either a whole batch that the log names, or parts that no entry
names, which the next load moves aside. Files are taken in a fixed order and batches are cut by
their content, so that the parts come out the same however often it was interrupted.
"""

from __future__ import annotations

import queue
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from flowbench.case.custody import CustodyLog
from flowbench.case.custody_entry import Part
from flowbench.errors import CaseError
from flowbench.io.atomic import HashedFile
from flowbench.loaders import batch as flow_batches
from flowbench.loaders import dispatch

ROWS_PER_GROUP = 256_000  # rows gathered before they are written: small groups read slowly
BYTES_PER_GROUP = 40 << 20  # the same in bytes: rows of flow logs take less, API events more
TABLES_PER_GROUP = 256  # pending tables that are joined: one of a single row takes 30 kB
ROWS_PER_BATCH = 4_000_000  # rows after which a batch is committed
WORKERS = 2  # files read in parallel
AHEAD = 12  # tables of a file that may wait for its turn: bounds the memory

_TEXT_TYPES = (pa.string(), pa.dictionary(pa.int32(), pa.string()))

Reader = Callable[[list[dispatch.Evidence]], Iterator[tuple[str, pa.Table]]]
Commit = Callable[[list[dispatch.Evidence], list[Part]], None]
_Key = tuple[str, pa.Schema]  # table name and columns: what goes into one part


@dataclass
class _OpenPart:
    """A part that is being written."""

    record: Part
    file: HashedFile
    writer: pq.ParquetWriter


class Batch:
    """The parts of one commit, growing until ``finish``."""

    def __init__(self, folder: Path, number: int) -> None:
        self.folder = folder
        self.number = number
        self.row_count = 0
        self._pending: dict[_Key, list[pa.Table]] = {}
        self._pending_rows: Counter[_Key] = Counter()
        self._pending_bytes: Counter[_Key] = Counter()
        self._open_parts: dict[_Key, _OpenPart] = {}

    def add(self, name: str, rows: pa.Table) -> None:
        """Add rows of a table; they are written when enough have been gathered."""
        key = (name, rows.schema)
        pending = self._pending.setdefault(key, [])
        pending.append(rows)
        if len(pending) >= TABLES_PER_GROUP:
            pending[:] = [pa.concat_tables(pending).unify_dictionaries().combine_chunks()]
        self.row_count += rows.num_rows
        self._pending_rows[key] += rows.num_rows
        self._pending_bytes[key] += rows.nbytes
        if self._pending_rows[key] >= ROWS_PER_GROUP or self._pending_bytes[key] >= BYTES_PER_GROUP:
            self._write(key)

    def finish(self) -> list[Part]:
        """Write what is pending, rename every part to its name, and return their records."""
        for key in list(self._pending):
            self._write(key)
        parts = list(self._open_parts.values())
        for part in parts:
            part.writer.close()
        for part in parts:
            part.file.commit()
            part.record["sha256"] = part.file.sha256.hexdigest()
            part.record["bytes"] = part.file.size
        return [part.record for part in parts]

    def abandon(self) -> None:
        """Remove every file of the batch."""
        for part in self._open_parts.values():
            with suppress(OSError):  # a full disk
                part.writer.close()
            part.file.discard()

    def _write(self, key: _Key) -> None:
        del self._pending_rows[key], self._pending_bytes[key]
        # Many dictionaries write slowly.
        rows = pa.concat_tables(self._pending.pop(key)).unify_dictionaries()
        if key not in self._open_parts:
            self._open_parts[key] = self._open_part(*key)
        part = self._open_parts[key]
        part.writer.write_table(rows)
        part.record["rows"] += rows.num_rows

    def _open_part(self, name: str, schema: pa.Schema) -> _OpenPart:
        path = f"{name}/{self.number:08}-{len(self._open_parts)}.parquet"
        (self.folder / name).mkdir(parents=True, exist_ok=True)
        file = HashedFile(self.folder / path)
        # Dictionaries pay for text; for numbers they cost more time than they save space, and
        # the differences between neighbours are quicker to pack than the numbers.
        texts = [field.name for field in schema if field.type in _TEXT_TYPES]
        numbers = [
            field.name
            for field in schema
            if pa.types.is_integer(field.type) or pa.types.is_timestamp(field.type)
        ]
        writer = pq.ParquetWriter(
            file,
            schema,
            compression="lz4",  # zstd saves a twentieth of the space and takes longer
            use_dictionary=texts,
            column_encoding=dict.fromkeys(numbers, "DELTA_BINARY_PACKED"),
            dictionary_pagesize_limit=256 << 10,  # with more distinct texts: plain encoding
            write_batch_size=64 << 10,
            write_statistics=numbers,  # the least and greatest text help no query
        )
        return _OpenPart(Part(table=name, file=path, rows=0, sha256="", bytes=0), file, writer)


def next_number(log: CustodyLog) -> int:
    """Return the number of the next batch: it counts loads, and no part of the case has it.

    Entries of other kinds do not count, so that an interruption does not change the numbers.
    """
    taken = (Path(part["file"]).name.partition("-")[0] for part in log.parts)
    loads = sum(1 for _ in log.entries_of("load"))
    return max([loads + 1, *(int(number) for number in taken if number.isdigit())]) + 1


def load_files(
    files: list[dispatch.Evidence],
    *,
    folder: Path,
    first_number: int,
    read: Reader,
    commit: Commit,
    progress: Callable[[dispatch.Evidence], None],
) -> None:
    """Read files into batches of table parts, in their order.

    Whatever stops it (a full disk, Ctrl-C) leaves the committed batches and nothing else.

    Args:
        files: The evidence.
        folder: Where the tables are.
        first_number: The number of the first batch.
        read: Called with each group of files that ``batch.group_files`` makes.
        commit: Called with the files and parts of each whole batch.
        progress: Called after each file.

    Raises:
        CaseError: The disk refuses.
        UnreadableError: A file's bytes changed or could not be read to the end; nothing of its
            batch is committed.
    """
    batch, done = Batch(folder, first_number), list[dispatch.Evidence]()
    try:
        for group, tables in _read_ahead(files, read):
            for name, rows in tables:
                batch.add(name, rows)
            done += group
            for evidence in group:
                progress(evidence)
            if batch.row_count >= ROWS_PER_BATCH:
                commit(done, batch.finish())
                batch, done = Batch(folder, batch.number + 1), []
        if done:
            commit(done, batch.finish())
    except OSError as error:
        batch.abandon()
        raise CaseError(
            f"cannot write to the case: {error.strerror or error}. Make room and load again; what"
            " was committed is kept"
        ) from error
    except BaseException:
        batch.abandon()
        raise


def _read_ahead(
    files: list[dispatch.Evidence], read: Reader
) -> Iterator[tuple[list[dispatch.Evidence], Iterator[tuple[str, pa.Table]]]]:
    """Groups of files with their tables, in order, while the next ones are already being read."""
    stop = threading.Event()
    started: deque[tuple[list[dispatch.Evidence], queue.Queue[Any]]] = deque()
    groups = flow_batches.group_files(files)
    with ThreadPoolExecutor(WORKERS) as pool:
        try:
            while True:
                while len(started) <= WORKERS and (group := next(groups, None)) is not None:
                    tables: queue.Queue[Any] = queue.Queue(AHEAD)
                    pool.submit(_fill_queue, tables, group, read, stop)
                    started.append((group, tables))
                if not started:
                    return
                group, tables = started.popleft()
                yield group, _drain_queue(tables)
        finally:
            stop.set()


def _fill_queue(
    tables: queue.Queue[Any], group: list[dispatch.Evidence], read: Reader, stop: threading.Event
) -> None:
    """Put the tables of some files into their queue, then None; or the error that ended it."""

    def put(item: object) -> None:
        while not stop.is_set():
            try:
                return tables.put(item, timeout=0.1)
            except queue.Full:
                continue
        raise InterruptedError

    try:
        for table in read(group):
            put(table)
        put(None)
    except InterruptedError:
        return
    except BaseException as error:  # noqa: BLE001  # raised again by _drain_queue
        put(error)


def _drain_queue(tables: queue.Queue[Any]) -> Iterator[tuple[str, pa.Table]]:
    while (item := tables.get()) is not None:
        if isinstance(item, BaseException):
            raise item
        yield item
