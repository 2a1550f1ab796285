"""From evidence to tables: archives are expanded, files are read, and counts noted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from flowbench.errors import FlowbenchError
from flowbench.io import archive
from flowbench.io.byte_source import TooLargeError
from flowbench.io.container import Container, SkippedMember
from flowbench.io.stream import EvidenceStream
from flowbench.loaders import json_file, recognition, registry
from flowbench.loaders.aws import flow_log_settings
from flowbench.loaders.base import QUARANTINE, File, Formats, ListColumns, describe_bug
from flowbench.loaders.evidence import UNKNOWN, Evidence, UnreadableError
from flowbench.text import escape_undecodable

__all__ = [
    "Evidence",
    "Formats",
    "ListColumns",
    "UnreadableError",
    "add_evidence_id",
    "expand_archive",
    "quarantine_unreadable",
    "read",
    "read_recorded_formats",
]

ARCHIVE = "archive"
MAX_ARCHIVE_NESTING = 2  # an archive in an archive is read, one in that is not

_QUARANTINE_AT_ONCE = 20_000  # entries in memory: a file of nothing but bad lines must fit too
_REFERENCE_TABLES = {"indicators", "geography", "cloud_ranges"}  # their times are not of events
_MAX_SETTINGS_FILE = 1 << 20  # bytes; an account has some hundred flow logs at most


def read_recorded_formats(evidence: Evidence) -> Formats:
    """Return the record formats in a recorded describe-flow-logs answer; mostly none.

    Only small uncompressed JSON is read: every file of a load passes here first.
    """
    if evidence.size > _MAX_SETTINGS_FILE:
        return ()
    try:
        raw = b"".join(evidence.byte_source().chunks())
    except OSError:  # reported when the file is read
        return ()
    if not json_file.is_json(raw) or b"ogFormat" not in raw:  # LogFormat or logFormat
        return ()
    try:
        return tuple(flow_log_settings.formats(json.loads(raw)))
    except (ValueError, RecursionError):
        return ()


def expand_archive(
    evidence: Evidence, temporary_folder: Path | None = None, depth: int = 0
) -> Iterator[Evidence]:
    """Yield the files in an archive, and in the archives in it, as evidence of their own.

    Args:
        evidence: Any file. If it is an archive, it gets the kind and its ``container``, which the
            caller closes; if not, nothing is yielded.
        temporary_folder: Where a compressed archive is decompressed, into an unnamed file.
        depth: How many archives it lies in.

    Raises:
        OSError: The file cannot be read.
    """
    source = evidence.byte_source(temporary_folder)
    if (archive_type := archive.detect_archive(source)) is None:
        return
    evidence.kind = ARCHIVE
    evidence.content = None  # thousands of archives stay open, and would keep their bytes
    container = Container(evidence.byte_source(temporary_folder))
    evidence.container = container
    if depth >= MAX_ARCHIVE_NESTING:
        reason = "an archive in an archive in an archive: unpack it"
        container.skipped.append(SkippedMember("", reason))
        return
    for member in archive.list_members(container, archive_type):
        file = evidence.of_member(member)
        yield from expand_archive(file, temporary_folder, depth + 1)
        if file.container is not None:
            file.container.close()
        yield file


def read(
    evidence: Evidence,
    kind: str | None = None,
    formats: Formats = (),
    list_columns: ListColumns = (),
) -> Iterator[tuple[str, pa.Table]]:
    """Read the records of a file.

    Args:
        evidence: The file. It gets its kind, and counts and times of its records.
        kind: A kind of text to take it for, where its content looks like another.
        formats: Record formats that flow logs without a header may have.
        list_columns: What indicator lists call their columns (see ``intel.list_columns``).

    Returns:
        Table names and rows with ``evidence_id``; the quarantine is one of the tables.

    Raises:
        InputError: ``kind`` is not a kind of text.
        UnreadableError: The bytes change while they are read, or cannot be read to the end.
            Nothing of such a file may be kept.
    """
    stream = EvidenceStream(evidence.archive_member or Path(evidence.path), evidence.size)
    file = File(evidence.file, kind or UNKNOWN, stream, tuple(formats), tuple(list_columns))
    evidence.records = evidence.nodata = evidence.skipdata = 0  # it may be read again
    evidence.first_seen = evidence.last_seen = None
    try:
        tables = () if evidence.container is not None else _read_tables(file, kind, evidence)
        for name, rows in tables:
            if rows.num_rows:
                zeros = pa.repeat(pa.scalar(0, pa.int32()), rows.num_rows)
                ids = pa.DictionaryArray.from_arrays(zeros, [evidence.evidence_id])
                yield name, add_evidence_id(rows, ids)
            if len(file.quarantine_rows) >= _QUARANTINE_AT_ONCE:
                yield QUARANTINE.name, _take_quarantine(file, evidence)
        stream.drain()
    except OSError as error:
        raise UnreadableError(evidence, f"cannot be read: {error.strerror}") from error
    except TooLargeError as error:
        raise UnreadableError(evidence, str(error)) from error
    finally:
        if evidence.archive_member is not None:
            evidence.archive_member.container.release_member()
    if stream.sha256 != evidence.sha256:
        reason = "changed while it was read: load it when nothing writes to it"
        raise UnreadableError(evidence, reason)
    if evidence.container is not None:
        file.kind = ARCHIVE
        for name, reason in evidence.container.skipped:
            file.quarantine(reason)
            file.quarantine_rows[-1]["file"] += f"/{escape_undecodable(name)}" if name else ""
    evidence.kind = file.kind
    evidence.fields = sorted(file.fields)
    evidence.quarantined = file.quarantined
    if file.quarantine_rows:
        yield QUARANTINE.name, _take_quarantine(file, evidence)


def _read_tables(
    file: File, kind: str | None, evidence: Evidence
) -> Iterator[tuple[str, pa.Table]]:
    """Read and count the records of a file; a bug in a reader affects only the rest of it."""
    try:
        for name, rows in recognition.read_records(file, kind):
            _count_records(evidence, name, rows)
            yield name, rows
    except (FlowbenchError, OSError, TooLargeError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001  # any failure: the other files are loaded
        file.quarantine(describe_bug(error))


def quarantine_unreadable(name: str, reason: str) -> pa.Table:
    """Return the quarantine row of a file that cannot be opened."""
    return QUARANTINE.rows([{"file": name, "kind": UNKNOWN, "reason": reason}])


def add_evidence_id(rows: pa.Table, evidence_ids: pa.Array) -> pa.Table:
    """Insert the column ``evidence_id`` in its declared position before ``line``."""
    return rows.add_column(rows.column_names.index("line"), "evidence_id", evidence_ids)


def _take_quarantine(file: File, evidence: Evidence) -> pa.Table:
    rows = QUARANTINE.rows(
        {**row, "evidence_id": evidence.evidence_id} for row in file.quarantine_rows
    )
    file.quarantine_rows.clear()
    return rows


def _count_records(evidence: Evidence, name: str, rows: pa.Table) -> None:
    evidence.records += rows.num_rows
    if "log_status" in rows.column_names:
        counts = {c["values"]: c["counts"] for c in pc.value_counts(rows["log_status"]).to_pylist()}
        evidence.nodata += counts.get("NODATA", 0)
        evidence.skipdata += counts.get("SKIPDATA", 0)
    times = [field.name for field in registry.tables()[name].fields if field.type == "time"]
    if name in _REFERENCE_TABLES or not times:
        return
    start, end = times[0], "end" if name == "flows" else times[0]
    if not {start, end} <= set(rows.column_names):  # a flow log without its times
        return
    first, last = pc.min(rows[start]).as_py(), pc.max(rows[end]).as_py()
    if first and (evidence.first_seen is None or first.isoformat() < evidence.first_seen):
        evidence.first_seen = first.isoformat()
    if last and (evidence.last_seen is None or last.isoformat() > evidence.last_seen):
        evidence.last_seen = last.isoformat()
