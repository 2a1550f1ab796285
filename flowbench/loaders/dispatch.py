"""From bytes to tables: what a file is, decided by its content, and the records in it.

Each kind of evidence is a module of this package (see ``base``); a new one is a new file.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from flowbench.errors import InputError
from flowbench.io import archive as archives
from flowbench.io.stream import HEAD, Opened, TooLargeError
from flowbench.loaders import json_file, registry
from flowbench.loaders.aws import flow_log_settings
from flowbench.loaders.base import QUARANTINE, File
from flowbench.loaders.evidence import UNKNOWN, Evidence, UnreadableError
from flowbench.loaders.flowlogs import text as flow_text
from flowbench.loaders.intel import lists
from flowbench.loaders.values import brief
from flowbench.text import escape_undecodable

__all__ = [
    "Evidence",
    "UnreadableError",
    "formats_in",
    "members",
    "read",
    "unreadable",
    "with_evidence_id",
]

EMPTY = "empty"
ARCHIVE = "archive"
EXPORT_TEST = "aws-logs-write-test"  # CloudWatch Logs tries with it whether it may export; no log

_NOT_TEXT = {
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive: unpack it and load the folder",
    b"Rar!\x1a\x07": "a RAR archive: unpack it and load the folder",
}
_LINES = 50_000
_BAD_AT_ONCE = 20_000  # quarantine entries held: a file of nothing but bad lines must fit too
LARGEST_BINARY = 2 << 30  # bytes unpacked to see how binary data of an unknown kind ends
_TAIL = 128 << 10  # where a mark that ends a file is looked for
_REFERENCE = {"indicators", "geography", "cloud_ranges"}  # tables whose times are of no event
_LARGEST_ANSWER = 1 << 20  # bytes; an account has some hundred flow logs at most
DEEPEST_ARCHIVE = 2  # an archive in an archive is read, one in that is not

Columns = tuple[tuple[str, str], ...]  # of indicator lists: our name, the name in the header
Formats = tuple[tuple[str, ...], ...]  # of flow logs without a header: fields in their order


def formats_in(evidence: Evidence) -> list[tuple[str, ...]]:
    """The formats of flow logs that a recorded describe-flow-logs answer names; mostly none.

    Only what is small, unpacked JSON is looked at: every file of a load passes here first.
    """
    if evidence.size > _LARGEST_ANSWER:
        return []
    try:
        raw = b"".join(evidence.bytes().pieces())
    except OSError:  # reading it in earnest will say so
        return []
    if not json_file.looks_like(raw) or b"ogFormat" not in raw:
        return []
    try:
        return flow_log_settings.formats(json.loads(raw))
    except (ValueError, RecursionError):
        return []


def members(evidence: Evidence, folder: Path | None = None, deep: int = 0) -> Iterator[Evidence]:
    """The files in an archive, and in the archives in it, as evidence; none if it is no archive.

    ``evidence`` learns whether it is one, and has its ``container``, which the caller closes; what
    is packed is unpacked in ``folder``, into a file without a name. Raises OSError when it cannot
    be read.
    """
    if (kind := archives.kind_of(evidence.bytes(folder))) is None:
        return
    evidence.kind = ARCHIVE
    evidence.raw = None  # thousands of archives stay open, and would hold their bytes
    evidence.container = container = archives.Container(evidence.bytes(folder))
    if deep >= DEEPEST_ARCHIVE:
        container.refused.append(("", "an archive in an archive in an archive: unpack it"))
        return
    for member in archives.members(container, kind):
        inside = evidence.inside(member)
        yield from members(inside, folder, deep + 1)
        if inside.container is not None:
            inside.container.close()
        yield inside


def read(
    evidence: Evidence,
    kind: str | None = None,
    formats: Formats = (),
    columns: Columns = (),
) -> Iterator[tuple[str, pa.Table]]:
    """The tables in a file, as (table name, rows with ``evidence_id``); quarantine is one of them.

    ``evidence`` learns on the way what the file is and how much was in it. ``kind`` forces a text
    kind where the content would be taken for another; ``formats`` are those that flow logs without
    a header may have, each the names of its fields in order; ``columns`` says what indicator lists
    call theirs (``indicators.column_map``).

    Raises UnreadableError when the bytes change while they are read, or cannot be read to the end:
    nothing of such a file may be kept.
    """
    opened = Opened(evidence.within or Path(evidence.path), evidence.size)
    file = File(evidence.file, kind or UNKNOWN, opened, tuple(formats), tuple(columns))
    evidence.records = evidence.nodata = evidence.skipdata = 0  # it may be read once more
    evidence.first_seen = evidence.last_seen = None
    try:
        for name, rows in _records(file, kind) if evidence.container is None else ():
            _count(evidence, name, rows)
            if rows.num_rows:
                zeros = pa.repeat(pa.scalar(0, pa.int32()), rows.num_rows)
                same = pa.DictionaryArray.from_arrays(zeros, [evidence.evidence_id])
                yield name, with_evidence_id(rows, same)
            if len(file.bad) >= _BAD_AT_ONCE:
                yield QUARANTINE.name, _quarantined(file, evidence)
        opened.drain()
    except OSError as error:
        raise UnreadableError(evidence, f"cannot be read: {error.strerror}") from error
    except TooLargeError as error:
        raise UnreadableError(evidence, str(error)) from error
    finally:
        if evidence.within is not None:
            evidence.within.container.done()
    if opened.sha256 != evidence.sha256:
        raise UnreadableError(evidence, "changed while it was read: load it when it is at rest")
    if evidence.container is not None:
        file.kind = ARCHIVE
        for name, reason in evidence.container.refused:
            file.quarantine(reason)
            file.bad[-1]["file"] += f"/{escape_undecodable(name)}" if name else ""
    evidence.kind = file.kind
    evidence.fields = sorted(file.fields)
    evidence.quarantined = file.quarantined
    if file.bad:
        yield QUARANTINE.name, _quarantined(file, evidence)


def _quarantined(file: File, evidence: Evidence) -> pa.Table:
    """What stands in the file's quarantine so far, which is empty then."""
    rows = QUARANTINE.rows(row | {"evidence_id": evidence.evidence_id} for row in file.bad)
    file.bad.clear()
    return rows


