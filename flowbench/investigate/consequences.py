"""Resources that API calls created, how they ended, and where the callers' addresses occur."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import ibis
import pyarrow as pa
from ibis import _
from ibis.expr import types as ir

from flowbench.investigate.activity import MOST_SINGLE
from flowbench.investigate.api_events import ApiEvent, read_events
from flowbench.investigate.api_objects import describe_request, name_created
from flowbench.investigate.call_groups import describe_period
from flowbench.investigate.filters import Filters, filter_period
from flowbench.investigate.resource_ends import Ending, find_endings
from flowbench.text import format_count, format_utc, list_some

if TYPE_CHECKING:
    from flowbench.case import Case

MOST_CREATED = 2_000  # calls whose outcome is looked up
MOST_HOSTS = 5  # of an address in flows
MOST_ADDRESSES = 10  # in flows, with a sentence each
_CREATING = (
    "Create|Run|Import|Authorize|Register|Allocate|Copy|Upload|Publish|Attach|AddUserToGroup"
)
_CREATING += "|AddPermission|AddLayerVersionPermission|AddRoleToInstanceProfile|Put\\w+Policy"
_CREATED = f"^(?:{_CREATING})"
# What no one would look for: parts of other things, made by the million.
_PARTS = ("CreateTags", "CreateLogStream", "CreateMultipartUpload", "CopyObject", "CreateGrant")
_EVERYTHING = Filters()


class Consequence(NamedTuple):
    """Something that a call created, and what became of it."""

    event: ApiEvent
    name: str | None  # None: several things
    description: str


class Usage(NamedTuple):
    """An address of a principal's calls that occurs in flow logs."""

    address: str
    description: str
    first_seen: datetime


def find_consequences(case: Case, calls: ibis.Table) -> Iterator[Consequence]:
    """Yield what successful calls created: instances, keys, users, roles, policies, rules.

    A few things created by equal calls are listed singly; more are counted, with their outcomes.

    Args:
        case: The case.
        calls: Rows of Case.api_events.
    """
    created = calls.filter(is_creating(calls) & calls.error_code.isnull())
    events = read_events(created.order_by("event_time", "event_id", "line").limit(MOST_CREATED))
    ends = find_endings(case, events)
    kinds: dict[str, list[int]] = {}
    for place, event in enumerate(events):
        kinds.setdefault(event.event_name, []).append(place)
    for places in kinds.values():
        if len(places) > MOST_SINGLE:
            yield _describe_many([(events[p], ends.get(p)) for p in places])
        else:
            yield from (each for p in places for each in describe_one(events[p], ends.get(p)))
    if len(events) == MOST_CREATED:
        count = created.count().to_pyarrow().as_py()
        if count > MOST_CREATED:
            text = (
                f"The first {MOST_CREATED:,} of {count:,} resource-creating calls are listed above."
            )
            yield Consequence(events[-1], None, text)


def is_creating(calls: ibis.Table) -> ir.BooleanValue:
    """Whether API events create something, by their name."""
    return calls.event_name.re_search(_CREATED) & ~calls.event_name.isin(_PARTS)


def describe_one(event: ApiEvent, end: Ending | None) -> Iterator[Consequence]:
    """Yield each thing that a call created, and what became of it.

    Args:
        event: The call.
        end: The last call that ended it, if there is one.
    """
    at = format_utc(event.event_time, seconds=True)
    for name in _created(event):
        became = "no event in the evidence ends it"
        if end is not None and (event.event_name != "RunInstances" or _has(end.event, name)):
            became = f"it was {describe_end(end)}"
        made = f"created {name}"
        if event.event_name.startswith("Authorize"):
            made = f"opened {describe_request(event.event_name, event.request, name)} in {name}"
        elif event.event_name.startswith(("Attach", "Put", "Add")):
            details = describe_request(event.event_name, event.request, name)
            made = f"changed {name}{f' ({details})' if details else ''}"
        yield Consequence(event, name, f"{event.event_name} {made} at {at}; {became}.")


