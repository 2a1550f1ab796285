"""Whether an address is private, which interface it belongs to, and its neighbourhood.

Three questions about an address are answered here and nowhere else: whether it is private
(``is_private``), which interface has it as its own (``own_addresses``), and which other addresses
count as close to it (``neighbourhood``).
"""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

import ibis
from ibis import _

# RFC 1918, 6598 (carrier-grade NAT), 3927 and 4291 (link-local), 1122 (loopback), 4193 (ULA).
_PRIVATE = (
    r"^(10\.|127\.|192\.168\.|169\.254\.|172\.(1[6-9]|2[0-9]|3[01])\."
    r"|100\.(6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])\.|f[cd][0-9a-f]{2}:|fe[89ab][0-9a-f]:|::1$)"
)

# IANA's special-purpose registries, without the documentation and benchmarking networks, which
# training cases use for the internet (192.0.2.0/24 and the like), and without NAT64, whose
# addresses stand for hosts of the internet.
SPECIAL_PURPOSE = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/127",
    "fc00::/7",
    "fe80::/10",
    "ff00::/8",
)


class Scope(NamedTuple):
    """How far a neighbourhood extends: its prefix length for IPv4 and for IPv6."""

    ipv4: int  # a multiple of 8
    ipv6: int  # a multiple of 16


# Hosts of one subnet: AWS gives an IPv6 subnet a /64; a /24 is a common IPv4 subnet.
SUBNET = Scope(24, 64)
# One site: the longest prefixes that are routed on the internet (and RFC 6177's former /48).
SITE = Scope(24, 48)


def is_private(address: ibis.Value) -> ibis.Value:
    """Whether an address is private, link-local, loopback or carrier-grade NAT, as an expression.

    The documentation networks (192.0.2.0/24 and the like) count as public: training cases use
    them for the internet.
    """
    return address.re_search(_PRIVATE)


def neighbourhood(address: str, scope: Scope) -> str:
    """The network of an address in a scope, in CIDR form. Raises ValueError for no address."""
    bits = scope.ipv6 if ":" in address else scope.ipv4
    return str(ipaddress.ip_network(f"{address}/{bits}", strict=False))


def neighbourhood_key(address: ibis.Value, scope: Scope) -> ibis.Value:
    """A text that addresses have in common if and only if their neighbourhood is the same.

    Args:
        address: A string expression of canonically spelled addresses.
        scope: How far a neighbourhood extends.

    Returns:
        The leading octets ("203.0.113") or groups ("2001:db8:0:") as a string expression; the
        empty text for IPv4 text that is no address.
    """
    octets, groups = scope.ipv4 // 8, scope.ipv6 // 16
    ipv4 = address.re_extract(rf"^(\d+(?:\.\d+){{{octets - 1}}})(?:\.\d+){{{4 - octets}}}$", 1)
    ipv6 = _expanded(address).re_extract(rf"^((?:[0-9a-f]+:){{{groups}}})", 1)
    return address.contains(":").ifelse(ipv6, ipv4)


def _expanded(address: ibis.Value) -> ibis.Value:
    """An IPv6 address with all of its eight groups, none of them shortened to a "::"."""
    text = address.startswith("::").ifelse("0" + address, address)
    text = text.endswith("::").ifelse(text + "0", text)
    colons = text.length() - text.replace(":", "").length()  # of x::y as many as written groups
    return text.replace("::", ibis.literal(":0:0:0:0:0:0:").substr(0, 1 + 2 * (8 - colons)))


