"""In which country an address lies, and whose network it is in.

Told by the databases in the case (load.geography, load.mmdb), the most recent first; where they
know no country, by iptocc, a package of what the five regional registries assigned, which is
always there. The registries know who a network was assigned to, not where it is used: they agree
with commercial databases for about 95 of 100 IPv4 addresses (Zander, 2012). Every answer names the
database it is from, with its date and evidence id. Only a database in the case makes the answers
independent of the flowbench that is asked.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from importlib import metadata
from typing import Any

import ibis
import iptocc
import numpy as np
import pyarrow as pa

from flowbench.enrich.intervals import Ranges, keys
from flowbench.schema import Table

TABLE = Table.of(
    "geography",
    ("address", "string", "the address"),
    ("country", "string", "ISO 3166-1 code: where its network is registered or used"),
    ("country_source", "string", "the database that says so, its date, its evidence id"),
    ("asn", "int64", "number of the autonomous system that announces its network"),
    ("network_owner", "string", "who runs that system; the database's words, to be escaped"),
    ("network_source", "string", "the database that says so, its date, its evidence id"),
)


def locate(addresses: Sequence[str], ranges: ibis.Table) -> pa.Table:
    """Country and network owner of distinct addresses (TABLE), in their order.

    ``ranges`` is load.geography's table. Private addresses have neither, unless a database of the
    case says otherwise.
    """
    told: dict[str, np.ndarray] = {
        name: np.full(len(addresses), None, dtype=object) for name in TABLE.columns[1:]
    }
    databases = _databases(ranges)
    wanted = keys(addresses if databases else ())
    for database in databases:
        mine = ranges.filter(ranges.evidence_id == database["evidence_id"])
        rows = mine.select("first", "last", "country", "asn", "owner").to_pyarrow()
        at = Ranges(rows["first"].to_pylist(), rows["last"].to_pylist()).find(wanted)
        name = _named(database["database"], database["published"], database["evidence_id"])
        _fill(told, {"country": "country"}, "country_source", rows, at, name)
        _fill(told, {"asn": "asn", "network_owner": "owner"}, "network_source", rows, at, name)
    _registered(addresses, told)
    return pa.table(
        {"address": pa.array(addresses, pa.string())}
        | {name: pa.array(told[name], TABLE.arrow.field(name).type) for name in told},
        schema=TABLE.arrow,
    )


@cache
def registry() -> str:
    """The package that knows what the registries assigned: its version, and when it was built."""
    package = metadata.distribution("iptocc")
    built = _built(package)
    return f"iptocc {package.version} (registries{f' {built}' if built else ''})"


def _databases(ranges: ibis.Table) -> list[dict[str, Any]]:
    """The databases there are, the latest first; those of no date last."""
    found = (
        ranges.select("evidence_id", "database", "published").distinct().to_pyarrow().to_pylist()
    )
    dated = sorted(
        (d for d in found if d["published"]), key=lambda d: (d["published"], d["evidence_id"])
    )
    undated = sorted((d for d in found if not d["published"]), key=lambda d: d["evidence_id"])
    return [*reversed(dated), *undated]


def _named(database: str | None, published: datetime | None, source: str) -> str:
    date = f" {published:%Y-%m-%d}" if published else ""
    return f"{database or 'a list'}{date} [{source}]"


def _fill(
    told: dict[str, np.ndarray],
    columns: dict[str, str],
    source: str,
    rows: pa.Table,
    at: np.ndarray,
    database: str,
) -> None:
    """What one database says (ours: its column), all of it together, where no other said any."""
    values = {ours: np.array(rows[theirs].to_pylist(), object) for ours, theirs in columns.items()}
    silent = np.logical_and.reduce([each == None for each in values.values()])  # noqa: E711
    open_ = np.flatnonzero((at >= 0) & (told[source] == None))  # noqa: E711  # each element
    open_ = open_[~silent[at[open_]]]
    for ours, each in values.items():
        told[ours][open_] = each[at[open_]]
    told[source][open_] = database


def _registered(addresses: Sequence[str], told: dict[str, np.ndarray]) -> None:
    """Countries as the registries assigned them, where nothing in the case tells."""
    open_ = [place for place, country in enumerate(told["country"]) if country is None]
    codes = iptocc.country_code([addresses[place] for place in open_])
    for place, code in zip(open_, codes, strict=True):
        if code:
            told["country"][place] = code
            told["country_source"][place] = registry()


def _built(package: metadata.Distribution) -> str | None:
    """The day on which the package's data was put together, which its own bill of materials has."""
    for file in package.files or ():
        if file.name.endswith(".cyclonedx.json"):
            try:
                made = json.loads(file.read_text())["metadata"]["timestamp"]
                return datetime.fromisoformat(made[:10]).strftime("%Y-%m-%d")
            except (OSError, ValueError, KeyError, TypeError):
                return None
    return None
