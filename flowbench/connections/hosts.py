"""Which interfaces with one own address are one host, and which host a peer is.

Interfaces with one own address are one host if their VPC is the same. Where the VPC of one is
unknown, they are several hosts if their accounts differ, or if their records overlap in time by
more than OVERLAP: in one VPC an address is assigned anew only after it was released.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

OVERLAP = timedelta(seconds=660)  # a capture window of ten minutes, and a minute that stamps err

_NO_ID = re.compile(r"[^0-9A-Za-z_-]")  # what no AWS id contains


class Owner(NamedTuple):
    """An interface that has an address as its own, and the period of its records."""

    interface_id: str
    vpc_id: str | None
    account_id: str | None
    first_seen: datetime | None
    last_seen: datetime | None


class Host(NamedTuple):
    """A host that shares its address with others."""

    name: str  # the address with its zone
    owners: tuple[Owner, ...]
    vpc_id: str | None
    account_id: str | None


def divide_owners(owners: Iterable[Owner]) -> list[list[Owner]]:
    """Divide the interfaces of one address into hosts: the VPCs, then what is in none."""
    hosts: list[list[Owner]] = []
    for owner in sorted(owners, key=_in_order):
        host = next((h for h in hosts if all(_may_be_one(owner, other) for other in h)), None)
        if host is None:
            hosts.append([owner])
        else:
            host.append(owner)
    return hosts


def name_hosts(address: str, hosts: list[list[Owner]]) -> list[Host]:
    """Give each host of an address its zone."""
    vpcs = [next((o.vpc_id for o in host if o.vpc_id), None) for host in hosts]
    accounts = [next((o.account_id for o in host if o.account_id), None) for host in hosts]
    named = []
    for host, vpc, account in zip(hosts, vpcs, accounts, strict=True):
        is_only_one = account is not None and accounts.count(account) == 1
        zone = vpc or (account if is_only_one else None) or host[0].interface_id
        named.append(Host(f"{address}%{_NO_ID.sub('_', zone)}", tuple(host), vpc, account))
    return named


def _in_order(owner: Owner) -> tuple[bool, str, bool, float, str]:
    first = owner.first_seen
    start = first.timestamp() if first else 0.0
    return not owner.vpc_id, owner.vpc_id or "", first is None, start, owner.interface_id


def _may_be_one(one: Owner, other: Owner) -> bool:
    """Whether two interfaces with one address may be of one VPC."""
    if one.vpc_id and other.vpc_id:
        return one.vpc_id == other.vpc_id
    if one.account_id and other.account_id and one.account_id != other.account_id:
        return False
    if one.first_seen and one.last_seen and other.first_seen and other.last_seen:
        end = min(one.last_seen, other.last_seen)
        return end - max(one.first_seen, other.first_seen) <= OVERLAP
    return True


def choose_host(observer: Owner, hosts: Iterable[Host], with_peer: Iterable[str]) -> Host | None:
    """Choose which host of one address an observer recorded as a peer; None if that is unclear.

    Args:
        observer: The observation point.
        hosts: The hosts of the address.
        with_peer: The names of those that recorded traffic with the same peer.
    """
    hosts = list(hosts)
    rules = (
        lambda host: host.vpc_id is not None and host.vpc_id == observer.vpc_id,
        lambda host: (
            host.account_id is not None
            and host.account_id == observer.account_id
            and not (host.vpc_id and observer.vpc_id)
        ),
        lambda host: host.name in set(with_peer),
    )
    for applies in rules:
        chosen = [host for host in hosts if applies(host)]
        if len(chosen) == 1:
            return chosen[0]
    return None
