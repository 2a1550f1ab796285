"""What AWS and its users wrap records in before they reach a file, whatever the records are.

CloudWatch Logs (answers, subscriptions), Firehose and Kinesis, and the rows of Logs Insights,
CloudTrail Lake and Athena. Envelopes lie in envelopes: Firehose carries subscriptions carries
messages. What is inside is told by content afterwards, by the kinds.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from itertools import chain

from flowbench.io.decompress import Inflated
from flowbench.io.json_stream import Broken, values
from flowbench.loaders.values import parse, pick

DEEPEST = 5  # envelopes in each other; AWS's own services make three
LARGEST = 32 << 20  # bytes unpacked of one Firehose or Kinesis record, which holds 10 MB at most

# No envelope is without one of these; most records are, and are told by it at once.
_MARKS = frozenset(
    {"message", "@message", "messageType", "logEvents", "events", "Events", "awslogs"}
    | {"records", "Records", "results", "QueryResultRows", "ResultSet"}
)
_ANSWER = {"events", "searchedLogStreams", "nextToken", "nextForwardToken", "nextBackwardToken"}


def contents(value: object, depth: int = 0) -> Iterator[object]:
    """The records in a JSON value: objects, texts that are none, Broken; else the value itself.

    A row is an object of its columns. A health check (CONTROL_MESSAGE) and an answer without
    events hold nothing.
    """
    inside = _open(value) if depth < DEEPEST else None
    if inside is None:
        yield value
        return
    for each in inside:
        if isinstance(each, dict | list):
            yield from contents(each, depth + 1)
        else:
            yield each


def message(value: object) -> object:
    """The record in a message of a log, parsed where it is JSON; None when there is no message."""
    if not isinstance(value, dict):
        return None
    text = value["@message"] if "@message" in value else value.get("message")
    if isinstance(text, dict):
        return text
    if not isinstance(text, str):
        return None
    found = parse(text) if text.lstrip()[:1] in ("{", "[") else None
    return text if found is None else found


def _open(value: object) -> Iterator[object] | None:
    """What an envelope carries, or None when the value is no envelope.

    Many a record has a ``message`` beside its other fields: that is none yet, see ``message``.
    """
    if isinstance(value, list):
        # A list of envelopes is one; a list of records is for their kind to claim.
        return iter(value) if any(map(_carries, value)) else None
    if not isinstance(value, dict) or value.keys().isdisjoint(_MARKS):
        return None
    if "@message" in value or value.keys() == {"message"}:
        found = message(value)
        return None if found is None else iter([found])
    if value.get("messageType") == "CONTROL_MESSAGE":
        return iter(())
    for name in ("logEvents", "events", "Events"):
        if isinstance(events := value.get(name), list):
            return _events(events, value)
    return _packed(value) or _rows(value)


def _carries(value: object) -> bool:
    return isinstance(value, dict) and (message(value) is not None or _open(value) is not None)


def _events(events: list[object], value: dict[str, object]) -> Iterator[object] | None:
    if not events:
        return iter(()) if value.keys() <= _ANSWER or "logGroup" in value else None
    if not any(isinstance(each, dict) and "message" in each for each in events):
        return None
    return (each if (found := message(each)) is None else found for each in events)


def _packed(value: dict[str, object]) -> Iterator[object] | None:
    """The records of a delivery by Firehose, Kinesis or a subscription to Lambda: in base64."""
    if isinstance(data := pick(value, "awslogs", "data"), str):
        return _unpacked(data)
    records = pick(value, "records")
    if not isinstance(records, list):
        return None
    found = [_data(each) for each in records]
    if not any(isinstance(each, str) for each in found) and (found or "requestId" not in value):
        return None
    # What has no data is no envelope's, and may be a record itself.
    return chain.from_iterable(
        _unpacked(data) if isinstance(data, str) else [record]
        for data, record in zip(found, records, strict=True)
    )


def _data(record: object) -> object:
    found = pick(record, "data")
    return pick(record, "kinesis", "data") if found is None else found


def _unpacked(data: str) -> Iterator[object]:
    """What stands in one record's data: JSON values, or lines of text; packed or not."""
    try:
        raw = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        yield Broken(f"data that is no base64: {error}", data[: 8 << 10].encode(errors="replace"))
        return
    inflated = Inflated(iter([raw]) if raw else iter(()))
    parts, have = list[bytes](), 0
    for part in inflated.pieces():
        parts.append(part)
        have += len(part)
        if have > LARGEST:
            yield Broken(f"data of more than {LARGEST >> 20} MB unpacked: no log delivery is", raw)
            return
    text = b"".join(parts)
    if text.lstrip()[:1] in (b"{", b"["):
        for _, found in values(iter([text])):
            yield found
    else:
        for line in text.splitlines():
            if line.strip():
                yield line.decode("utf-8", "surrogateescape")
    if inflated.problem:
        yield Broken(f"in a record's data: {inflated.problem}", raw)


def _rows(value: dict[str, object]) -> Iterator[object] | None:
    """The rows of a query's answer as objects: Logs Insights, CloudTrail Lake, Athena."""
    results = value.get("results")
    if isinstance(results, list) and ("statistics" in value or any(map(_is_row, results))):
        return map(_insights_row, results)
    lake = value.get("QueryResultRows")
    if isinstance(lake, list):
        return map(_lake_row, lake)
    rows = pick(value, "ResultSet", "Rows")
    if isinstance(rows, list):
        names = [pick(each, "VarCharValue") for each in _cells(rows[0])] if rows else []
        return (_athena_row(names, row) for row in rows[1:])
    return None


def _is_row(value: object) -> bool:
    return isinstance(value, list) and any(isinstance(pick(c, "field"), str) for c in value)


def _insights_row(row: object) -> object:
    if not _is_row(row) or not isinstance(row, list):
        return row
    return {str(pick(cell, "field")): pick(cell, "value") for cell in row}


def _lake_row(row: object) -> object:
    cells = [cell for cell in row if isinstance(cell, dict)] if isinstance(row, list) else []
    return {name: value for cell in cells for name, value in cell.items()} or row


def _athena_row(names: list[object], row: object) -> object:
    cells = [pick(cell, "VarCharValue") for cell in _cells(row)]
    if len(cells) != len(names):
        return Broken(f"a row of {len(cells)} values under {len(names)} columns")
    return {str(name): cell for name, cell in zip(names, cells, strict=True)}


def _cells(row: object) -> list[object]:
    found = pick(row, "data")
    return found if isinstance(found, list) else []
