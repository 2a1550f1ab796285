"""Whether an incident is contained: what was done against it, and what happened afterwards.

A containment event is a successful API call that stops a host, gives it other security groups or
takes a credential away, and that no later call undid (StartInstances, a key made active again). The
incident is contained when every host and key of it has one, no connection of its findings ended
later than GRACE after it, and the flow logs reach that far; in part, when only keys are left that
created the others. It is not contained when such a connection did end later, or when the
connections went on to the end of the logs. Otherwise the records do not show it: unknown.

Known limits: what is done outside AWS's API (a firewall, the operating system) is not recorded;
credentials that were already issued to a session remain valid until they expire.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import ibis

from flowbench.investigate.api_events import ApiEvent, read_events
from flowbench.text import format_utc, list_some

if TYPE_CHECKING:
    from flowbench.case import Case

GRACE = timedelta(minutes=10)  # one aggregation interval of AWS's default

_HOST_EVENTS = {
    "StopInstances": "stopped",
    "TerminateInstances": "terminated",
    "ModifyInstanceAttribute": "given other security groups",
    "ModifyNetworkInterfaceAttribute": "given other security groups",
}
_START = "StartInstances"
_KEY_EVENTS = {
    "UpdateAccessKey": "disabled",
    "DeleteAccessKey": "deleted",
    "DeleteUser": "deleted",
    "DeleteLoginProfile": "deprived of the console password",
    "DetachUserPolicy": "deprived of a policy",
    "PutUserPolicy": "given another policy",
}
_KEY_ID = re.compile(r'"accessKeyId"\s*:\s*"[^"]*"')

Credential = tuple[str, str]  # user and access key
_MOST_EVENTS = 4  # named in the reason


class Containment(NamedTuple):
    """Whether an incident is contained, and why."""

    status: str  # 'contained', 'contained in part', 'not contained' or 'unknown'
    reason: str  # sentences
    events: Sequence[ApiEvent] = ()  # the containment events, by time
    remaining: Sequence[str] = ()  # instances and access keys that none of them stops


def find_containment(
    case: Case,
    instances: Sequence[str],
    keys: Sequence[Credential],
    creators: Sequence[Credential],
    last_malicious: datetime | None,
) -> Containment:
    """Find out whether an incident is contained.

    Args:
        case: The case.
        instances: The ids of its instances.
        keys: User and access key of the credentials that started them.
        creators: The same of the credentials that created those, and of other findings.
        last_malicious: The end of the last connection of its findings; None without any.
    """
    events = [*_host_events(case, instances), *_key_events(case, [*keys, *creators])]
    events.sort(key=lambda event: (event.event_time, event.event_id or ""))
    own = [name for name in instances if not _stops(events, name)]
    own += [key for user, key in keys if not _disables(events, user, key)]
    others = [key for user, key in creators if not _disables(events, user, key)]
    status, reason = _judge(events, own, others, last_malicious, case.span[1])
    if last_malicious is not None:
        reason += f" Last connection of the findings: {_time(last_malicious)}."
    if (end := case.span[1]) is not None:
        reason += f" The flow logs end at {_time(end)}."
    return Containment(status, reason, events, [*own, *others])


def _judge(
    events: Sequence[ApiEvent],
    own: Sequence[str],
    others: Sequence[str],
    last_malicious: datetime | None,
    logs_end: datetime | None,
) -> tuple[str, str]:
    """Return the status and its reason."""
    nothing = "No API event stops a host or disables a key."
    if not events:
        if last_malicious and logs_end and logs_end - last_malicious <= GRACE:
            return "not contained", f"{nothing} The connections continued to the end of the logs."
        return "unknown", nothing
    last = max(event.event_time for event in events)
    stated = "; ".join(map(describe_event, events[:_MOST_EVENTS]))
    done = f"{re.sub('^an ', 'An ', stated)}."
    if last_malicious is not None and last_malicious > last + GRACE:
        return "not contained", f"{done} Connections continued afterwards."
    if own:
        return "unknown", f"{done} No API event stops or disables {list_some(own)}."
    if last_malicious is not None and (logs_end is None or logs_end < last):
        return "unknown", f"{done} The flow logs end before that."
    if others:
        return "contained in part", f"{done} No API event disables {list_some(others)}."
    return "contained", done


def describe_event(event: ApiEvent) -> str:
    """State a containment event: 'i-1 was stopped by s.okafor at … UTC (StopInstances)'."""
    done = _HOST_EVENTS.get(event.event_name) or _KEY_EVENTS.get(event.event_name, "changed")
    target = event.object or "a resource"
    if "AccessKey" in event.event_name:
        target = f"an access key of {target}"
    at = _time(event.event_time)
    return f"{target} was {done} by {event.caller} at {at} ({event.event_name})"


def _host_events(case: Case, instances: Sequence[str]) -> list[ApiEvent]:
    table = case.api_events
    if not instances:
        return []
    concerned = ibis.or_(*(table.instance_ids.contains(name) for name in instances))
    named = table.event_name.isin([*sorted(_HOST_EVENTS), _START])
    selected = table.filter(named & table.error_code.isnull() & concerned.fill_null(False))
    found = read_events(selected)
    lasting = []
    for event in found:
        still = [name for name in instances if _holds(event, name, found)]
        if still:
            lasting.append(event._replace(instance_ids=still))
    return lasting


def _holds(event: ApiEvent, instance: str, events: Sequence[ApiEvent]) -> bool:
    """Whether an event stops or isolates an instance, and no later one starts it again."""
    if event.event_name == _START or instance not in (event.instance_ids or ()):
        return False
    if event.event_name.startswith("Modify"):  # other attributes isolate nothing
        return '"groupSet"' in (event.request or "")
    return event.event_name == "TerminateInstances" or not any(
        later.event_name == _START
        and later.event_time > event.event_time
        and instance in (later.instance_ids or ())
        for later in events
    )


def _key_events(case: Case, keys: Sequence[Credential]) -> list[ApiEvent]:
    table = case.api_events
    if not keys:
        return []
    users = sorted({user for user, _ in keys if user})
    named = table.event_name.isin(sorted(_KEY_EVENTS))
    concerned = table.target_user.isin(users).fill_null(False)
    found = read_events(table.filter(named & table.error_code.isnull() & concerned))
    known = {key for _, key in keys}
    return [
        event for event in found if _is_containment(event, known) and not _is_undone(event, found)
    ]


def _is_undone(event: ApiEvent, events: Sequence[ApiEvent]) -> bool:
    """Whether a key that an event disabled was made active again."""
    key = _KEY_ID.search(event.request or "")
    return event.event_name == "UpdateAccessKey" and any(
        later.event_name == "UpdateAccessKey"
        and later.event_time > event.event_time
        and '"Active"' in (later.request or "")
        and key is not None
        and key[0] in (later.request or "")
        for later in events
    )


def _is_containment(event: ApiEvent, keys: set[str]) -> bool:
    """Whether an event about a user takes a credential of the incident away."""
    request = event.request or ""
    if event.event_name == "UpdateAccessKey":
        return '"Inactive"' in request and any(f'"{key}"' in request for key in keys)
    if event.event_name == "DeleteAccessKey":
        return any(f'"{key}"' in request for key in keys)
    return event.event_name in ("DeleteUser", "DeleteLoginProfile")


def _stops(events: Sequence[ApiEvent], instance: str) -> bool:
    return any(
        event.event_name in _HOST_EVENTS and instance in (event.instance_ids or ())
        for event in events
    )


def _disables(events: Sequence[ApiEvent], user: str, key: str) -> bool:
    return any(
        event.target_user == user
        and (event.event_name == "DeleteUser" or f'"{key}"' in (event.request or ""))
        for event in events
        if event.event_name in _KEY_EVENTS
    )


def _time(moment: datetime) -> str:
    return format_utc(moment, seconds=True)
