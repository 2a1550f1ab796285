"""Chains of credentials: which call issued a key, with which key that call was signed, and so on.

A call in another account is recorded in both accounts with the same sharedEventID: the caller's
account names the caller, the other may have nothing but its account. Credentials of an instance
have no caller: their session bears the id of the instance, and the chain goes on with the call that
launched it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from flowbench.investigate.api_events import ApiEvent, read_events
from flowbench.investigate.api_objects import read_texts
from flowbench.text import list_some

if TYPE_CHECKING:
    from flowbench.case import Case

MOST_HOPS = 16
_SESSION_OF_INSTANCE = re.compile(r"/(m?i-[0-9A-Za-z]{4,})$")


class Hop(NamedTuple):
    """One call of a chain: it issued the credentials of the next, or launched their instance."""

    event: ApiEvent
    description: str


class Chain(NamedTuple):
    """The calls behind some credentials, the last first."""

    hops: Sequence[Hop] = ()
    limit: str | None = None  # why it was not followed further, if it could have been


def read_issuing(case: Case, keys: Iterable[str]) -> list[ApiEvent]:
    """Read the successful calls that issued some access keys, in order of time.

    Of a call that is recorded in several accounts, the record that names the caller is returned.

    Args:
        case: The case.
        keys: Access keys.
    """
    table = case.api_events
    issued = table.new_access_key_id.isin(sorted(set(keys))) & table.error_code.isnull()
    found = add_callers(case, read_events(table.filter(issued.fill_null(False))))
    return list({(e.evidence_id, e.line, e.item): e for e in found}.values())


def add_callers(case: Case, events: Sequence[ApiEvent]) -> list[ApiEvent]:
    """Replace API events by the record in another account that names the caller, if there is one.

    Args:
        case: The case.
        events: Events, of which some may be recorded in several accounts.

    Returns:
        As many events, in the same order; a key that only one of the records has is kept.
    """
    shared = sorted({event.shared_event_id for event in events if event.shared_event_id})
    if not shared:
        return list(events)
    table = case.api_events
    copies: dict[tuple[object, ...], list[ApiEvent]] = {}
    for event in read_events(table.filter(table.shared_event_id.isin(shared))):
        copies.setdefault(_shared_key(event), []).append(event)
    merged = []
    for event in events:
        same = copies.get(_shared_key(event), []) if event.shared_event_id else []
        best = max([event, *same], key=_names_caller)
        both = (best, event, *same)
        key = next((e.new_access_key_id for e in both if e.new_access_key_id), None)
        response = next((e.response for e in both if e.response), None)
        merged.append(best._replace(new_access_key_id=key, response=response))
    return merged


def _shared_key(event: ApiEvent) -> tuple[object, ...]:
    """What the records of one call have in common: an id alone can be repeated by an attacker."""
    return event.shared_event_id, event.event_name, event.event_time


def _names_caller(event: ApiEvent) -> tuple[bool, bool]:
    return event.principal_arn is not None, event.access_key_id is not None


def instance_of_session(name: str | None) -> str | None:
    """Return the instance whose role session has a name (or an ARN); None for other sessions."""
    found = _SESSION_OF_INSTANCE.search(name or "")
    return None if found is None else found[1]


def find_launch(case: Case, instance_id: str) -> ApiEvent | None:
    """Return the successful call that launched an instance; None if the evidence has none."""
    table = case.api_events
    launched = (table.event_name == "RunInstances") & table.error_code.isnull()
    launched &= table.instance_ids.contains(instance_id)
    return next(iter(read_events(table.filter(launched.fill_null(False)))), None)


def follow_chain(case: Case, key: str | None, session: str | None = None) -> Chain:
    """Follow credentials back to the first that the evidence shows.

    Args:
        case: The case.
        key: An access key; None if it is unknown.
        session: The name of the principal that used it, for the sessions of instances.

    Returns:
        At most MOST_HOPS calls, the last first.
    """
    hops: list[Hop] = []
    seen: set[str] = set()
    while True:
        hop = _find_hop(case, key, session)
        if hop is None:
            return Chain(hops)
        if len(hops) == MOST_HOPS:
            text = f"The chain of credentials was followed for {MOST_HOPS} calls; a call before"
            return Chain(hops, f"{text} them is {hop.event.event_name} by {hop.event.caller}.")
        hops.append(hop)
        key, session = hop.event.access_key_id, hop.event.principal_name
        mark = key or session or ""
        if mark in seen:
            names = list_some(dict.fromkeys(hop.event.caller for hop in hops), 3)
            text = f"The chain of credentials returns to {mark}: {names} issued each other's"
            return Chain(hops, f"{text} credentials.")
        seen.add(mark)


def _find_hop(case: Case, key: str | None, session: str | None) -> Hop | None:
    issuing = read_issuing(case, [key])[:1] if key else []
    instance = instance_of_session(session)
    if instance and (not issuing or issuing[0].principal_type == "AWSService"):
        launch = find_launch(case, instance)
        if launch is not None:
            text = f"Session {session} is named after instance {instance}: {launch.describe()}"
            return Hop(launch, text)
    return next((Hop(event, describe_issuing(event)) for event in issuing), None)


def describe_issuing(event: ApiEvent) -> str:
    """State who issued credentials, with the caller's account where it is not that of the role."""
    text = event.describe()
    parts = [(arn or "").split(":")[4:5] for arn in (event.principal_arn, _role_arn(event))]
    if [] in parts or parts[0] == parts[1]:
        return text
    caller, role = (part[0] or "unknown" for part in parts)
    return f"{text[:-1]} (from account {caller} to account {role})."


def _role_arn(event: ApiEvent) -> str | None:
    texts = dict(read_texts(event.request))
    return texts.get("roleArn")
