"""Records of any kind inside exports of SIEMs, log shippers and query tools.

Splunk and Cribl keep the original event in ``_raw``, Elastic in ``event.original``, LogScale in
``@rawstring``, Fluent Bit and Docker in ``log``, Loki in the lines of its streams, QRadar in a
payload, OpenTelemetry in the body of a log record. Answers of Elasticsearch, Splunk, Loki, Graylog,
Sumo Logic and Datadog are lists of such events; those of Log Analytics, Steampipe and Tailpipe are
tables of columns and rows. AWS Config's select gives resources as JSON text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from flowbench.io.json_stream import InvalidJson
from flowbench.loaders import ecs
from flowbench.loaders.values import JsonObject, parse_json, pick

# Keys of the original record: these are never of a record itself.
_ORIGINAL = ("_raw", "event.original", "@rawstring")
# Keys of which a record may have one, by their letters: they count where the rest is no record.
_TEXTS = frozenset(
    {"log", "line", "raw", "rawstring", "rawevent", "rawlog", "rawmessage", "rawdata", "body"}
    | {
        "fulllog",
        "fullmessage",
        "shortmessage",
        "payload",
        "utf8payload",
        "msg",
        "originalevent",
        "original",
    }
)
# A value that opens has one of these keys.
_KEYS = frozenset(
    {*_ORIGINAL, "event", "_source", "result", "hits", "results", "Results", "data", "streams"}
    | {"messages", "events", "resourceLogs", "columns", "rows", "tables", "aws"}
)


def open_export(value: JsonObject) -> Iterator[object] | None:
    """Return the records that an export carries, or None when the value is no export."""
    if value.keys().isdisjoint(_KEYS) and "aws.vpcflow.action" not in value:
        return None
    original = next((value[key] for key in _ORIGINAL if isinstance(value.get(key), str)), None)
    original = original or _nested(value, "event", "original")
    if isinstance(original, str):
        return iter([parse_content(original)])
    if (record := ecs.to_record(value)) is not None:
        return iter([record])
    for event in (_nested(value, "result"), _nested(value, "_source")):
        if isinstance(event, dict) and ("_raw" in event or "_source" in value):
            return iter([event])
    for outer in (value, _nested(value, "data")):  # Wazuh, in its archive and its alerts
        if _nested(outer, "integration") == "aws" and isinstance(_nested(outer, "aws"), dict):
            return iter([_nested(outer, "aws")])
    return _open_list(value) or _open_table(value)


def find_text(value: JsonObject) -> object:
    """Return what may be the record in an event with other keys, parsed where it is JSON."""
    for key, content in value.items():
        if re.sub(r"[^a-z0-9]", "", key.lower()) in _TEXTS:
            text = pick(content, "stringValue") if isinstance(content, dict) else content
            if isinstance(text, str) and text:
                return parse_content(text.rstrip("\r\n"))
    return None


def parse_content(text: str) -> object:
    """Return the JSON in a text, or the text itself."""
    parsed = parse_json(text) if text.lstrip()[:1] in ("{", "[") else None
    return text if parsed is None else parsed


def _open_list(value: JsonObject) -> Iterator[object] | None:
    """Return the events in an answer that is a list of them."""
    hits = _nested(value, "hits", "hits")
    if isinstance(hits, list):  # Elasticsearch
        return iter(hits)
    rows = value.get("results")
    if isinstance(rows, list) and (_any_has(rows, "_raw") or {"preview", "fields"} <= value.keys()):
        return iter(rows)  # Splunk
    if isinstance(rows, list) and _any_has(rows, "events"):  # New Relic
        return iter(rows)
    selected = value.get("Results")
    if isinstance(selected, list) and "QueryInfo" in value:  # AWS Config
        return (parse_content(row) if isinstance(row, str) else row for row in selected)
    data = value.get("data")
    streams = data.get("result") if isinstance(data, dict) else value.get("streams")
    if isinstance(streams, list) and _any_has(streams, "values"):  # Loki
        return _lines_of_streams(streams)
    if isinstance(data, list) and (_any_has(data, "attributes") or _any_has(data, "content")):
        # Datadog
        return (_nested(each, "attributes") or _nested(each, "content") or each for each in data)
    messages = value.get("messages")
    if isinstance(messages, list) and (_any_has(messages, "message") or _any_has(messages, "map")):
        # Graylog, Sumo Logic
        return (_nested(each, "message") or _nested(each, "map") or each for each in messages)
    events = value.get("events")
    if isinstance(events, list) and any(isinstance(e, dict) and find_text(e) for e in events):
        return iter(events)  # QRadar
    return _open_otlp(value)


def _lines_of_streams(streams: list[object]) -> Iterator[object]:
    for stream in streams:
        pairs = _nested(stream, "values")
        for pair in pairs if isinstance(pairs, list) else [stream]:
            line = pair[1] if isinstance(pair, list) and len(pair) > 1 else pair
            yield parse_content(line) if isinstance(line, str) else line


def _open_otlp(value: JsonObject) -> Iterator[object] | None:
    """Return the bodies of the log records that OpenTelemetry exports."""
    if not isinstance(value.get("resourceLogs"), list):
        return None
    return (
        find_text(record) or record if isinstance(record, dict) else record
        for resource in _list(value, "resourceLogs")
        for scope in _list(resource, "scopeLogs")
        for record in _list(scope, "logRecords")
    )


def _open_table(value: JsonObject) -> Iterator[object] | None:
    """Return the rows of a table of columns and rows as objects."""
    tables = value.get("tables")
    if isinstance(tables, list) and _any_has(tables, "columns"):  # Log Analytics
        return iter(tables)
    columns = value.get("columns") or value.get("fields")  # the latter Splunk's
    rows = value["rows"] if "rows" in value else value.get("values")
    if not isinstance(columns, list) or not isinstance(rows, list):
        return None
    names = [str(_nested(column, "name") or column) for column in columns]
    return (_name_cells(names, row) for row in rows)


def _name_cells(names: list[str], row: object) -> object:
    if not isinstance(row, list):
        return row
    if len(row) != len(names):
        return InvalidJson(f"a row of {len(row)} values under {len(names)} columns")
    return dict(zip(names, row, strict=True))


def _nested(value: object, *path: str) -> object:
    """Return the value at a path of keys as they are spelt; None where there is none."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _list(value: object, key: str) -> list[object]:
    found = _nested(value, key)
    return found if isinstance(found, list) else []


def _any_has(values: list[object], key: str) -> bool:
    return any(isinstance(value, dict) and key in value for value in values)