def describe_end(end: Ending) -> str:
    """State how and when a resource ended, and by whom."""
    at = format_utc(end.event.event_time, seconds=True)
    return f"{end.verb} at {at} by {end.event.caller}"


def _has(event: ApiEvent, instance: str) -> bool:
    return instance in (event.instance_ids or ())


def _describe_many(created: Sequence[tuple[ApiEvent, Ending | None]]) -> Consequence:
    """Count what equal calls created, and what became of it."""
    first, last = created[0][0], created[-1][0]
    names = list(dict.fromkeys(name for event, _end in created for name in _created(event)))
    verbs: dict[str, int] = {}
    for _event, end in created:
        verb = "not ended by an event in the evidence" if end is None else end.verb
        verbs[verb] = verbs.get(verb, 0) + 1
    period = describe_period(first.event_time, last.event_time)
    outcomes = ", ".join(f"{count:,} {verb}" for verb, count in verbs.items())
    text = (
        f"{first.event_name} succeeded {len(created):,}x {period}: {list_some(names)}; {outcomes}."
    )
    return Consequence(first, None, text)


def _created(event: ApiEvent) -> list[str]:
    if event.event_name == "RunInstances":
        return list(event.instance_ids or ())
    if event.new_access_key_id:
        return [event.new_access_key_id]
    name, identifier = event.object, name_created(event.response)
    if name and identifier and identifier not in name:
        return [f"{identifier} ({name})"]
    return [name] if name else []


def find_usage(
    case: Case, addresses: Collection[str], filters: Filters = _EVERYTHING
) -> Iterator[Usage]:
    """Yield which addresses occur in flow logs and with which hosts, those with most first.

    Args:
        case: The case.
        addresses: Addresses, as flow logs spell them.
        filters: The period.
    """
    if not addresses:
        return
    wanted = ibis.memtable(pa.table({"address": pa.array(sorted(addresses), pa.string())}))
    s = filter_period(case.connection_summaries, filters, "first_seen", "last_seen")
    ends = [
        s.select("first_seen", "last_seen", "connections", address=s[one], host=s[other])
        for one, other in (("initiator", "responder"), ("responder", "initiator"))
    ]
    seen = ibis.union(*ends).semi_join(wanted, "address")
    hosts = seen.group_by("address", "host").aggregate(connections=_.connections.sum())
    by_count = ibis.window(group_by="address", order_by=[hosts.connections.desc(), hosts.host])
    hosts = hosts.mutate(place=ibis.row_number().over(by_count))
    few = hosts.filter(hosts.place < MOST_HOSTS).group_by("address")
    named = few.aggregate(hosts=_.host.collect(order_by=_.place))
    sums = seen.group_by("address").aggregate(
        first_seen=_.first_seen.min(),
        last_seen=_.last_seen.max(),
        connections=_.connections.sum(),
        peers=_.host.nunique(),
    )
    rows = sums.join(named, "address").order_by(ibis.desc("connections"), "address")
    found = rows.limit(MOST_ADDRESSES + 1).to_pyarrow().to_pylist()
    yield from map(_describe_usage, found[:MOST_ADDRESSES])
    if len(found) > MOST_ADDRESSES:
        more = sums.count().to_pyarrow().as_py() - MOST_ADDRESSES
        last = found[MOST_ADDRESSES]
        count = format_count(more, "more address", "more addresses")
        text = f"Flow logs record connections of {count}, including {last['address']}."
        yield Usage(last["address"], text, last["first_seen"])


def _describe_usage(row: dict[str, Any]) -> Usage:
    count = format_count(row["connections"], "connection")
    hosts = ", ".join(row["hosts"])
    if (more := row["peers"] - len(row["hosts"])) > 0:
        hosts += f" and {more:,} more"
    period = describe_period(row["first_seen"], row["last_seen"])
    text = f"Flow logs record {count} of {row['address']} with {hosts}, {period}."
    return Usage(row["address"], text, row["first_seen"])
