"""Whether an incident is contained: what was done against it, and what happened afterwards.

What was done are the countermeasures: API events that stop a host or take a credential away, and
that none undid. The incident is contained when every host and key of it has one, no connection of
its findings ended later than GRACE after it, and the flow logs reach that far; in part, when only
keys are left that created the others or that AWS's quarantine policy limits, or when a deleted user
was created again. It is not contained when such a connection did end later, or when the connections
went on to the end of the logs. Otherwise the records do not show it: unknown.

Known limits: what is done outside AWS's API (a firewall, the operating system) is not recorded;
credentials that were already issued to a session remain valid until they expire, unless its role
denies them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from flowbench.report.countermeasures import (
    Countermeasure,
    Countermeasures,
    Credential,
    find_countermeasures,
)
from flowbench.text import format_utc, list_some

if TYPE_CHECKING:
    from flowbench.case import Case

GRACE = timedelta(minutes=10)  # one aggregation interval of AWS's default

_MOST_EVENTS = 4  # named in the reason


class Containment(NamedTuple):
    """Whether an incident is contained, and why."""

    status: str  # 'contained', 'contained in part', 'not contained' or 'unknown'
    reason: str  # sentences
    done: Sequence[Countermeasure] = ()  # by time
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
    since = None if last_malicious is None else last_malicious - GRACE
    found = find_countermeasures(case, instances, [*keys, *creators], since)
    stopped = {name for each in found.lasting for name in each.stops}
    limited = {name for each in found.lasting for name in each.limits}
    left = [name for name in (*instances, *(key for _, key in keys)) if name not in stopped]
    own = [name for name in left if name not in limited]
    others = [name for name in left if name in limited]
    others += [key for _, key in creators if key not in stopped]
    status, reason = _judge(found, own, others, last_malicious, case.span[1])
    if last_malicious is not None:
        reason += f" Last connection of the findings: {_time(last_malicious)}."
    if (end := case.span[1]) is not None:
        reason += f" The flow logs end at {_time(end)}."
    return Containment(status, reason, found.lasting, [*own, *others])


def _judge(
    found: Countermeasures,
    own: Sequence[str],
    others: Sequence[str],
    last_malicious: datetime | None,
    logs_end: datetime | None,
) -> tuple[str, str]:
    """Return the status and its reason."""
    nothing = "No API event stops a host or disables a key."
    if not found.lasting:
        if last_malicious and logs_end and logs_end - last_malicious <= GRACE:
            return "not contained", f"{nothing} The connections continued to the end of the logs."
        return "unknown", nothing
    last = max(each.event.event_time for each in found.lasting)
    stated = "; ".join(each.describe() for each in found.lasting[:_MOST_EVENTS])
    done = f"{re.sub('^access key', 'Access key', stated)}."
    for event in found.recreated:
        at = f"{_time(event.event_time)} ({event.event_name})"
        done += f" {event.target_user} was created again by {event.caller} at {at}."
    if last_malicious is not None and last_malicious > last + GRACE:
        return "not contained", f"{done} Connections continued afterwards."
    if own:
        return "unknown", f"{done} No API event stops or disables {list_some(own)}."
    if last_malicious is not None and (logs_end is None or logs_end < last):
        return "unknown", f"{done} The flow logs end before that."
    if others:
        return "contained in part", f"{done} No API event disables {list_some(others)}."
    return "contained in part" if found.recreated else "contained", done


def _time(moment: datetime) -> str:
    return format_utc(moment, seconds=True)
