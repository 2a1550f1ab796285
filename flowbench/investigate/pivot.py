"""Pivots: what an analyst may ask about, and what of the case each of them stands for.

An address, a network, an interface, an instance, a Name tag, a domain, a principal (user, role,
role session) or an access key. ``resolve`` recognises which of them a text is, from the case's own
tables, and refuses a text that is none of them with the nearest names.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import ibis
import numpy as np

from flowbench.enrich.intervals import address_keys
from flowbench.enrich.namesakes import choose_principal, name_of
from flowbench.errors import InputError
from flowbench.investigate.nearest_names import suggest_names
from flowbench.text import canonical_address, escape_controls, is_address, list_some, split_zone

if TYPE_CHECKING:
    from flowbench.case import Case

# Kinds that no name is taken for.
_UNMISTAKABLE = ("address", "network", "interface", "instance")


class Assignment(NamedTuple):
    """An address and the period of its assignment; a bound that is unknown is None."""

    address: str
    valid_from: datetime | None = None
    valid_until: datetime | None = None

    def overlaps(self, first: datetime | None, last: datetime | None) -> bool:
        """Whether something from ``first`` to ``last`` falls into the period."""
        if first is None:
            return True
        is_late = self.valid_until is not None and first > self.valid_until
        is_early = self.valid_from is not None and (last or first) < self.valid_from
        return not (is_late or is_early)


@dataclass(frozen=True)
class Pivot:
    """What a text stands for in a case; lists are sorted, and empty where there is none.

    Attributes:
        text: The text, in the case's spelling.
        kind: One of KINDS.
        assignments: Its addresses, internal and external, each with its period.
        interface_ids: Its interfaces.
        instance_ids: Its instances.
        principals: Names of principals as API events have them (user, role/session, root).
        access_key_ids: Access keys of these principals, or the key itself.
        domain: The domain; names below it belong to it.
    """

    text: str
    kind: str
    assignments: tuple[Assignment, ...] = ()
    interface_ids: tuple[str, ...] = ()
    instance_ids: tuple[str, ...] = ()
    principals: tuple[str, ...] = ()
    access_key_ids: tuple[str, ...] = ()
    domain: str | None = None

    @property
    def addresses(self) -> tuple[str, ...]:
        """Its addresses, each once."""
        return tuple(sorted({assignment.address for assignment in self.assignments}))

    @property
    def is_principal(self) -> bool:
        """Whether it is a user, a role, a role session or an access key."""
        return self.kind in ("principal", "access key")

    def covers(
        self, address: str | None, first: datetime | None = None, last: datetime | None = None
    ) -> bool:
        """Whether it had the address at some time of a period."""
        return any(
            assignment.address == address and assignment.overlaps(first, last)
            for assignment in self.assignments
        )


def resolve(case: Case, text: str) -> Pivot:
    """Resolve a text to what it stands for in a case.

    Args:
        case: The case.
        text: An IPv4 or IPv6 address (with a zone, where several hosts have it), a network in CIDR
            form, an interface (eni-…), an instance (i-…), the value of a Name tag, a domain, the
            name or ARN of a user, role or role session, or an access key. A kind and a colon before
            it choose a kind: ``name:web-1``, ``principal:web-1``, ``domain:…``.

    Returns:
        Its pivot. An address need not occur in the case; a network has those addresses that do.

    Raises:
        InputError: It is none of these in the case, it is several, several hosts have the address,
            or principals of several accounts the name.
    """
    kind, colon, rest = text.partition(":")
    if colon and kind.replace("-", " ") in KINDS:
        kinds, wanted = [kind.replace("-", " ")], rest
    else:
        kinds, wanted = list(KINDS), text
    wanted = wanted.strip()
    found: list[Pivot] = []
    for name in kinds:
        pivot = KINDS[name](case, wanted)
        if pivot is not None:
            found.append(pivot)
            if name in _UNMISTAKABLE:
                break
    if len(found) == 1:
        return found[0]
    shown = escape_controls(text)
    if found:
        choices = [f"{pivot.kind.replace(' ', '-')}:{escape_controls(wanted)}" for pivot in found]
        raise InputError(
            f"{shown!r} is several things in this case: give one of {list_some(choices)}"
        )
    raise InputError(
        f"{shown!r} is no address, network, interface, instance, Name tag, domain, principal or"
        f" access key of this case{suggest_names(case, wanted)}"
    )


def _resolve_address(case: Case, text: str) -> Pivot | None:
    if not is_address(text):
        return None
    bare, zone = split_zone(text)
    address = canonical_address(bare) if zone is None else f"{canonical_address(bare)}%{zone}"
    case.check_host(address)
    return Pivot(address, "address", (Assignment(address),))


def _resolve_network(case: Case, text: str) -> Pivot | None:
    if "/" not in text:
        return None
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
    known = case.addresses.select("address").distinct().order_by("address").to_pyarrow()["address"]
    bounds = [str(network.network_address), str(network.broadcast_address)]
    first, last = address_keys(bounds)
    keys = address_keys(known)
    within = known.take(np.flatnonzero((keys >= first) & (keys <= last)))
    return Pivot(str(network), "network", tuple(map(Assignment, within.to_pylist())))


def _resolve_interface(case: Case, text: str) -> Pivot | None:
    return _resolve_assigned(case, text, "interface", lambda t: t.interface_id == text)


def _resolve_instance(case: Case, text: str) -> Pivot | None:
    return _resolve_assigned(case, text, "instance", lambda t: t.instance_id == text)


def _resolve_name(case: Case, text: str) -> Pivot | None:
    return _resolve_assigned(case, text, "name", lambda t: t.name == text)


def _resolve_assigned(
    case: Case, text: str, kind: str, condition: Callable[[ibis.Table], Any]
) -> Pivot | None:
    """Resolve by the assignments of addresses; an interface or instance also by what names it."""
    table = case.address_assignments
    columns = "address interface_id instance_id public_addresses valid_from valid_until".split()
    rows = table.filter(condition(table).fill_null(False)).select(columns).to_pyarrow().to_pylist()
    interface_ids = {row["interface_id"] for row in rows}
    instance_ids = {row["instance_id"] for row in rows}
    if kind in ("interface", "instance"):
        if not rows and not _is_known_id(case, kind, text):
            return None
        (interface_ids if kind == "interface" else instance_ids).add(text)
        if kind == "interface":
            instance_ids -= {None}
    elif not rows:
        return None
    assignments = {
        Assignment(address, row["valid_from"], row["valid_until"])
        for row in rows
        for address in (row["address"], *(row["public_addresses"] or ()))
    }
    return Pivot(
        text,
        kind,
        tuple(sorted(assignments, key=lambda a: (a.address, str(a.valid_from)))),
        _sorted(interface_ids),
        _sorted(instance_ids),
    )


def _is_known_id(case: Case, kind: str, text: str) -> bool:
    """Whether flow records, API events, alerts or the inventory name an interface or instance."""
    columns = f"{kind}_ids", f"{kind}_id"
    tables = [
        (case.api_events, columns[0]),
        (case.alerts, columns[0]),
        (case.flows, columns[1]),
        (case.interfaces, columns[1]),
        (case.table("instances"), columns[0 if kind == "interface" else 1]),
    ]
    for table, column in tables:
        if column in table.columns:
            value = table[column]
            is_in = value.contains(text) if column.endswith("_ids") else value == text
            if _has_rows(table.filter(is_in.fill_null(False))):
                return True
    return False


def _resolve_domain(case: Case, text: str) -> Pivot | None:
    domain = text.rstrip(".").casefold()
    if "." not in domain or is_address(text) or not re.fullmatch(r"[^\s/:@]+", domain):
        return None
    dns, alerts = case.dns, case.alerts
    queries = dns.filter(is_in_domain(dns.name, domain))
    named = alerts.select(name=alerts.domains.unnest())
    listed = case.indicators
    if not (
        _has_rows(queries)
        or _has_rows(named.filter(is_in_domain(named.name, domain)))
        or _has_rows(listed.filter(listed.indicator == domain))
    ):
        return None
    answers = queries.select(answer=queries.answers.unnest()).distinct().order_by("answer")
    addresses = answers.to_pyarrow()["answer"].to_pylist()
    return Pivot(domain, "domain", tuple(map(Assignment, addresses)), domain=domain)


def is_in_domain(name: Any, domain: str) -> Any:
    """Whether a name is a domain, or one below it."""
    return (name == domain) | name.endswith(f".{domain}")


def _resolve_principal(case: Case, text: str) -> Pivot | None:
    """Resolve a user, a role with all its sessions, a role session, or the ARN of one."""
    events, alerts = case.api_events, case.alerts
    text = choose_principal(text, case.namesakes, events, alerts)
    role = events.principal_name.re_replace("/.*", "")
    names = (events.principal_name, events.principal_arn, events.issuer_arn, role)
    called = ibis.or_(*((column == text).fill_null(False) for column in names))
    found = events.filter(called).select("principal_name", "access_key_id").distinct()
    rows = found.to_pyarrow().to_pylist()
    bare = name_of(text, case.namesakes)
    account = "".join(text.split(":")[4:5])  # of an ARN: another may have the name too
    about = (events.target_user == bare) & ((events.account_id == account) | (not account))
    issued = events.filter(about.fill_null(False))
    alerted = alerts.filter(alerts.principal_names.contains(bare).fill_null(False))
    if not (rows or _has_rows(issued) or _has_rows(alerted)):
        return None
    keys = issued.filter(issued.new_access_key_id.notnull()).new_access_key_id
    own = {row["access_key_id"] for row in rows} | set(keys.to_pyarrow().to_pylist())
    principals = {row["principal_name"] for row in rows} | ({bare} if not rows else set())
    return Pivot(text, "principal", principals=_sorted(principals), access_key_ids=_sorted(own))


def _resolve_access_key(case: Case, text: str) -> Pivot | None:
    events, alerts = case.api_events, case.alerts
    signed = events.filter((events.access_key_id == text).fill_null(False))
    names = signed.select("principal_name").distinct().to_pyarrow()["principal_name"].to_pylist()
    issued = events.filter((events.new_access_key_id == text).fill_null(False))
    if not (
        names
        or _has_rows(issued)
        or _has_rows(alerts.filter(alerts.access_key_ids.contains(text).fill_null(False)))
    ):
        return None
    return Pivot(text, "access key", principals=_sorted(set(names)), access_key_ids=(text,))


KINDS: Mapping[str, Callable[[Case, str], Pivot | None]] = {
    "address": _resolve_address,
    "network": _resolve_network,
    "interface": _resolve_interface,
    "instance": _resolve_instance,
    "name": _resolve_name,
    "domain": _resolve_domain,
    "principal": _resolve_principal,
    "access key": _resolve_access_key,
}


def _has_rows(table: ibis.Table) -> bool:
    return bool(table.limit(1).count().to_pyarrow().as_py())


def _sorted(values: Iterable[Any]) -> tuple[str, ...]:
    return tuple(sorted(value for value in values if value is not None))
