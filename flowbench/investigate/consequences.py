"""What came of a principal's API calls, what became of that, and where its addresses occur."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

import ibis

from flowbench.investigate.api_events import ApiEvent, read_events
from flowbench.investigate.api_objects import describe_request
from flowbench.text import format_count, format_period, format_utc, list_some

if TYPE_CHECKING:
    from flowbench.case import Case

MOST_HOPS = 8  # of a chain of roles
_CREATING = ("Create", "Run", "Import", "Authorize", "Register", "Allocate")
# By the call that creates something: the calls that end it, and what they make of it.
_ENDS = {
    "RunInstances": {"TerminateInstances": "terminated", "StopInstances": "stopped"},
    "CreateAccessKey": {"DeleteAccessKey": "deleted", "UpdateAccessKey": "disabled"},
    "CreateUser": {"DeleteUser": "deleted"},
    "CreateRole": {"DeleteRole": "deleted"},
    "CreateLoginProfile": {"DeleteLoginProfile": "deleted"},
    "CreateKeyPair": {"DeleteKeyPair": "deleted"},
    "ImportKeyPair": {"DeleteKeyPair": "deleted"},
    "CreateSecurityGroup": {"DeleteSecurityGroup": "deleted"},
    "AuthorizeSecurityGroupIngress": {"RevokeSecurityGroupIngress": "changed again"},
}


class Consequence(NamedTuple):
    """Something that a call created, and what became of it."""

    event: ApiEvent
    name: str
    description: str


class Usage(NamedTuple):
    """An address of a principal's calls that occurs in flow logs."""

    address: str
    description: str
    first_seen: datetime


def find_consequences(case: Case, activity: Sequence[ApiEvent]) -> Iterator[Consequence]:
    """Yield what the successful calls created: instances, keys, users, roles, rules.

    Args:
        case: The case.
        activity: The calls of a principal, in order of time.
    """
    ends = _read_ends(case)
    for event in activity:
        if event.error_code is not None or not event.event_name.startswith(_CREATING):
            continue
        for name in _created(event):
            became = _became(ends, event, name)
            made = f"created {name}"
            if event.event_name.startswith("Authorize"):
                made = f"opened {describe_request(event.event_name, event.request, name)} in {name}"
            at = format_utc(event.event_time, seconds=True)
            yield Consequence(event, name, f"{event.event_name} {made} at {at}; {became}.")


def _created(event: ApiEvent) -> list[str]:
    if event.event_name == "RunInstances":
        return list(event.instance_ids or ())
    if event.new_access_key_id:
        return [event.new_access_key_id]
    return [event.object] if event.object else []


def _read_ends(case: Case) -> list[ApiEvent]:
    table = case.api_events
    names = sorted({name for ends in _ENDS.values() for name in ends})
    named = table.event_name.isin(names) & table.error_code.isnull()
    return read_events(table.filter(named))


def _became(ends: Sequence[ApiEvent], event: ApiEvent, name: str) -> str:
    """State what became of a resource, by the last event in the evidence that ends it."""
    ending = _ENDS.get(event.event_name, {})
    for end in reversed(ends):
        if end.event_time < event.event_time or end.event_name not in ending:
            continue
        if name in (end.instance_ids or ()) or f'"{name}"' in (end.request or ""):
            if end.event_name == "UpdateAccessKey" and '"Inactive"' not in (end.request or ""):
                break  # the key was enabled again
            at = format_utc(end.event_time, seconds=True)
            return f"it was {ending[end.event_name]} at {at} by {end.caller}"
    return "no event in the evidence ends it"


def role_chain(case: Case, access_key_id: str | None) -> list[ApiEvent]:
    """Return the calls that issued a key, the key of that call, and so on: the last hop first."""
    table = case.api_events
    chain: list[ApiEvent] = []
    seen: set[str] = set()
    key = access_key_id
    while key and key not in seen and len(chain) < MOST_HOPS:
        seen.add(key)
        issued = table.filter((table.new_access_key_id == key).fill_null(False))
        found = read_events(issued)
        if not found:
            break
        chain.append(found[0])
        key = found[0].access_key_id
    return chain


def find_usage(case: Case, principals: Sequence[str]) -> Iterator[Usage]:
    """Yield the source addresses of principals that occur in flow logs, with the hosts.

    Args:
        case: The case.
        principals: Names or ARNs.
    """
    table = case.principal_addresses
    wanted = sorted(set(principals))
    rows = table.filter(table.principal_name.isin(wanted) | table.principal_arn.isin(wanted))
    rows = rows.order_by("address", "first_call").to_pyarrow().to_pylist()
    for row in {row["address"]: row for row in reversed(rows)}.values():
        hosts = _hosts_of(case, row["address"])
        count = format_count(row["connections"], "connection")
        period = format_period(row["first_seen"], row["last_seen"])
        yield Usage(
            row["address"],
            f"{row['address']}, from which calls came, had {count} with {list_some(hosts)} from"
            f" {period}.",
            row["first_seen"],
        )


def _hosts_of(case: Case, address: str) -> list[str]:
    s = case.connection_summaries
    ends = [
        s.filter(s[one] == address).select(host=s[other])
        for one, other in (("initiator", "responder"), ("responder", "initiator"))
    ]
    hosts = ibis.union(*ends, distinct=True).order_by("host")
    return [str(host) for host in hosts.to_pyarrow()["host"].to_pylist()]
