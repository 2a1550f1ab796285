"""Address ranges that clouds publish: AWS's ip-ranges.json, Google's cloud.json, Fastly's list.

They state what the cloud used on the day of publication; ranges move between services. AWS names
only the services that customers filter by, and leaves out the ranges that customers bring.
"""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime

from flowbench import schema
from flowbench.errors import BadRecord
from flowbench.loaders.values import abbreviate, text, time

KIND = "cloud-ranges"

TABLE = schema.Table.of(
    "cloud_ranges",
    ("prefix", "string", "network in CIDR form"),
    ("cloud", "string", "aws, google or fastly"),
    ("service", "string", "the cloud's code of the service: S3, EC2, AMAZON (any), …"),
    ("region", "string", "region, or GLOBAL"),
    ("border_group", "string", "network border group, where the cloud names one"),
    ("published", "time", "when the list was published"),
    *schema.ORIGIN,
    schema.ITEM,
)

# The name of the prefix identifies the cloud. Fastly's list has none: "fastly_prefix" is added.
_CLOUDS = {
    "ip_prefix": "aws",
    "ipv6_prefix": "aws",
    "ipv4Prefix": "google",
    "ipv6Prefix": "google",
    "fastly_prefix": "fastly",
}
_LIST_KEYS = ("createDate", "syncToken")  # of a list, added to its ranges
_LISTS = ("prefixes", "ipv6_prefixes")
_FASTLY = ("addresses", "ipv6_addresses")


def matches(value: object) -> list[object] | None:
    """Return the ranges in a published list, each with the list's date, or None otherwise."""
    if not isinstance(value, dict):
        return None
    if value.keys() == set(_FASTLY):
        return [
            {"fastly_prefix": prefix, "service": "FASTLY"}
            for name in _FASTLY
            for prefix in (value[name] if isinstance(value[name], list) else ())
        ]
    lists = [value[name] for name in _LISTS if isinstance(value.get(name), list)]
    records = [record for each in lists for record in each]
    if not any(isinstance(record, dict) and _CLOUDS.keys() & record.keys() for record in records):
        return None
    date = {name: value.get(name) for name in _LIST_KEYS}
    return [date | record if isinstance(record, dict) else record for record in records]


def original(record: object) -> object:
    """Return the object or prefix of the evidence that a record has."""
    if not isinstance(record, dict):
        return record
    if "fastly_prefix" in record:
        return record["fastly_prefix"]
    return {name: value for name, value in record.items() if name not in _LIST_KEYS}


def to_row(record: object) -> dict[str, object]:
    """Convert one range to a row of TABLE. Raises BadRecord without a network."""
    if not isinstance(record, dict):
        raise BadRecord("not a range: no JSON object")
    name = next((name for name in _CLOUDS if name in record), None)
    if name is None:
        raise BadRecord("no prefix")
    try:
        prefix = ipaddress.ip_network(text(record[name]) or "", strict=False)
    except ValueError:
        raise BadRecord(f"{name} is not a network: {abbreviate(record[name])}") from None
    return {
        "prefix": str(prefix),
        "cloud": _CLOUDS[name],
        "service": text(record.get("service")),
        "region": text(record.get("region")) or text(record.get("scope")),
        "border_group": text(record.get("network_border_group")),
        "published": published(record),
    }


def published(record: dict[str, object]) -> datetime | None:
    """Return AWS's date (year to second, with dashes, UTC), else the token, which is an epoch."""
    try:
        return datetime.strptime(str(record.get("createDate")), "%Y-%m-%d-%H-%M-%S").replace(
            tzinfo=UTC
        )
    except ValueError:
        return time(record.get("syncToken"))