def unreadable(name: str, reason: str) -> pa.Table:
    """The quarantine row of a file that could not be opened at all."""
    return QUARANTINE.rows([{"file": name, "kind": UNKNOWN, "reason": reason}])


def _records(file: File, forced: str | None) -> Iterator[tuple[str, pa.Table]]:
    try:
        yield from _by_content(file, forced)
    except TooLargeError as error:
        file.quarantine(str(error))


def _by_content(file: File, forced: str | None) -> Iterator[tuple[str, pa.Table]]:
    head = file.opened.head()
    if not head and not file.opened.problem:
        file.kind = EMPTY
        file.quarantine("the file is empty")
        return
    for kind in registry.KINDS:
        if hasattr(kind, "MAGIC") and head.startswith(kind.MAGIC):
            file.kind = kind.KIND
            for rows in kind.read(file):
                yield kind.TABLE.name, rows
            if not file.fields:  # it turned out to be another kind of Parquet
                file.kind = UNKNOWN
            return
    if json_file.looks_like(head) and forced is None:
        yield from json_file.read(
            file, [kind for kind in registry.KINDS if hasattr(kind, "matches")]
        )
        return
    if (text_kind := _text_kind(file, head, forced)) is not None:
        file.kind = text_kind.KIND
        by_block = hasattr(text_kind, "read")
        for rows in text_kind.read(file) if by_block else _by_line(text_kind, file):
            yield text_kind.TABLE.name, rows
        return
    if Path(file.name).name == EXPORT_TEST and len(head) < HEAD:
        file.kind = EXPORT_TEST
        return
    if b"\0" in head:
        with file.opened.file(LARGEST_BINARY) as whole:
            if (ending := _ending(whole)) is not None:
                file.kind = ending.KIND
                for rows in ending.read(file, whole):
                    yield ending.TABLE.name, rows
                return
    file.quarantine(_unrecognised(file, head), raw=head)


def _ending(whole: BinaryIO) -> ModuleType | None:
    """The kind of binary whose mark stands near the end of a file."""
    size = whole.seek(0, io.SEEK_END)
    whole.seek(max(0, size - _TAIL))
    tail = whole.read()
    whole.seek(0)
    able = (kind for kind in registry.KINDS if hasattr(kind, "TRAILER_MAGIC"))
    return next((kind for kind in able if kind.TRAILER_MAGIC in tail), None)


