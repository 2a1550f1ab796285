"""What a GuardDuty finding claims, one claim for each remote address, domain or caller.

A finding may name several remote addresses (port probes, attack sequences); each is judged on its
own. A claim has the host's addresses and interfaces at the time, from the address assignments.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from flowbench.investigate.guardduty_types import CLOUDTRAIL, DNS, SEQUENCE, find_sources
from flowbench.investigate.pivot import Assignment
from flowbench.text import split_zone

if TYPE_CHECKING:
    from flowbench.case import Case

TOLERANCE = timedelta(seconds=60)  # by which GuardDuty's times and those of records may differ

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Target:
    """One claim of a GuardDuty finding.

    Attributes:
        number: Identifies it among the targets of a case.
        alert: The row of Case.alerts.
        data_source: The logs that show it; None where none of the case's do.
        rests_on: What the finding rests on, where ``data_source`` is None.
        peer: The remote address or domain; None where the finding names none.
        addresses: Addresses of the host, none of them another host's.
        interface_ids: Its network interfaces.
        hosts: Its names as subjects of findings: addresses, with their zones.
        first, last: The period of the finding, with TOLERANCE.
    """

    number: int
    alert: Row
    data_source: str | None
    rests_on: str
    peer: str | None
    addresses: tuple[str, ...]
    interface_ids: tuple[str, ...]
    hosts: frozenset[str]
    first: datetime
    last: datetime

    @property
    def ports(self) -> tuple[int, ...]:
        """The service ports: of the remote address for outbound traffic, else the host's.

        None of an attack sequence: which of its endpoints has which port is not kept.
        """
        alert = self.alert
        if alert["type"].startswith(SEQUENCE):
            return ()
        local, remote = alert["local_ports"] or (), alert["remote_ports"] or ()
        if alert["direction"] == "OUTBOUND":
            chosen = remote
        elif alert["direction"] == "INBOUND" or alert["action_type"] == "PORT_PROBE":
            chosen = local
        else:
            chosen = [*local, *remote]
        return tuple(sorted({int(port) for port in chosen}))

    @property
    def principals(self) -> tuple[str, ...]:
        """Names of the users and roles concerned."""
        return tuple(self.alert["principal_names"] or ())

    @property
    def keys(self) -> tuple[str, ...]:
        """The access keys concerned."""
        return tuple(self.alert["access_key_ids"] or ())

    @property
    def host(self) -> str:
        """The host or principal concerned, for a sentence."""
        alert = self.alert
        named = alert["instance_id"] or alert["local_address"] or next(iter(self.addresses), None)
        if self.data_source == CLOUDTRAIL or named is None:
            named = next(iter(self.principals), None) or next(iter(self.keys), None) or named
        return named or "the resource"


def find_targets(case: Case, alerts: Sequence[Row]) -> list[Target]:
    """Return the claims of GuardDuty findings (rows of Case.alerts), in their order."""
    assignments = _read_assignments(case, alerts)
    shared = _read_shared(case)
    targets: list[Target] = []
    for alert in alerts:
        sources, rests_on = find_sources(alert)
        first, last = _period(alert)
        local = _find_host(alert, assignments, shared, first, last)
        for source, peer in _claims(alert, sources):
            number = len(targets)
            targets.append(Target(number, alert, source, rests_on, peer, *local, first, last))
    return targets


def _claims(alert: Row, sources: Iterable[str]) -> Iterator[tuple[str | None, str | None]]:
    """Yield data source and remote end of each claim; one without a source if there is none."""
    remotes, domains = alert["remote_addresses"] or (), alert["domains"] or ()
    found = False
    for source in sources:
        ends = domains if source == DNS else remotes
        has_name = bool(alert["access_key_ids"] or alert["principal_names"])
        if source == CLOUDTRAIL and has_name and (not ends or alert["type"].startswith(SEQUENCE)):
            ends = (None,)  # the calls of the principal, from wherever
        for end in ends:
            found = True
            yield source, end
    if not found:
        yield None, next(iter((*remotes, *domains)), None)


def _period(alert: Row) -> tuple[datetime, datetime]:
    first = alert["first_seen"] or alert["created_at"] or alert["updated_at"]
    last = alert["last_seen"] or alert["updated_at"]
    return min(first, last) - TOLERANCE, max(first, last) + TOLERANCE


def _find_host(
    alert: Row,
    assignments: Sequence[Row],
    shared: set[str],
    first: datetime,
    last: datetime,
) -> tuple[tuple[str, ...], tuple[str, ...], frozenset[str]]:
    """Return the addresses and interfaces of an alert's host, and its names in findings."""
    instances = {*(alert["instance_ids"] or ()), alert["instance_id"]} - {None}
    interfaces = set(alert["interface_ids"] or ())
    addresses = {*(alert["local_addresses"] or ()), alert["local_address"]} - {None}
    is_named = bool(instances or interfaces)
    candidates = [
        row
        for row in assignments
        if (
            row["instance_id"] in instances or row["interface_id"] in interfaces
            if is_named
            else row["address"] in addresses
        )
    ]
    at_the_time = [
        row
        for row in candidates
        if Assignment(row["address"], row["valid_from"], row["valid_until"]).overlaps(first, last)
    ]
    found_interfaces, own = set(interfaces), set(addresses)
    hosts: set[str] = set()
    for row in at_the_time or (candidates if is_named else ()):
        found_interfaces |= {row["interface_id"]} - {None}
        hosts.add(row["address"])
        own |= {split_zone(row["address"])[0], *(row["public_addresses"] or ())}
    # Records with a shared address may be another host's: those of the interface are not.
    own -= shared if found_interfaces else set()
    return tuple(sorted(own)), tuple(sorted(found_interfaces)), frozenset(hosts | own)


def _read_assignments(case: Case, alerts: Sequence[Row]) -> list[Row]:
    def collect(*names: str) -> list[str]:
        values: set[str | None] = set()
        for alert in alerts:
            for name in names:
                value = alert[name]
                values |= set(value) if isinstance(value, list) else {value}
        return sorted(value for value in values if value)

    table = case.address_assignments
    rows = table.filter(
        table.instance_id.isin(collect("instance_id", "instance_ids"))
        | table.interface_id.isin(collect("interface_ids"))
        | table.address.isin(collect("local_address", "local_addresses"))
    )
    columns = ["address", "interface_id", "instance_id", "public_addresses"]
    columns += ["valid_from", "valid_until"]
    return rows.select(columns).order_by("address", "interface_id").to_pyarrow().to_pylist()


def _read_shared(case: Case) -> set[str]:
    """The addresses that several hosts have."""
    if not case.has("flows"):
        return set()
    zones = case.address_zones.select("address").distinct()
    return {split_zone(address)[0] for address in zones.to_pyarrow()["address"].to_pylist()}
