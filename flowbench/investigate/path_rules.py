"""What recorded security groups, network ACLs and route tables say about a packet.

The state is that of the describe calls, which may be older or newer than the flow records. A
security group allows if any rule does (it has no denials). A network ACL's entry with the lowest
number that matches decides. Of routes, the longest prefix decides. Source: Amazon VPC User Guide,
"Security group rules", "Network ACL basics", "Route priority".
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from flowbench.text import list_some

if TYPE_CHECKING:
    import ibis

    from flowbench.case import Case

Row = dict[str, Any]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Answer = Literal["allows", "denies", "unknown"]
_PROTOCOLS = {"tcp": 6, "udp": 17, "icmp": 1, "icmpv6": 58}
_ALL_PORTS = (0, 65_535)


@dataclass(frozen=True)
class Packet:
    """The packets that rules are asked about, seen from one interface.

    Attributes:
        direction: ingress or egress, seen from the interface.
        peers: The addresses or networks of the other end.
        peer_groups: Security groups of the other end's interfaces.
        protocol: IANA number.
        ports: First and last destination port.
    """

    direction: str
    peers: tuple[Network, ...]
    peer_groups: tuple[str, ...]
    protocol: int
    ports: tuple[int, int]


@dataclass(frozen=True)
class Ruling:
    """What recorded rules say: the answer, and the rules that it rests on, a phrase each."""

    answer: Answer
    rules: tuple[str, ...] = ()


UNKNOWN = Ruling("unknown")


def to_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return addresses and networks in CIDR form as networks; other text is left out."""
    networks: list[Network] = []
    for text in texts:
        try:
            networks.append(ipaddress.ip_network(text, strict=False))
        except ValueError:
            continue
    return tuple(sorted(set(networks), key=lambda n: (n.version, n)))


def read_security_groups(case: Case, group_ids: Sequence[str], packet: Packet) -> Ruling:
    """Return what the security groups of an interface say about a packet.

    A group whose rules are not in the case, and a rule for a prefix list, leave the answer unknown
    unless another rule allows.
    """
    rows = _latest(case.table("security_groups"), "group_id", lambda t: t.group_id.isin(group_ids))
    known = {row["group_id"] for row in rows}
    if not group_ids or not known:
        return UNKNOWN
    is_unsure = not set(group_ids) <= known
    directed = [row for row in rows if row["direction"] == packet.direction]
    for row in directed:
        if not _has_protocol(row, packet) or not _overlaps(row, packet):
            continue
        is_peer = row["peer_group_id"] in packet.peer_groups
        if (is_peer or _covers(row["cidr"], packet.peers)) and _covers_ports(row, packet):
            return Ruling("allows", (f"{row['group_id']} allows {_describe_rule(row)}",))
        is_open = row["prefix_list_id"] is not None or _touches(row["cidr"], packet.peers)
        is_unsure |= is_open or is_peer
        # Members of a group that the inventory does not name may include the peer.
        is_unsure |= row["peer_group_id"] is not None and not packet.peer_groups
    if is_unsure:
        return UNKNOWN
    allowed = list_some([_describe_rule(row) for row in directed], 4) or "nothing"
    groups = ", ".join(sorted(known))
    return Ruling("denies", (f"{groups} ({packet.direction}) allows only: {allowed}",))


def read_network_acl(case: Case, subnet_id: str | None, packet: Packet) -> Ruling:
    """Return what the network ACL of a subnet says about a packet."""
    table = case.table("network_acls")
    rows = _latest(table, "network_acl_id", lambda t: t.subnet_ids.contains(subnet_id))
    if subnet_id is None or not rows or not packet.peers:
        return UNKNOWN
    entries = sorted(
        (r for r in rows if r["direction"] == packet.direction and r["rule_number"] is not None),
        key=lambda row: row["rule_number"],
    )
    partial: set[str] = set()
    for row in entries:
        if not (_has_protocol(row, packet) and _overlaps(row, packet)):
            continue
        if not _touches(row["cidr"], packet.peers):
            continue
        phrase = f"{row['network_acl_id']} {packet.direction} rule {row['rule_number']}"
        phrase += f": {row['rule_action']} {_describe_rule(row)}"
        is_whole = _covers(row["cidr"], packet.peers) and _covers_ports(row, packet)
        if is_whole and row["icmp_type"] in (None, -1):
            if partial - {row["rule_action"]}:
                return Ruling("unknown", (phrase,))
            return Ruling("allows" if row["rule_action"] == "allow" else "denies", (phrase,))
        partial.add(row["rule_action"])
    if partial - {"deny"}:
        return UNKNOWN
    name = rows[0]["network_acl_id"]
    return Ruling("denies", (f"{name} ({packet.direction}) has no rule that allows it",))


