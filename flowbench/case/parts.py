"""The case's tables on disk: Parquet parts, written aside and then named in the custody log.

A load killed at any instant leaves either a batch that the log names, whole, or parts that no
entry names, which the next load removes. Files are taken in a fixed order and batches are cut by
their content, so that the parts come out the same however often it was interrupted.
"""

from __future__ import annotations

import hashlib
import os
import queue
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from flowbench.case import custody
from flowbench.errors import CaseError
from flowbench.loaders import batch as flow_batches
from flowbench.loaders import dispatch

ROWS_PER_GROUP = 256_000  # rows gathered before they are written: small groups read slowly
ROWS_PER_BATCH = 4_000_000  # rows after which a batch is committed
WORKERS = 2  # files read side by side
AHEAD = 12  # tables that a file may have read before its turn comes: bounds the memory

_WORDS = pa.dictionary(pa.int32(), pa.string())

Reader = Callable[[list[dispatch.Evidence]], Iterator[tuple[str, pa.Table]]]


class Batch:
    """The parts of one commit, growing until ``finish``."""

    def __init__(self, folder: Path, number: int) -> None:
        self.folder = folder
        self.number = number
        self.rows = 0
        self._waiting: dict[tuple[str, pa.Schema], list[pa.Table]] = {}
        self._rows_waiting: Counter[tuple[str, pa.Schema]] = Counter()
        self._writers: dict[tuple[str, pa.Schema], pq.ParquetWriter] = {}
        self._files: list[_Digested] = []  # of the writers, in their order
        self._parts: list[dict[str, Any]] = []

    def add(self, name: str, rows: pa.Table) -> None:
        """Rows of a table, to be written when enough have come together."""
        key = (name, rows.schema)
        self._waiting.setdefault(key, []).append(rows)
        self.rows += rows.num_rows
        self._rows_waiting[key] += rows.num_rows
        if self._rows_waiting[key] >= ROWS_PER_GROUP:
            self._write(key)

    def finish(self) -> list[dict[str, Any]]:
        """Write what waits, put every part in its place, and say what was written."""
        for key in list(self._waiting):
            self._write(key)
        for writer in self._writers.values():
            writer.close()
        for part, file in zip(self._parts, self._files, strict=True):
            file.finish()
            (self.folder / part.pop("aside")).replace(self.folder / part["file"])
            part["sha256"], part["bytes"] = file.sha256.hexdigest(), file.size
        return self._parts

    def abandon(self) -> None:
        """Leave nothing behind."""
        for thing in (*self._writers.values(), *self._files):
            with suppress(OSError):  # a full disk does not let them end
                thing.close()
        for part in self._parts:
            (self.folder / part.get("aside", part["file"])).unlink(missing_ok=True)

    def _write(self, key: tuple[str, pa.Schema]) -> None:
        name, schema = key
        del self._rows_waiting[key]
        rows = pa.concat_tables(self._waiting.pop(key)).unify_dictionaries()  # many write slowly
        if key not in self._writers:
            file = f"{name}/{self.number:08}-{len(self._parts)}.parquet"
            (self.folder / name).mkdir(parents=True, exist_ok=True)
            part: dict[str, Any] = {
                "table": name,
                "file": file,
                "aside": file + ".aside",
                "rows": 0,
            }
            self._parts.append(part)
            # Dictionaries pay for text; for numbers they cost more time than they save space, and
            # the differences between neighbours are quicker to pack than the numbers.
            texts = [f.name for f in schema if f.type in (pa.string(), _WORDS)]
            steps = [
                f.name
                for f in schema
                if pa.types.is_integer(f.type) or pa.types.is_timestamp(f.type)
            ]
            self._files.append(_Digested(self.folder / part["aside"]))
            self._writers[key] = pq.ParquetWriter(
                self._files[-1],
                schema,
                compression="lz4",  # zstd saves a twentieth of the space and takes longer
                use_dictionary=texts,
                column_encoding=dict.fromkeys(steps, "DELTA_BINARY_PACKED"),
                dictionary_pagesize_limit=256 << 10,  # more distinct texts than that: plain ones
                write_batch_size=64 << 10,
                write_statistics=steps,  # the least and greatest text help no question
            )
        self._writers[key].write_table(rows)
        place = list(self._writers).index(key)
        self._parts[place]["rows"] += rows.num_rows


