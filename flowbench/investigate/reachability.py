"""Reachability: why X cannot reach a port of Y, from flow log records and recorded rules.

Method: the records of requests and replies are counted at the interfaces of both ends; the place
where they end, or are rejected, leaves few controls, and the rules of recorded describe calls
choose among them (path_causes, path_rules). Source: Amazon VPC User Guide, "Flow log record
examples" and "Flow log limitations".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import ibis
import pandas as pd

from flowbench.errors import InputError, MissingFieldError
from flowbench.investigate.filters import Filters
from flowbench.investigate.path_causes import find_causes
from flowbench.investigate.path_facts import Cause, Path
from flowbench.investigate.path_limits import describe_limits
from flowbench.investigate.path_records import End, Observation, count_logged, observe
from flowbench.investigate.path_rules import to_networks
from flowbench.investigate.path_rulings import MOST_INTERFACES, Rulings, read_interfaces
from flowbench.investigate.pivot import Assignment, Pivot, resolve
from flowbench.schema import Table
from flowbench.text import escape_controls, format_count, format_period, split_zone

if TYPE_CHECKING:
    from flowbench.case import Case

TABLE = Table.of(
    "reachability",
    ("kind", "string", "observation, cause or limit"),
    ("place", "string", "source, destination or between"),
    ("control", "string", "of a cause: what is to blame; 'none' if it was answered"),
    ("confidence", "string", "of a cause: high, medium or low"),
    ("statement", "string", "a sentence"),
    ("rules", "string", "of a cause: the recorded rules that it rests on"),
    ("check", "string", "of a cause: the command that would settle it"),
    ("interface_id", "string", "of an observation: the interface"),
    ("direction", "string", "of an observation: request or reply"),
    ("action", "string", "of an observation: ACCEPT or REJECT"),
    ("records", "int64", "of an observation: number of records, each counted once"),
    ("first_seen", "time", "of an observation: start of the first record"),
    ("last_seen", "time", "of an observation: end of the last record"),
    ("evidence_id", "string", "of an observation: file of the first record"),
    ("file", "string", "of an observation: name of that file"),
    ("line", "int64", "of an observation: line in it"),
)

PROTOCOLS = {"tcp": 6, "udp": 17, "icmp": 1}
_NEEDED = ("srcaddr", "dstaddr", "protocol", "action", "start", "end", "interface_id")


@dataclass(frozen=True)
class Reachability:
    """Why X cannot reach Y: what the records say, what fits, and what stays unknown.

    Attributes:
        source: X, as in the question.
        destination: Y, as in the question.
        protocol: tcp, udp or icmp.
        port: The destination's port; None for ICMP.
        observations: What the records say at each interface.
        causes: What fits, the most likely first; at least one.
        limits: What flow logs, or this case's, cannot tell; a sentence each.
    """

    source: str
    destination: str
    protocol: str
    port: int | None
    observations: tuple[Observation, ...]
    causes: tuple[Cause, ...]
    limits: tuple[str, ...]

    def to_pandas(self) -> pd.DataFrame:
        """Return observations, causes and limits as a frame (TABLE)."""
        rows: list[dict[str, object]] = []
        for o in self.observations:
            names = "place interface_id direction action records first_seen last_seen"
            names += " evidence_id file line"
            values = {name: getattr(o, name) for name in names.split()}
            rows.append({"kind": "observation", "statement": describe_observation(o), **values})
        for cause in self.causes:
            names = "place control confidence statement check"
            values = {name: getattr(cause, name) for name in names.split()}
            rows.append({"kind": "cause", "rules": "; ".join(cause.rules) or None, **values})
        rows += [{"kind": "limit", "statement": limit} for limit in self.limits]
        return TABLE.frame(rows)

    def to_text(self) -> str:
        """Return all of it as lines for a terminal, with hostile text escaped."""
        port = self.protocol if self.port is None else f"{self.port}/{self.protocol}"
        lines = [f"From {self.source} to {self.destination} {port}", "", "Records"]
        lines += [f"  {describe_observation(o)}" for o in self.observations] or ["  none"]
        lines += ["", "Causes that fit"]
        for cause in self.causes:
            lines.append(
                f"  {cause.control} ({cause.confidence}, {cause.place}): {cause.statement}"
            )
            lines += [f"    rule: {rule}" for rule in cause.rules]
            lines += [f"    to check: {cause.check}"] if cause.check else []
        lines += ["", "What the flow logs cannot tell", *(f"  {limit}" for limit in self.limits)]
        return "\n".join(map(escape_controls, lines))


def explain(
    case: Case,
    x: str,
    y: str,
    port: int | None = None,
    *,
    protocol: str = "tcp",
    since: datetime | None = None,
    until: datetime | None = None,
) -> Reachability:
    """Explain why X cannot reach a port of Y.

    Args:
        case: The case.
        x: The end that opens the connection: an address, interface, instance or Name tag.
        y: The other end: the same, or a network in CIDR form.
        port: Its port; None for ICMP.
        protocol: tcp, udp or icmp.
        since: Start of the period, UTC.
        until: Its end, exclusive.

    Raises:
        InputError: An end is not in the case or has no address, both ends are the same, or the
            port does not fit the protocol.
        MissingFieldError: The case's flow logs lack a field that is needed.
    """
    if protocol not in PROTOCOLS:
        raise InputError(f"{protocol!r} is no protocol: choose tcp, udp or icmp")
    if (port is None) != (protocol == "icmp"):
        raise InputError("TCP and UDP need a port, and ICMP has none")
    if port is not None and not 0 <= port <= 65_535:
        raise InputError(f"{port} is no port: choose one from 0 to 65535")
    needed = {*_NEEDED, *(("srcport", "dstport") if port is not None else ())}
    if missing := sorted(needed - case.fields):
        raise MissingFieldError(f"the case's flow logs lack {', '.join(missing)}")
    filters = Filters(since, until)
    pivots = {"source": _resolve(case, x), "destination": _resolve(case, y)}
    if pivots["source"].kind == "network":
        raise InputError(f"{x} is a network: give one source")
    ends = {name: _to_end(case, name, pivot, filters) for name, pivot in pivots.items()}
    if set(ends["source"].addresses) & set(ends["destination"].addresses):
        raise InputError(f"{x} and {y} have an address in common: give two different ends")
    path = _to_path(case, pivots, ends, protocol, port, filters)
    return Reachability(
        path.source,
        path.destination,
        protocol,
        port,
        path.observations,
        tuple(find_causes(path)),
        tuple(describe_limits(case, path)),
    )


def describe_observation(o: Observation) -> str:
    """Return an observation as a phrase."""
    action = {"ACCEPT": "accepted", "REJECT": "rejected"}.get(o.action or "", "without action")
    at = f"at the {o.place}" if o.place != "between" else "at another interface"
    text = f"{format_count(o.records, f'{o.direction} record')} {action} {at}"
    text += f" ({o.interface_id or 'no interface id'})"
    if o.first_seen and o.last_seen:
        text += f", {format_period(o.first_seen, o.last_seen, seconds=True)}"
    notes = [
        (o.syn_acks, "with SYN-ACK"),
        (o.resets, "with RST"),
        (o.late, "of ports also accepted, perhaps late packets"),
    ]
    text += "".join(f", {count:,} {note}" for count, note in notes if count)
    return f"{text}; first: {o.file} line {o.line}"


def _resolve(case: Case, text: str) -> Pivot:
    pivot = resolve(case, text)
    if not pivot.assignments and pivot.kind != "network":
        raise InputError(f"{escape_controls(text)} has no address in this case")
    return pivot


def _to_end(case: Case, name: str, pivot: Pivot, filters: Filters) -> End:
    """Return the addresses of a pivot and the interfaces that have them in the period."""
    assigned = case.address_assignments
    publics = assigned.mutate(public=assigned.public_addresses.unnest())
    publics = publics.filter(publics.public.isin(pivot.addresses))
    chosen = ibis.or_(
        assigned.address.isin(pivot.addresses).fill_null(False),
        assigned.interface_id.isin(pivot.interface_ids).fill_null(False),
    )
    columns = ["address", "interface_id", "valid_from", "valid_until"]
    rows = assigned.filter(chosen).select(columns).union(publics.select(columns))
    addresses, interfaces = set(pivot.addresses), set(pivot.interface_ids)
    for row in rows.distinct().to_pyarrow().to_pylist():
        held = Assignment(row["address"], row["valid_from"], row["valid_until"])
        if filters.since is None or held.overlaps(filters.since, filters.until):
            interfaces |= {row["interface_id"]} - {None}
            addresses.add(row["address"])
    bare = sorted({split_zone(address)[0] for address in addresses})
    return End(name, tuple(bare), tuple(sorted(interfaces)))


def _to_path(
    case: Case,
    pivots: dict[str, Pivot],
    ends: dict[str, End],
    protocol: str,
    port: int | None,
    filters: Filters,
) -> Path:
    number = PROTOCOLS[protocol]
    source, destination = ends["source"], ends["destination"]
    seen = observe(case, source, destination, number, port, filters)
    if any("%" in address for pivot in pivots.values() for address in pivot.addresses):
        seen = [o for o in seen if o.place != "between"]  # may be of a host with the same address
    facts = {name: read_interfaces(case, end) for name, end in ends.items()}
    networks = {
        name: to_networks(
            [split_zone(pivot.text)[0]]
            if pivot.kind in ("network", "address")
            else ends[name].addresses
        )
        for name, pivot in pivots.items()
    }
    rules = Rulings(case, ends, networks, facts, number, port, seen)
    return Path(
        pivots["source"].text,
        pivots["destination"].text,
        protocol,
        port,
        tuple(seen),
        {name: count_logged(case, end, filters) for name, end in ends.items()},
        {name: end.interface_ids[:MOST_INTERFACES] for name, end in ends.items()},
        {n: tuple(sorted({f["subnet_id"] for f in facts[n]} - {None})) for n in ends},
        {n: tuple(sorted({f["vpc_id"] for f in facts[n]} - {None})) for n in ends},
        {n: tuple(sorted({g for f in facts[n] for g in f["security_groups"]})) for n in ends},
        rules.security_group,
        rules.network_acl,
        rules.route,
    )
