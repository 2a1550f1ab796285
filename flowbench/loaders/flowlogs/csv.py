"""Flow logs as comma- or tab-separated tables: results of Athena and of CloudWatch Logs Insights.

The first line names the columns, as AWS's fields or in the spelling of Insights (``srcAddr``,
``startTime``). A table with the whole records in ``@message`` is read by those. Quoted line breaks
are not read: no field of a flow log has one.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv

from flowbench.io.stream import LONGEST_LINE, Block
from flowbench.loaders.base import File
from flowbench.loaders.flowlogs import formats
from flowbench.loaders.flowlogs import text as flow_text
from flowbench.loaders.flowlogs.formats import MARK
from flowbench.loaders.flowlogs.normalize import ours, sound
from flowbench.schema import FLOW_FIELDS, FLOWS

KIND = "flow-logs"
TABLE = FLOWS

_MESSAGE = ("@message", "message")
_FEWEST = 3  # known columns; fewer stand in many a table


def matches_head(head: bytes) -> bool:
    """Whether a file that starts with ``head`` is such a table."""
    lines = head.removeprefix(MARK).splitlines()
    found = _columns(lines[0]) if lines else None
    if found is None:
        return False
    delimiter, names = found
    if "srcaddr" in names:
        return True
    place = _message(names)
    if place is None:
        return False
    known = formats.known(())
    rows = csv.reader(
        (line.decode("utf-8", "replace") for line in lines[1:20]), delimiter=delimiter
    )
    return any(len(r) > place and formats.choose(r[place].encode().split(), known) for r in rows)


def read(file: File) -> Iterator[pa.Table]:
    """The file's records: tables of FLOWS' columns without ``evidence_id``, then any others."""
    delimiter, names = ",", list[str]()
    for block in file.blocks():
        if not names:
            first, _, rest = block.data.removeprefix(MARK).partition(b"\n")
            delimiter, names = _columns(first) or (",", [])
            block = Block(block.first_line + 1, memoryview(rest))  # noqa: PLW2901  # less its header
        if not block.data:
            continue
        table, numbers = _parse(block, delimiter, names, file)
        place = _message(names)
        if "srcaddr" not in names and place is not None:
            texts = table.column(place).to_pylist()
            messages = [
                (line, line - 1, (text or "").encode())
                for line, text in zip(numbers.tolist(), texts, strict=True)
            ]
            yield from flow_text.from_messages(messages, file)
            continue
        # What Insights adds (@timestamp, @ptr, @log) says nothing of the traffic.
        table = table.select([name for name in names if not name.startswith("@")])
        file.fields.update(table.column_names)
        raw = dict(zip(numbers.tolist(), _Texts(block, numbers), strict=True))
        yield sound(table, numbers, raw, file)


class _Texts:
    """The lines of a block that were read, in their order."""

    def __init__(self, block: Block, numbers: np.ndarray) -> None:
        self._block, self._numbers = block, numbers

    def __iter__(self) -> Iterator[bytes]:
        lines = self._block.data.split(b"\n")
        return (lines[number - self._block.first_line] for number in self._numbers.tolist())


def _columns(line: bytes) -> tuple[str, list[str]] | None:
    """What separates the columns, and their names as ours; None when it is no such header."""
    text = line.decode("utf-8", "replace").strip()
    for delimiter in ",\t":
        words = next(csv.reader([text], delimiter=delimiter), [])
        names = [ours(word.strip()) for word in words]
        known = sum(name in FLOW_FIELDS for name in names)
        enough = known >= _FEWEST or _message(names) is not None
        if len(names) > 1 and enough and len(set(names)) == len(names):
            return delimiter, names
    return None


def _message(names: list[str]) -> int | None:
    return next((names.index(name) for name in _MESSAGE if name in names), None)


def _parse(
    block: Block, delimiter: str, names: list[str], file: File
) -> tuple[pa.Table, np.ndarray]:
    """The lines that have all columns, as text, and their numbers; the others in quarantine."""
    lines = block.data.removesuffix(b"\n").split(b"\n")
    good = []
    for place, line in enumerate(lines):
        if reason := _wrong(line, delimiter, len(names)):
            if line.strip():
                file.quarantine(reason, line=block.first_line + place, raw=line.rstrip(b"\r"))
        else:
            good.append(place)
    numbers = np.array(good, np.int64) + block.first_line
    if not good:
        return pa.table({name: pa.array([], pa.string()) for name in names}), numbers
    data = block.data if len(good) == len(lines) else b"\n".join(lines[place] for place in good)
    table = arrow_csv.read_csv(
        pa.BufferReader(data),
        read_options=arrow_csv.ReadOptions(
            column_names=names, block_size=2 * LONGEST_LINE, use_threads=False
        ),
        parse_options=arrow_csv.ParseOptions(delimiter=delimiter, ignore_empty_lines=False),
        convert_options=arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        ),
    )
    return table, numbers


def _wrong(line: bytes, delimiter: str, width: int) -> str | None:
    """Why a line cannot be a row of the table."""
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return "bytes that are no text (invalid UTF-8)"
    if "\0" in text:
        return "a NUL byte"
    if '"' not in text:
        found = text.count(delimiter) + 1
    elif text.count('"') % 2:
        return "a quotation mark that is not closed"
    else:
        found = len(next(csv.reader([text], delimiter=delimiter), []))
    return None if found == width else f"{found} columns where the table has {width}"
