"""abuse.ch in JSON: Feodo Tracker's array, ThreatFox's export and the answers of its API.

Files of ThreatFox hold hashes and pages beside addresses: flows know neither, they are refused.
"""

from __future__ import annotations

from typing import Any

from flowbench.errors import BadRecord
from flowbench.loaders.intel import lists
from flowbench.loaders.intel.feed import listed
from flowbench.loaders.values import port, text, time, whole

KIND, TABLE = lists.KIND, lists.TABLE

_FEODO = {"ip_address", "port", "status", "malware", "first_seen"}
_THREATFOX = {"ioc_type", "threat_type"}


def matches(value: object) -> list[object] | None:
    """The records of a Feodo Tracker or ThreatFox file, or None for anything else."""
    if isinstance(value, dict):
        data = value.get("data")
        exported = [one for each in value.values() if isinstance(each, list) for one in each]
        return next(
            (rows for rows in (data, exported) if isinstance(rows, list) and _is(_THREATFOX, rows)),
            None,
        )
    return (
        value
        if isinstance(value, list) and (_is(_FEODO, value) or _is(_THREATFOX, value))
        else None
    )


def to_row(record: object) -> list[dict[str, Any]]:
    """The rows of one record. Raises BadRecord for hashes and whatever holds no address."""
    if not isinstance(record, dict):
        raise BadRecord("not an indicator: no JSON object")
    if record.keys() >= _FEODO:
        return listed(
            record["ip_address"],
            feed="Feodo Tracker",
            kind="c2",
            port=port(record["port"]),
            valid_from=time(record["first_seen"]),
            valid_until=lists.moment("valid_until", record.get("last_online")),
            description=text(record["malware"]),
        )
    return listed(
        record.get("ioc_value") or record.get("ioc"),
        feed="ThreatFox",
        kind=text(record.get("threat_type")),
        confidence=whole(record.get("confidence_level"), 0, 100),
        valid_from=_moment(record, "first_seen"),
        valid_until=_moment(record, "last_seen"),
        description=text(record.get("malware_printable")),
    )


def _moment(record: dict[str, Any], name: str) -> object:
    # Some answers write "2026-09-01 01:39:33 UTC".
    told = text(record.get(f"{name}_utc")) or text(record.get(name))
    return lists.moment("valid_until", told.removesuffix(" UTC")) if told else None


def _is(names: set[str], records: list[Any]) -> bool:
    return bool(records) and isinstance(records[0], dict) and records[0].keys() >= names
