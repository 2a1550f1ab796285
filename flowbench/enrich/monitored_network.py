"""Which addresses belong to the monitored network: those that are internal.

Internal are private addresses (ownership), the own addresses of interfaces (own_addresses), public
addresses that the inventory maps to an interface, and addresses in the networks of its VPCs and
subnets.

Limitation: a public address counts as internal for the whole case, though it may have been assigned
to the interface for a part of its period only; the address inventory has the period.
"""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

import ibis
import numpy as np
import pyarrow as pa
from ibis import _
from ibis.backends.duckdb import Backend

from flowbench import engine
from flowbench.enrich.intervals import address_keys, find_all, network_bounds
from flowbench.enrich.ownership import SPECIAL_PURPOSE, is_private

_SPECIAL = [ipaddress.ip_network(text) for text in SPECIAL_PURPOSE]


class Inventory(NamedTuple):
    """The tables of the inventory that tell which addresses are internal; None: not loaded."""

    interfaces: ibis.Table  # loaders.aws.interfaces.TABLE
    instances: ibis.Table | None = None
    elastic_ips: ibis.Table | None = None
    vpcs: ibis.Table | None = None
    subnets: ibis.Table | None = None

    def public_addresses(self) -> ibis.Table:
        """The public addresses of interfaces and instances, and Elastic IPs: ``address``."""
        public = self.interfaces.select(address=self.interfaces.public_addresses.unnest())
        for table in (self.instances, self.elastic_ips):
            if table is not None:
                public = public.union(table.select(address=table.public_address))
        return public.filter(public.address.notnull()).distinct()

    def public_networks(self) -> list[str]:
        """The networks of VPCs and subnets that are not private, in CIDR form."""
        tables = [table for table in (self.vpcs, self.subnets) if table is not None]
        texts = {
            text
            for table in tables
            for text in table.select(cidr=table.cidrs.unnest()).cidr.to_pyarrow().to_pylist()
        }
        networks = {network for text in texts if (network := _parse_network(text))}
        return sorted(str(network) for network in networks if not _is_special(network))


def internal_addresses(
    connection: Backend, addresses: ibis.Table, own: ibis.Table, inventory: Inventory
) -> ibis.Table:
    """Select the internal ones among some addresses that are not private: ``address``.

    Args:
        connection: Where the result is kept.
        addresses: Distinct addresses (``address``).
        own: The result of own_addresses.
        inventory: The inventory.
    """
    known = own.select("address").union(inventory.public_addresses())
    if networks := inventory.public_networks():
        known = known.union(_in_networks(connection, addresses, networks))
    return known.distinct()


def _in_networks(connection: Backend, addresses: ibis.Table, networks: list[str]) -> ibis.Table:
    """The addresses that are in one of some networks."""
    has_ipv6 = {":" in network for network in networks}
    public = addresses.filter(~is_private(_.address))
    if len(has_ipv6) == 1:
        public = public.filter(_.address.contains(":") == has_ipv6.pop())
    texts = public.select("address").to_pyarrow()["address"]
    first, last, _lengths = network_bounds(pa.chunked_array([pa.array(networks, pa.string())]))
    found, _network = find_all(address_keys(texts), first, last)
    rows = pa.table({"address": texts.take(pa.array(np.unique(found)))})
    return engine.register(connection, rows)


def _parse_network(text: str | None) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text or "", strict=False)
    except ValueError:
        return None


def _is_special(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    """Whether a network is private; or so wide (0.0.0.0/0) that it is no VPC's."""
    if network.prefixlen < (8 if network.version == 4 else 32):
        return True
    return any(
        network.version == special.version and network.subnet_of(special)  # type: ignore[arg-type]
        for special in _SPECIAL
    )
