"""Conditions on the ends of connections and flow records: addresses, and what they were when.

An address of an interface is what its assignment says at the start of the row, as
``inventory.assignment_at`` chooses it. Country, network owner, cloud, indicators and DNS names are
those of the address, at any time.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING

import ibis
import numpy as np
import pyarrow as pa

from flowbench.connections.zones import is_host
from flowbench.enrich.dns_names import resolved_names
from flowbench.enrich.intervals import address_keys
from flowbench.enrich.inventory import Assignment, assignment_at, with_public_addresses
from flowbench.investigate.where.fields import Field
from flowbench.investigate.where.values import Network, Value
from flowbench.schema import TYPES

if TYPE_CHECKING:
    from flowbench.case import Case

ASSIGNED = {
    "interface": "interface_id",
    "instance": "instance_id",
    "name": "name",
    "subnet": "subnet_id",
    "vpc": "vpc_id",
    "account": "account_id",
    "aws_service": "service",
}
_OF_ADDRESS = {"country": "country", "owner": "network_owner", "cloud": "cloud"}
_FEW = 200  # addresses that stand in a query; more are joined as a table
_PERIODS = pa.schema(
    [("address", TYPES["string"]), ("since", TYPES["time"]), ("until", TYPES["time"])]
)


class NotCounted(Exception):
    """Counts of connections do not answer a condition: ask the connections."""


Test = Callable[[ibis.Value], ibis.Value]  # whether a value matches


@dataclass(frozen=True)
class End:
    """One end of rows: the columns with its address, and when the rows start.

    Attributes:
        case: The case.
        table: The rows.
        columns: Columns with the end's address, of which one is enough.
        start: The column with the start of a row; None for rows without a time.
        has_zones: Whether the addresses have the zones of connections.
    """

    case: Case
    table: ibis.Table
    columns: tuple[str, ...]
    start: str | None
    has_zones: bool

    def has_address(self, values: Iterable[Value]) -> ibis.Value:
        """Whether the end is one of some addresses, or in one of some networks.

        An address without a zone stands for all hosts that have it.
        """
        values = list(values)
        hosts = [value for value in values if isinstance(value, str)]
        networks = [value for value in values if isinstance(value, IPv4Network | IPv6Network)]
        conditions = [self._is_in_network(network) for network in networks]
        if hosts:
            conditions.append(self._is_host(self._with_zones(hosts)))
        return ibis.or_(*conditions)

    def has_value(self, field: Field, test: Test) -> ibis.Value:
        """Whether a value of the end, which the field names, matches."""
        if field.key is not None or field.base in ASSIGNED:
            return self._is_assigned(field, test)
        return self._is_host(self._find_addresses(field, test))

    def _find_addresses(self, field: Field, test: Test) -> list[str]:
        """The addresses with a value that matches, whenever."""
        if field.base == "domain":
            rows = resolved_names(self.case.dns)
            value = rows.name
        elif field.base == "indicator":
            rows = self.case.indicator_matches
            rows = rows.filter(rows.in_period.fill_null(True))
            value = rows.kind
        elif field.base == "cloud_service":
            rows = self.case.addresses
            rows = rows.select("address", value=rows.cloud_services.unnest())
            value = rows.value
        else:
            rows = self.case.addresses
            value = rows[_OF_ADDRESS.get(field.base, field.base)]
        rows = rows.filter(test(value).fill_null(False)).select("address").distinct()
        return rows.order_by("address").to_pyarrow()["address"].to_pylist()

    def _is_assigned(self, field: Field, test: Test) -> ibis.Value:
        """Whether the assignment of the end at the start of the row matches."""
        rows = with_public_addresses(self.case.address_assignments)
        value = rows[ASSIGNED[field.base]] if field.key is None else rows.tags.get(field.key)
        rows = rows.mutate(matches=test(value).fill_null(False))
        each = rows.group_by("address").aggregate(
            always=rows.matches.all(), ever=rows.matches.any()
        )
        each = each.filter(each.ever).order_by("address")
        found = each.to_pyarrow().to_pylist()
        always = [row["address"] for row in found if row["always"]]
        sometimes = [row["address"] for row in found if not row["always"]]
        hit = self._is_host(always)
        if not sometimes:
            return hit
        rows = rows.filter(rows.address.isin(sometimes))
        columns = ["address", "interface_id", "valid_from", "valid_until", "matches"]
        order = [rows.address, rows.valid_from.asc(nulls_first=True), rows.interface_id]
        by_address: dict[str, list[Assignment]] = {}
        for row in rows.order_by(order).select(columns).to_pyarrow().to_pylist():
            by_address.setdefault(row["address"], []).append(row)
        return hit | ibis.or_(*(self._is_in_periods(*item) for item in by_address.items()))

    def _is_in_periods(self, address: str, rows: Sequence[Assignment]) -> ibis.Value:
        if self.start is None:
            raise NotCounted(f"{address} was assigned more than once")
        start = self.table[self.start]
        periods = [
            ibis.and_(
                *([] if since is None else [start >= ibis.literal(since)]),
                *([] if until is None else [start < ibis.literal(until)]),
            )
            for since, until in matching_periods(rows)
        ]
        return self._is_host([address]) & ibis.or_(*periods)

    def _is_host(self, hosts: Sequence[str]) -> ibis.Value:
        """Whether the end is one of some hosts, as connections name them."""
        plain = [host for host in hosts if self.has_zones or "%" not in host]
        zoned = hosts if plain is hosts else sorted(set(hosts) - set(plain))
        conditions = []
        if len(plain) > _FEW:
            rows = self.case.register(pa.table({"address": pa.array(plain, TYPES["string"])}))
            conditions += [self.table[name].isin(rows.address) for name in self.columns]
        elif plain:
            conditions += [self.table[name].isin(plain) for name in self.columns]
        if zoned and not self.has_zones:
            zones = self.case.address_zones
            conditions.append(is_host(self.table, self.columns, zoned, zones))
        return ibis.or_(*(condition.fill_null(False) for condition in conditions))

    def _with_zones(self, hosts: Sequence[str]) -> list[str]:
        """The hosts, and those that have one of their addresses with a zone."""
        if not self.has_zones:
            return list(hosts)
        names = (host for address, host in self._zones if address in hosts)
        return sorted({*hosts, *names})

    @cached_property
    def _zones(self) -> list[tuple[str, str]]:
        zones = self.case.address_zones
        rows = zones.select("address", "host").distinct().order_by("address", "host")
        return [(row["address"], row["host"]) for row in rows.to_pyarrow().to_pylist()]

    def _is_in_network(self, network: Network) -> ibis.Value:
        conditions = []
        for name in self.columns:
            column = self.table[name]
            if isinstance(network, IPv6Network):
                conditions.append(column.isin(self._ipv6_addresses(name, network)))
                continue
            prefixes, hosts = ipv4_prefixes(network)
            conditions += [column.startswith(prefix) for prefix in prefixes]
            if hosts:
                conditions.append(column.isin(self._with_zones(hosts)))
            if network.prefixlen == 0:
                conditions.append(~column.contains(":"))
        return ibis.or_(*(condition.fill_null(False) for condition in conditions))

    def _ipv6_addresses(self, name: str, network: IPv6Network) -> list[str]:
        column = self.table[name]
        seen = self.table.filter(column.contains(":").fill_null(False)).select(address=column)
        seen = seen.distinct().order_by("address").to_pyarrow()["address"]
        bounds = [str(network.network_address), str(network.broadcast_address)]
        first, last = address_keys(bounds)
        keys = address_keys(seen)
        return seen.take(pa.array(np.flatnonzero((keys >= first) & (keys <= last)))).to_pylist()


def ipv4_prefixes(network: IPv4Network) -> tuple[list[str], list[str]]:
    """Return the beginnings of the addresses in a network, or the addresses themselves.

    The engine compares texts faster than it would parse each into a number.
    """
    octets = -(-network.prefixlen // 8)  # that the beginning has
    if octets == 0:
        return [], []
    parts = network.subnets(new_prefix=octets * 8)
    texts = [".".join(str(part.network_address).split(".")[:octets]) for part in parts]
    return ([], texts) if octets == 4 else ([f"{text}." for text in texts], [])


def matching_periods(rows: Sequence[Assignment]) -> list[tuple[datetime | None, datetime | None]]:
    """Return the periods in which the assignment of an address is one that matches.

    Args:
        rows: The assignments of one address in order of start, each with ``matches``.

    Returns:
        The start and the end (exclusive) of each period; None where it is open.
    """
    bounds = sorted({row[name] for row in rows for name in ("valid_from", "valid_until")} - {None})
    # Between two assignments the nearer one counts: the turn is halfway.
    halves = [low + (high - low) / 2 for low, high in itertools.pairwise(bounds)]
    bounds = sorted({*bounds, *halves})
    periods: list[tuple[datetime | None, datetime | None]] = []
    for since, until in zip([None, *bounds], [*bounds, None], strict=True):
        chosen = assignment_at(rows, _within(since, until))
        if chosen is None or not chosen["matches"]:
            continue
        if periods and periods[-1][1] == since:
            periods[-1] = (periods[-1][0], until)
        else:
            periods.append((since, until))
    return periods


def _within(since: datetime | None, until: datetime | None) -> datetime | None:
    if since is None or until is None:
        bound, sign = (until, -1) if since is None else (since, 1)
        return bound and bound + sign * timedelta(days=1)
    return since + (until - since) / 2