class _Digested:
    """A file that is digested as it is written."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=1 << 20)
        self.sha256 = hashlib.sha256()
        self.size = 0

    @property
    def closed(self) -> bool:
        """Whether nothing can be written any more."""
        return self._file.closed

    def write(self, data: bytes | memoryview) -> int:
        """Write all of it."""
        self.sha256.update(data)
        self.size += len(data)
        return self._file.write(data)

    def tell(self) -> int:
        """The bytes so far."""
        return self.size

    def flush(self) -> None:
        """Arrow asks for it; ``finish`` does it."""

    def finish(self) -> None:
        """Close it when it is on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self.close()

    def close(self) -> None:
        """Close it as it is."""
        self._file.close()


def remove_orphans(folder: Path, named: set[str]) -> None:
    """Delete table files that no entry of the log names: what a killed load left."""
    for path in sorted(folder.glob("*/*")):
        if path.relative_to(folder).as_posix() not in named:
            path.unlink()


def next_number(log: custody.Log) -> int:
    """The number of the next batch: of the entry that will name it, and no part has it yet."""
    taken = (Path(part["file"]).name.partition("-")[0] for part in log.parts)
    return max([len(log.entries), *(int(number) for number in taken if number.isdigit())]) + 1


def load_files(
    files: list[dispatch.Evidence],
    *,
    folder: Path,
    first_number: int,
    read: Reader,
    commit: Callable[[list[dispatch.Evidence], list[dict[str, Any]]], None],
    progress: Callable[[dispatch.Evidence], None],
) -> None:
    """Read files in their order into batches, calling ``commit`` for each whole batch.

    ``read`` gets those that ``together.groups`` puts together.

    Whatever stops it (a full disk, Ctrl-C) leaves the committed batches and nothing else. Raises
    CaseError when the disk refuses, and load.UnreadableError for a file whose bytes changed or
    could not be read to the end: nothing of its batch is committed.
    """
    batch, done = Batch(folder, first_number), list[dispatch.Evidence]()
    try:
        for group, tables in _side_by_side(files, read):
            for name, rows in tables:
                batch.add(name, rows)
            done += group
            for evidence in group:
                progress(evidence)
            if batch.rows >= ROWS_PER_BATCH:
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


def _side_by_side(
    files: list[dispatch.Evidence], read: Reader
) -> Iterator[tuple[list[dispatch.Evidence], Iterator[tuple[str, pa.Table]]]]:
    """Groups of files with their tables, in order, while the next ones are already being read."""
    stop = threading.Event()
    queues: deque[tuple[list[dispatch.Evidence], queue.Queue[Any]]] = deque()
    waiting = flow_batches.groups(files)
    with ThreadPoolExecutor(WORKERS) as pool:
        try:
            while True:
                while len(queues) <= WORKERS and (group := next(waiting, None)) is not None:
                    tables: queue.Queue[Any] = queue.Queue(AHEAD)
                    pool.submit(_read_into, tables, group, read, stop)
                    queues.append((group, tables))
                if not queues:
                    return
                group, tables = queues.popleft()
                yield group, _from(tables)
        finally:
            stop.set()


def _read_into(
    tables: queue.Queue[Any], group: list[dispatch.Evidence], read: Reader, stop: threading.Event
) -> None:
    """Put the tables of some files into their queue, then None; or what ended the reading."""

    def put(thing: object) -> None:
        while not stop.is_set():
            try:
                return tables.put(thing, timeout=0.1)
            except queue.Full:
                continue
        raise InterruptedError

    try:
        for found in read(group):
            put(found)
        put(None)
    except InterruptedError:
        return
    except BaseException as error:  # noqa: BLE001  # raised again where the table is awaited
        put(error)


def _from(tables: queue.Queue[Any]) -> Iterator[tuple[str, pa.Table]]:
    while (thing := tables.get()) is not None:
        if isinstance(thing, BaseException):
            raise thing
        yield thing