def read_route(
    case: Case, vpc_id: str | None, subnet_id: str | None, peers: tuple[Network, ...]
) -> Ruling:
    """Return whether the route table of a subnet has an active route to the peers.

    The table is that associated to the subnet, else the main one of the VPC. A route to a prefix
    list leaves the answer unknown, unless another route matches.
    """
    rows = _latest(case.table("route_tables"), "route_table_id", lambda t: t.vpc_id == vpc_id)
    own = [row for row in rows if subnet_id is not None and subnet_id in (row["subnet_ids"] or ())]
    routes = own or [row for row in rows if row["is_main"]]
    if subnet_id is None or not routes or not peers:
        return UNKNOWN
    name = routes[0]["route_table_id"]
    phrases = []
    for peer in peers:
        matching = [row for row in routes if _covers(row["destination"], (peer,))]
        narrower = [row for row in routes if _touches(row["destination"], (peer,))]
        if len(narrower) > len(matching):  # routes to parts of the network that was asked about
            return UNKNOWN
        if not matching:
            if any(row["prefix_list_id"] for row in routes):
                return UNKNOWN
            return Ruling("denies", (f"{name} has no route to {peer}",))
        best = max(matching, key=lambda row: ipaddress.ip_network(row["destination"]).prefixlen)
        phrase = f"{name} routes {best['destination']} to {best['target']} ({best['state']})"
        if best["state"] == "blackhole":
            return Ruling("denies", (phrase,))
        phrases.append(phrase)
    return Ruling("allows", tuple(dict.fromkeys(phrases)))


def _latest(table: ibis.Table, key: str, condition: Callable[[Any], Any]) -> list[Row]:
    """Return the rows of the latest state of each resource that meets a condition, in order."""
    rows = table.filter(condition(table).fill_null(False))
    order = [rows.observed_at.asc(nulls_first=True), "evidence_id", "line", "item"]
    records = rows.order_by(order).to_pyarrow().to_pylist()
    states: dict[str, list[Row]] = {}
    origins: dict[str, Any] = {}
    for row in records:
        # A group's rules come from one item of an answer, or from one answer an item each.
        origin = (row["observed_at"], row["evidence_id"])
        if origins.get(row[key]) != origin:
            states[row[key]] = []
        origins[row[key]] = origin
        states[row[key]].append(row)
    return [row for name in sorted(states) for row in states[name]]


def _has_protocol(row: Row, packet: Packet) -> bool:
    protocol = row["protocol"]
    number = _PROTOCOLS.get(protocol, protocol)
    return protocol == "all" or str(number) == str(packet.protocol)


def _port_range(row: Row, packet: Packet) -> tuple[int, int]:
    if row["protocol"] == "all" or packet.protocol not in (6, 17) or row["from_port"] is None:
        return _ALL_PORTS
    return int(row["from_port"]), int(row["to_port"] if row["to_port"] is not None else 65_535)


def _overlaps(row: Row, packet: Packet) -> bool:
    first, last = _port_range(row, packet)
    return first <= packet.ports[1] and packet.ports[0] <= last


def _covers_ports(row: Row, packet: Packet) -> bool:
    first, last = _port_range(row, packet)
    return first <= packet.ports[0] and packet.ports[1] <= last


def _covers(cidr: str | None, peers: tuple[Network, ...]) -> bool:
    """Whether a network contains all peers."""
    networks = to_networks([cidr] if cidr else [])
    return bool(networks and peers) and all(
        peer.version == networks[0].version and peer.subnet_of(networks[0])  # type: ignore[arg-type]
        for peer in peers
    )


def _touches(cidr: str | None, peers: tuple[Network, ...]) -> bool:
    """Whether a network contains any address of the peers."""
    networks = to_networks([cidr] if cidr else [])
    return any(network.overlaps(peer) for network in networks for peer in peers)


def _describe_rule(row: Row) -> str:
    protocol = str(row["protocol"])
    names = {str(number): name for name, number in _PROTOCOLS.items()}
    protocol = names.get(protocol, protocol)
    ports = ""
    if row["from_port"] is not None and protocol in ("tcp", "udp"):
        first, last = row["from_port"], row["to_port"]
        ports = f" {first}" if first == last else f" {first}-{last}"
    peer = row["cidr"] or row.get("peer_group_id") or row.get("prefix_list_id") or "no network"
    return f"{protocol}{ports} {peer}"