def own_addresses(flows: ibis.Table, interfaces: ibis.Table) -> ibis.Table:
    """Match interfaces with their own addresses: (interface_id, address), one row each.

    The inventory decides for the interfaces that it lists. For others the records do: every record
    of an interface has the interface's own address on one side, the side that flow-direction names
    where it is logged, else the address that all records of the interface share (of IPv4 or IPv6,
    each apart). Regional NAT gateways have no interface: they appear under their resource id, with
    their public addresses.

    Known limit: where all records of an interface have the same two addresses, the private one is
    taken as its own, or none if both are private.
    """
    listed = interfaces.select("interface_id", address=interfaces.addresses.unnest()).union(
        interfaces.select("interface_id", address=interfaces.private_address)
    )
    listed = listed.filter(_.address.notnull(), _.interface_id.notnull()).distinct()
    f = flows.filter(flows.srcaddr.notnull(), flows.interface_id.notnull())
    f = f.anti_join(interfaces.select("interface_id").distinct(), "interface_id")
    f = f.mutate(is_ipv6=f.srcaddr.contains(":"))  # an interface may have addresses of both kinds
    sides = [
        f.filter(f.flow_direction.isnull() | (f.flow_direction == direction)).select(
            "interface_id", "is_ipv6", address=f[column]
        )
        for direction, column in (("egress", "srcaddr"), ("ingress", "dstaddr"))
    ]
    keys = ["interface_id", "is_ipv6"]
    counts = sides[0].union(sides[1]).group_by(*keys, "address").aggregate(n=_.count())
    totals = f.group_by(keys).aggregate(total=_.count())
    shared = counts.join(totals, keys).filter(_.n >= _.total)
    candidates = ibis.window(group_by=keys)
    shared = shared.mutate(private=is_private(shared.address))
    shared = shared.mutate(
        candidates=_.count().over(candidates), privates=_.private.sum().over(candidates)
    )
    # A public IPv4 address is never an interface's own in flow logs; an IPv6 one is.
    possible = shared.private | shared.is_ipv6
    learned = shared.filter(possible, (_.candidates == 1) | (_.private & (_.privates == 1)))
    own = listed.union(learned.select("interface_id", "address"))
    if (regional := _regional_nat_addresses(flows, interfaces)) is not None:
        own = own.union(regional)
    return own.distinct()


def nat_gateways(flows: ibis.Table, interfaces: ibis.Table) -> ibis.Table:
    """NAT gateways by the interface_id that ``own_addresses`` gives them, one row each.

    From the inventory, from records that carry the interface's type (v11), and all regional ones.
    """
    found = interfaces.filter(interfaces.service == "nat-gateway").select("interface_id")
    if "interface_type" in flows.columns:
        typed = flows.filter(flows.interface_type == "nat_gateway").select("interface_id")
        found = found.union(typed)
    if (regional := is_regional_nat(flows)) is not None:
        found = found.union(flows.filter(regional).select(interface_id=_.resource_id))
    return found.filter(_.interface_id.notnull()).distinct()


def is_regional_nat(flows: ibis.Table) -> ibis.Value | None:
    """Whether a record is of a regional NAT gateway, which has an id, but no interface.

    None where no evidence has the field for it (resource-id, v9).
    """
    if "resource_id" not in flows.columns:
        return None
    return flows.interface_id.isnull() & flows.resource_id.startswith("nat-").fill_null(False)


def _regional_nat_addresses(flows: ibis.Table, interfaces: ibis.Table) -> ibis.Table | None:
    """The public addresses of regional NAT gateways, as ``own_addresses``, from their records.

    They record each exchange twice: client and peer, then their own address and the same peer. So
    of two public addresses the gateway's is the one that exchanges with a peer of its clients and
    is no such peer itself; the source of an inbound scan exchanges with no peer.
    """
    regional = is_regional_nat(flows)
    if regional is None:
        return None
    f = flows.filter(regional, flows.srcaddr.notnull(), flows.dstaddr.notnull())
    f = f.anti_join(interfaces, f.resource_id == interfaces.interface_id)
    directions = [
        f.select(nat=f.resource_id, near=f[near], far=f[far])
        for near, far in (("srcaddr", "dstaddr"), ("dstaddr", "srcaddr"))
    ]
    exchanges = directions[0].union(directions[1]).distinct()
    exchanges = exchanges.mutate(
        near_private=is_private(exchanges.near), far_private=is_private(exchanges.far)
    )
    external = exchanges.filter(~exchanges.near_private)
    peers = external.filter(external.far_private).select("nat", "near").distinct()
    candidates = external.semi_join(peers.rename(far="near"), ["nat", "far"])
    own = candidates.anti_join(peers, ["nat", "near"])
    return own.select(interface_id=own.nat, address=own.near).distinct()
