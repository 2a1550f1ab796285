"""The rulings of recorded security groups, network ACLs and routes on the way between two ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowbench.engine import latest_rows
from flowbench.investigate.path_records import End, Observation
from flowbench.investigate.path_rules import (
    UNKNOWN,
    Network,
    Packet,
    Row,
    Ruling,
    read_network_acl,
    read_route,
    read_security_groups,
    to_networks,
)

if TYPE_CHECKING:
    from flowbench.case import Case

_PRIVATE = to_networks(
    ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
)
_EPHEMERAL = (1_024, 65_535)  # client ports, where no record names one
_ALL_PORTS = (0, 65_535)
_OTHER = {"source": "destination", "destination": "source"}
MOST_INTERFACES = 5  # of an end, whose rules are evaluated


@dataclass(frozen=True)
class Rulings:
    """What recorded rules say about requests and replies at either end.

    Where an end has several interfaces with different rulings, the answer is unknown.

    Attributes:
        case: The case.
        ends: The ends, by place (source, destination).
        networks: What the user asked for at each place: addresses, or the network.
        facts: The interfaces of each place, with subnet_id, vpc_id and security_groups.
        protocol: IANA number.
        port: The destination's port; None for ICMP.
        observations: What the records say; they name client ports.
    """

    case: Case
    ends: Mapping[str, End]
    networks: Mapping[str, tuple[Network, ...]]
    facts: Mapping[str, list[Row]]
    protocol: int
    port: int | None
    observations: list[Observation]

    def security_group(self, place: str, direction: str) -> Ruling:
        """Return what the security groups of an end say about requests or replies."""
        packet = self._packet(place, direction)
        return _combine(
            read_security_groups(self.case, row["security_groups"], packet)
            for row in self.facts[place]
        )

    def network_acl(self, place: str, direction: str) -> Ruling:
        """Return what the network ACLs of an end's subnets say about requests or replies."""
        packet = self._packet(place, direction)
        return _combine(
            read_network_acl(self.case, row["subnet_id"], packet) for row in self.facts[place]
        )

    def route(self, place: str) -> Ruling:
        """Return whether an end's subnets have a route to the other end."""
        peers = self._peers(place)
        return _combine(
            read_route(self.case, row["vpc_id"], row["subnet_id"], peers)
            for row in self.facts[place]
        )

    def _packet(self, place: str, direction: str) -> Packet:
        is_egress = (place == "source") == (direction == "request")
        groups = {g for row in self.facts[_OTHER[place]] for g in row["security_groups"]}
        if self.port is None:
            ports = _ALL_PORTS
        elif direction == "request":
            ports = (self.port, self.port)
        else:
            ports = self._client_ports()
        return Packet(
            "egress" if is_egress else "ingress",
            self._peers(place),
            tuple(sorted(groups)),
            self.protocol,
            ports,
        )

    def _client_ports(self) -> tuple[int, int]:
        """Return the ports that rejected replies, else all records, were sent to."""
        replies = [o for o in self.observations if (o.direction, o.action) == ("reply", "REJECT")]
        seen = [o for o in replies or self.observations if o.first_port is not None]
        if not seen:
            return _EPHEMERAL
        return min(o.first_port or 0 for o in seen), max(o.last_port or 0 for o in seen)

    def _peers(self, place: str) -> tuple[Network, ...]:
        """Return the other end as this one sees it: private among private, else public."""
        other = self.networks[_OTHER[place]]
        is_internal = any(map(_is_private, self.networks["source"])) and any(
            map(_is_private, self.networks["destination"])
        )
        same = tuple(network for network in other if _is_private(network) == is_internal)
        return same or other


def read_interfaces(case: Case, end: End) -> list[Row]:
    """Return subnet_id, vpc_id and security_groups of an end's interfaces, ordered by id.

    At most MOST_INTERFACES are read. What the inventory lacks comes from the flow records.
    """
    ids = end.interface_ids[:MOST_INTERFACES]
    table = latest_rows(case.interfaces, "interface_id", "observed_at")
    chosen = table.filter(table.interface_id.isin(ids))
    columns = ["interface_id", "subnet_id", "vpc_id", "security_groups"]
    known = {row["interface_id"]: row for row in chosen.select(columns).to_pyarrow().to_pylist()}
    assigned = case.address_assignments
    logged = assigned.filter(assigned.interface_id.isin(ids)).group_by("interface_id")
    places = logged.aggregate(subnet_id=assigned.subnet_id.max(), vpc_id=assigned.vpc_id.max())
    rows = []
    by_id = {row["interface_id"]: row for row in places.to_pyarrow().to_pylist()}
    for interface_id in ids:
        row = known.get(interface_id) or by_id.get(interface_id) or {}
        groups = sorted(row.get("security_groups") or ())
        names = ("subnet_id", "vpc_id")
        rows.append({name: row.get(name) for name in names} | {"security_groups": groups})
    return rows


def _is_private(network: Network) -> bool:
    return any(network.version == own.version and network.subnet_of(own) for own in _PRIVATE)  # type: ignore[arg-type]


def _combine(rulings: Iterable[Ruling]) -> Ruling:
    found = list(rulings)
    if len({ruling.answer for ruling in found}) != 1:
        return UNKNOWN
    return Ruling(found[0].answer, tuple(sorted({r for ruling in found for r in ruling.rules})))