def _text_kind(file: File, head: bytes, forced: str | None) -> ModuleType | None:
    """The kind of text a file is: as it looks, by the formats the user gave, or as was forced."""
    able = [kind for kind in registry.KINDS if hasattr(kind, "matches_head")]
    words = sorted({kind.KIND for kind in able})
    if forced is not None and forced not in words:
        raise InputError(
            f"no kind of text evidence is called {forced!r}; there are: {', '.join(words)}"
        )
    if forced is None and flow_text.matches_head(head):  # most files are one; seldom mistaken
        return flow_text
    if file.columns and lists.mapped(head, dict(file.columns)):
        return lists
    able = [kind for kind in able if forced in (None, kind.KIND)]
    if (found := next((kind for kind in able if kind.matches_head(head)), None)) is not None:
        return found
    if forced is not None:
        return able[-1]
    return flow_text if file.formats and flow_text.matches_head(head, file.formats) else None


def _by_line(kind: ModuleType, file: File) -> Iterator[pa.Table]:
    """A text kind that reads lines: its rows as tables, what it refuses to quarantine."""
    rows: list[dict[str, Any]] = []
    more = {"columns": dict(file.columns)} if kind is lists else {}
    for found in kind.read_lines(_lines(file), _label(file.name), **more):
        if isinstance(found, tuple):
            line, raw, reason = found
            file.quarantine(reason, line=line, raw=raw.encode("utf-8", "surrogateescape"))
            continue
        rows.append(found)
        if len(rows) >= _LINES:
            yield kind.TABLE.rows(rows).drop_columns(["evidence_id"])
            rows = []
    yield kind.TABLE.rows(rows).drop_columns(["evidence_id"])


def _label(name: str) -> str:
    """What a list is called where it does not say: its file; its folders too, if a number."""
    *folders, last = Path(name).parts
    stem = last.partition(".")[0]
    return " ".join([*folders[-2:], stem]) if stem.isdigit() else stem


def _lines(file: File) -> Iterator[tuple[int, str]]:
    for block in file.blocks():
        data = block.data.removeprefix(b"\xef\xbb\xbf") if block.first_line == 1 else block.data
        for number, raw in enumerate(data.removesuffix(b"\n").split(b"\n"), block.first_line):
            yield number, raw.decode("utf-8", "surrogateescape").rstrip("\r")


def _unrecognised(file: File, head: bytes) -> str:
    if file.opened.problem:
        return file.opened.problem
    for magic, what in _NOT_TEXT.items():
        if head.startswith(magic):
            return what
    if b"\0" in head:
        return "binary data of no kind flowbench knows"
    first = head.splitlines()[0].split() if head.strip() else []
    if {b"ACCEPT", b"REJECT", b"OK", b"NODATA"} & set(first) and any(t.isdigit() for t in first):
        return (
            f"looks like flow log records of {len(first)} fields in a format of their own, without"
            " a header: give the format with --format-string, or put the flow log's"
            " describe-flow-logs answer beside them"
        )
    if file.columns and head.strip():
        names = ", ".join(brief(header) for _, header in file.columns)
        return f"has no header with the columns that were named: {names}"
    return "of no kind flowbench knows: not a flow log, JSON evidence or indicator list"


def with_evidence_id(rows: pa.Table, source: pa.Array) -> pa.Table:
    """The rows with the column that names their file, in its declared place before ``line``."""
    return rows.add_column(rows.column_names.index("line"), "evidence_id", source)


def _count(evidence: Evidence, name: str, rows: pa.Table) -> None:
    evidence.records += rows.num_rows
    if "log_status" in rows.column_names:
        counts = {c["values"]: c["counts"] for c in pc.value_counts(rows["log_status"]).to_pylist()}
        evidence.nodata += counts.get("NODATA", 0)
        evidence.skipdata += counts.get("SKIPDATA", 0)
    times = [f.name for f in registry.tables()[name].fields if f.type == "time"]
    if name in _REFERENCE or not times:
        return
    until = "end" if name == "flows" else times[0]
    if not {times[0], until} <= set(rows.column_names):  # a flow log without its times
        return
    first, last = pc.min(rows[times[0]]).as_py(), pc.max(rows[until]).as_py()
    if first and (evidence.first_seen is None or first.isoformat() < evidence.first_seen):
        evidence.first_seen = first.isoformat()
    if last and (evidence.last_seen is None or last.isoformat() > evidence.last_seen):
        evidence.last_seen = last.isoformat()
