"""abuse.ch in JSON: Feodo Tracker's array, ThreatFox's export and the responses of its API.

Files of ThreatFox also have hashes and URLs of pages, which flow logs lack: they are rejected.
"""

from __future__ import annotations

from datetime import datetime

from flowbench.errors import BadRecord
from flowbench.loaders.intel import indicators
from flowbench.loaders.intel.feed import indicator_rows
from flowbench.loaders.intel.indicators import Row
from flowbench.loaders.values import JsonObject, integer, port, text, time

KIND, TABLE = indicators.KIND, indicators.TABLE

_FEODO = {"ip_address", "port", "status", "malware", "first_seen"}
_THREATFOX = {"ioc_type", "threat_type"}


def matches(value: object) -> list[object] | None:
    """Return the records of a Feodo Tracker or ThreatFox file, or None for anything else."""
    if isinstance(value, dict):
        data = value.get("data")
        exported = [row for each in value.values() if isinstance(each, list) for row in each]
        candidates: list[object] = [data, exported]
    else:
        candidates = [value]
    for rows in candidates:
        if isinstance(rows, list) and (_has(_THREATFOX, rows) or _has(_FEODO, rows)):
            return rows
    return None


def to_row(record: object) -> list[Row]:
    """Convert one record. Raises BadRecord for hashes and whatever has no address."""
    if not isinstance(record, dict):
        raise BadRecord("not an indicator: no JSON object")
    if record.keys() >= _FEODO:
        return indicator_rows(
            record["ip_address"],
            feed="Feodo Tracker",
            kind="c2",
            port=port(record["port"]),
            valid_from=time(record["first_seen"]),
            valid_until=indicators.parse_end(record.get("last_online")),
            description=text(record["malware"]),
        )
    return indicator_rows(
        record.get("ioc_value") or record.get("ioc"),
        feed="ThreatFox",
        kind=text(record.get("threat_type")),
        confidence=integer(record.get("confidence_level"), 0, 100),
        valid_from=_time(record, "first_seen"),
        valid_until=_time(record, "last_seen"),
        description=text(record.get("malware_printable")),
    )


def _time(record: JsonObject, name: str) -> datetime | None:
    # Some responses have "2026-09-01 01:39:33 UTC".
    value = text(record.get(f"{name}_utc")) or text(record.get(name))
    return indicators.parse_end(value.removesuffix(" UTC")) if value else None


def _has(names: set[str], records: list[object]) -> bool:
    return bool(records) and isinstance(records[0], dict) and records[0].keys() >= names
