"""API calls in groups: equal calls of one principal, counted in the engine.

A program makes thousands of calls, of which an analyst needs the kinds, their number, their period
and what they were about. A group has the calls of one name by one user, or by the sessions of one
role, that succeeded, or that failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

import ibis
import pyarrow as pa
from ibis import _

from flowbench.investigate.api_events import ApiEvent, read_events
from flowbench.text import format_count, format_period, format_utc, list_some

MOST_READ = 20  # events of a group whose objects are read
_MOST_OBJECTS = 3  # named in a sentence
_KEY = ["who", "event_name", "failed"]
_ORDER = ["event_time", "event_id", "evidence_id", "line", "item"]
_FIRST = ["event_id", "evidence_id", "line", "item", "source_ip"]

Key = tuple[str, str, bool]


class CallGroup(NamedTuple):
    """Equal calls, and where the first of them is recorded."""

    who: str  # user, or role without session
    event_name: str
    failed: bool
    calls: int
    callers: int  # names of principals: several are sessions of a role
    caller: str | None  # one of them
    addresses: int
    codes: int  # different error codes
    code: str | None  # one of them
    read_only: bool
    first: datetime
    last: datetime
    event_id: str | None
    evidence_id: str
    line: int
    item: int | None
    source_ip: str | None  # of the first call

    @property
    def key(self) -> Key:
        """What distinguishes it from other groups."""
        return self.who, self.event_name, self.failed

    @property
    def name(self) -> str:
        """Who called: the only principal, or how many sessions of which role."""
        if self.callers > 1:
            return f"{self.callers:,} sessions of {self.who}"
        return self.caller or self.who

    @property
    def period(self) -> str:
        """When: 'at …' or 'from … to …'."""
        return describe_period(self.first, self.last)


def describe_period(first: datetime, last: datetime) -> str:
    """Return 'at 2026-09-02 03:09 UTC', or 'from … to …' where the minutes differ."""
    if format_utc(first) == format_utc(last):
        return f"at {format_utc(first)}"
    return f"from {format_period(first, last)}"


def group_calls(calls: ibis.Table) -> list[CallGroup]:
    """Return the groups of API events (rows of Case.api_events), in order of their first call."""
    marked = _mark(calls)
    order = [marked[name] for name in _ORDER]
    groups = marked.group_by(_KEY).aggregate(
        calls=_.count(),
        callers=_.principal_name.nunique(),
        caller=_.principal_name.min(),
        addresses=_.source_ip.nunique(),
        codes=_.error_code.nunique(),
        code=_.error_code.min(),
        read_only=_.read_only.fill_null(False).any(),
        first=_.event_time.min(),
        last=_.event_time.max(),
        **{name: marked[name].first(order_by=order, include_null=True) for name in _FIRST},
    )
    rows = groups.order_by("first", "event_id", *_KEY).select(*CallGroup._fields)
    return [CallGroup(**row) for row in rows.to_pyarrow().to_pylist()]


def read_calls(
    calls: ibis.Table, groups: Iterable[CallGroup], most: int = MOST_READ
) -> dict[Key, list[ApiEvent]]:
    """Read the first events of some groups, each in order of time.

    Args:
        calls: The events that were grouped.
        groups: Some of their groups.
        most: The most events of a group.
    """
    keys = [group.key for group in groups]
    if not keys:
        return {}
    names = (pa.array(column) for column in zip(*keys, strict=True))
    wanted = ibis.memtable(pa.table(dict(zip(_KEY, names, strict=True))))
    marked = _mark(calls).semi_join(wanted, _KEY)
    place = ibis.row_number().over(ibis.window(group_by=_KEY, order_by=_ORDER))
    some = marked.mutate(place=place)
    found: dict[Key, list[ApiEvent]] = {}
    for event in read_events(some.filter(some.place < most)):
        found.setdefault(_key_of(event), []).append(event)
    return found


def describe_group(group: CallGroup, events: Sequence[ApiEvent]) -> str:
    """State in a sentence who called what how often, when, on what, from where, and the outcome.

    Args:
        group: The group.
        events: Its first events.
    """
    objects = list(dict.fromkeys(event.object for event in events if event.object))
    separator = "; " if any(", " in name for name in objects) else ", "  # lists of objects
    named = list_some(objects, _MOST_OBJECTS, separator=separator)
    if group.calls > len(events):
        named = f"{separator.join(objects[:_MOST_OBJECTS])}{separator}…"
    target = f" on {named}" if objects else ""
    origin = f" from {group.source_ip}" if group.source_ip else ""
    if group.addresses > 1:
        origin += f" and {format_count(group.addresses - 1, 'other address', 'other addresses')}"
    outcome = f": all failed ({describe_errors(group)})" if group.failed else ""
    return (
        f"{group.name} called {group.event_name} {group.calls:,}x {group.period}{target}{origin}"
        f"{outcome}."
    )


def describe_errors(group: CallGroup) -> str:
    """Name the errors of a group that failed."""
    others = f" and {format_count(group.codes - 1, 'other error')}" if group.codes > 1 else ""
    return f"{group.code}{others}"


def _mark(calls: ibis.Table) -> ibis.Table:
    """Add the columns of _KEY."""
    role = calls.principal_name.re_replace("/.*", "")
    others = (calls.principal_arn, calls.principal_type, ibis.literal("unknown"))
    return calls.mutate(who=ibis.coalesce(role, *others), failed=calls.error_code.notnull())


def _key_of(event: ApiEvent) -> Key:
    who = event.caller if event.principal_name is None else event.principal_name.partition("/")[0]
    return who, event.event_name, event.error_code is not None
