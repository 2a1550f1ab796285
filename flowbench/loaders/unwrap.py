"""Envelopes in which AWS and its users wrap records, whatever the records are.

CloudWatch Logs (answers, subscriptions), Firehose and Kinesis, the rows of Logs Insights,
CloudTrail Lake and Athena, and the exports of SIEMs (see ``siem``). Envelopes may lie in envelopes:
Firehose carries subscriptions, which carry messages. The kind of the content is decided afterwards.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from itertools import chain

from flowbench.io.decompress import Decompression
from flowbench.io.json_stream import InvalidJson, read_values
from flowbench.loaders import siem
from flowbench.loaders.values import JsonObject, pick

MAX_NESTING = 5  # envelopes in each other; AWS's own services make three
MAX_DATA = 32 << 20  # decompressed bytes of a Firehose or Kinesis record of at most 10 MB

# Every envelope has one of these keys, and most records have none.
_ENVELOPE_KEYS = frozenset(
    {"message", "@message", "messageType", "logEvents", "events", "Events", "awslogs"}
    | {"records", "Records", "results", "QueryResultRows", "ResultSet"}
)
_ANSWER_KEYS = {
    "events",
    "searchedLogStreams",
    "nextToken",
    "nextForwardToken",
    "nextBackwardToken",
}


def unwrap(value: object, depth: int = 0) -> Iterator[object]:
    """Yield the records in a JSON value, or the value itself when it is no envelope.

    A record is an object, a text that is not JSON, or InvalidJson; a row of a query is an object
    of its columns. A health check (CONTROL_MESSAGE) and an answer without events hold nothing.
    """
    contents = _open(value) if depth < MAX_NESTING else None
    if contents is None:
        yield value
        return
    for content in contents:
        if isinstance(content, dict | list):
            yield from unwrap(content, depth + 1)
        else:
            yield content


def message(value: object) -> object:
    """Return the record in a log message, parsed where it is JSON; None without a message."""
    if not isinstance(value, dict):
        return None
    text = value["@message"] if "@message" in value else value.get("message")
    if isinstance(text, dict):
        return text
    return siem.parse_content(text) if isinstance(text, str) else siem.find_text(value)


def _open(value: object) -> Iterator[object] | None:
    """Return what an envelope carries, or None when the value is no envelope.

    Many records have a ``message`` beside their other fields: these are no envelope, see
    ``message``.
    """
    if isinstance(value, list):
        # A list of envelopes is one; a list of records is for their kind to match.
        return iter(value) if any(map(_is_envelope, value)) else None
    if not isinstance(value, dict):
        return None
    if (records := siem.open_export(value)) is not None:
        return records
    if value.keys().isdisjoint(_ENVELOPE_KEYS):
        return None
    if "@message" in value or value.keys() == {"message"}:
        content = message(value)
        return None if content is None else iter([content])
    if value.get("messageType") == "CONTROL_MESSAGE":
        return iter(())
    for name in ("logEvents", "events", "Events"):
        if isinstance(events := value.get(name), list):
            return _open_events(events, value)
    return _open_delivery(value) or _open_query_result(value)


def _is_envelope(value: object) -> bool:
    return isinstance(value, dict) and (message(value) is not None or _open(value) is not None)


def _open_events(events: list[object], value: JsonObject) -> Iterator[object] | None:
    if not events:
        return iter(()) if value.keys() <= _ANSWER_KEYS or "logGroup" in value else None
    if not any(isinstance(event, dict) and "message" in event for event in events):
        return None
    return (event if (content := message(event)) is None else content for event in events)


def _open_delivery(value: JsonObject) -> Iterator[object] | None:
    """Open a delivery by Firehose, Kinesis or a subscription to Lambda, with data in base64."""
    if isinstance(data := pick(value, "awslogs", "data"), str):
        return _decode(data)
    records = pick(value, "records")
    if not isinstance(records, list):
        return None
    record_data = [_data(record) for record in records]
    has_data = any(isinstance(data, str) for data in record_data)
    if not has_data and (records or "requestId" not in value):
        return None
    # What has no data is not an envelope's, and may be a record itself.
    return chain.from_iterable(
        _decode(data) if isinstance(data, str) else [record]
        for data, record in zip(record_data, records, strict=True)
    )


def _data(record: object) -> object:
    data = pick(record, "data")
    return pick(record, "kinesis", "data") if data is None else data


def _decode(data: str) -> Iterator[object]:
    """Yield what is in one record's data: JSON values, or lines of text; compressed or not."""
    try:
        raw = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        shown = data[: 8 << 10].encode(errors="replace")
        yield InvalidJson(f"data that is not base64: {error}", shown)
        return
    decompression = Decompression(iter([raw]) if raw else iter(()))
    chunks, size = list[bytes](), 0
    for chunk in decompression.chunks():
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_DATA:
            reason = f"more than {MAX_DATA >> 20} MB of decompressed data: no log delivery has that"
            yield InvalidJson(reason, raw)
            return
    text = b"".join(chunks)
    if text.lstrip()[:1] in (b"{", b"["):
        for _, value in read_values(iter([text])):
            yield value
    else:
        for line in text.splitlines():
            if line.strip():
                yield line.decode("utf-8", "surrogateescape")
    if decompression.problem:
        yield InvalidJson(f"in a record's data: {decompression.problem}", raw)


def _open_query_result(value: JsonObject) -> Iterator[object] | None:
    """Return the rows of a query's answer as objects: Logs Insights, CloudTrail Lake, Athena."""
    results = value.get("results")
    if isinstance(results, list) and ("statistics" in value or any(map(_is_row, results))):
        return map(_insights_row, results)
    lake_rows = value.get("QueryResultRows")
    if isinstance(lake_rows, list):
        return map(_lake_row, lake_rows)
    rows = pick(value, "ResultSet", "Rows")
    if isinstance(rows, list):
        names = [pick(cell, "VarCharValue") for cell in _cells(rows[0])] if rows else []
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
        return InvalidJson(f"a row of {len(cells)} values under {len(names)} columns")
    return {str(name): cell for name, cell in zip(names, cells, strict=True)}


def _cells(row: object) -> list[object]:
    cells = pick(row, "data")
    return cells if isinstance(cells, list) else []
