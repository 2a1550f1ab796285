"""Country and network owner of addresses.

Data sources are the databases in the case (loaders.geo), the most recent first; for countries that
they lack, the package iptocc, which contains the assignments of the five regional registries. A
registry knows to whom a network was assigned, not where it is used: registries agree with
commercial databases for about 95 of 100 IPv4 addresses (Zander, 2012). Every answer names its
database with date and evidence id. Only a database in the case makes the answers independent of the
installed version of flowbench.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from importlib import metadata
from typing import NamedTuple

import ibis
import iptocc
import numpy as np
import pyarrow as pa

from flowbench.enrich.intervals import NetworkIndex, address_keys
from flowbench.schema import Table
from flowbench.text import format_date

TABLE = Table.of(
    "geography",
    ("address", "string", "the address"),
    ("country", "string", "ISO 3166-1 code: where its network is registered or used"),
    ("country_source", "string", "the database of the country, its date, its evidence id"),
    ("asn", "int64", "number of the autonomous system that announces the network"),
    ("network_owner", "string", "name of that system in the database, to be escaped"),
    ("network_source", "string", "the database of the country, its date, its evidence id"),
)


def locate(addresses: Sequence[str], ranges: ibis.Table) -> pa.Table:
    """Look up country and network owner of distinct addresses (TABLE), in their order.

    ``ranges`` are the databases in the case (loaders.geo.csv.TABLE). Private addresses have neither
    country nor owner, unless such a database has them.
    """
    columns: dict[str, np.ndarray] = {
        name: np.full(len(addresses), None, dtype=object) for name in TABLE.columns[1:]
    }
    databases = _databases(ranges)
    keys = address_keys(addresses if databases else ())
    for database in databases:
        in_file = ranges.filter(ranges.evidence_id == database.evidence_id)
        rows = in_file.select("first", "last", "country", "asn", "owner").to_pyarrow()
        at = NetworkIndex(rows["first"].to_pylist(), rows["last"].to_pylist()).find(keys)
        _fill(columns, {"country": "country"}, "country_source", rows, at, str(database))
        network = {"asn": "asn", "network_owner": "owner"}
        _fill(columns, network, "network_source", rows, at, str(database))
    _fill_from_registries(addresses, columns)
    return pa.table(
        {"address": pa.array(addresses, pa.string())}
        | {name: pa.array(columns[name], TABLE.arrow.field(name).type) for name in columns},
        schema=TABLE.arrow,
    )


@cache
def registry_version() -> str:
    """Name the package with the registries' assignments: its version, and the date of the data."""
    package = metadata.distribution("iptocc")
    built = _build_date(package)
    return f"iptocc {package.version} (registries{f' {built}' if built else ''})"


class _Database(NamedTuple):
    """A database in the case; its text is how answers cite it."""

    evidence_id: str
    database: str | None
    published: datetime | None

    def __str__(self) -> str:
        date = f" {format_date(self.published)}" if self.published else ""
        return f"{self.database or 'a list'}{date} [{self.evidence_id}]"


def _databases(ranges: ibis.Table) -> list[_Database]:
    """The databases in the case, the latest first; undated ones last."""
    rows = ranges.select(*_Database._fields).distinct().to_pyarrow().to_pylist()
    databases = [_Database(**row) for row in rows]
    dated = sorted(
        (d for d in databases if d.published), key=lambda d: (d.published, d.evidence_id)
    )
    undated = sorted((d for d in databases if not d.published), key=lambda d: d.evidence_id)
    return [*reversed(dated), *undated]


def _fill(
    columns: dict[str, np.ndarray],
    names: dict[str, str],
    source_column: str,
    rows: pa.Table,
    at: np.ndarray,
    database: str,
) -> None:
    """Fill columns from one database, all of ``names`` together, where no other database did.

    Args:
        columns: The columns of TABLE, which are changed.
        names: Columns to fill, each with its column in ``rows``.
        source_column: The column for the name of the database.
        rows: The ranges of the database.
        at: For each address the position of its range; -1 for none.
        database: The name of the database.
    """
    values = {name: np.array(rows[own].to_pylist(), object) for name, own in names.items()}
    is_empty = np.logical_and.reduce([each == None for each in values.values()])  # noqa: E711
    missing = np.flatnonzero((at >= 0) & (columns[source_column] == None))  # noqa: E711
    missing = missing[~is_empty[at[missing]]]
    for name, each in values.items():
        columns[name][missing] = each[at[missing]]
    columns[source_column][missing] = database


def _fill_from_registries(addresses: Sequence[str], columns: dict[str, np.ndarray]) -> None:
    """Fill in countries as the registries assigned them, where no database has one."""
    missing = [i for i, country in enumerate(columns["country"]) if country is None]
    codes = iptocc.country_code([addresses[i] for i in missing])
    for i, code in zip(missing, codes, strict=True):
        if code:
            columns["country"][i] = code
            columns["country_source"][i] = registry_version()


def _build_date(package: metadata.Distribution) -> str | None:
    """The date of the package's data, from its bill of materials; None if that is unreadable."""
    for file in package.files or ():
        if file.name.endswith(".cyclonedx.json"):
            try:
                timestamp = json.loads(file.read_text())["metadata"]["timestamp"]
                return format_date(datetime.fromisoformat(timestamp[:10]))
            except (OSError, ValueError, KeyError, TypeError):
                return None
    return None
