"""API events as rows of the timeline; repeated ones share a row.

Calls that only read, by one principal from one address, without a gap of more than an hour are one
row, and so are equal other calls: a program that lists resources calls thousands of times.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import ibis
from ibis import _

from flowbench.case.provenance import api_event_condition
from flowbench.engine import epoch_seconds
from flowbench.enrich.namesakes import name_of, split_account
from flowbench.investigate.api_events import ApiEvent, read_events
from flowbench.investigate.api_objects import name_object
from flowbench.investigate.timeline.event import Event
from flowbench.investigate.timeline.followed import caller_key
from flowbench.investigate.timeline.repetition import describe_repetition
from flowbench.text import list_some

if TYPE_CHECKING:
    from flowbench.case import Case
    from flowbench.investigate.timeline.scope import Scope

# Calls that only read, but what they return is what an intruder wants: never among the others.
_TAKING = (
    "AssumeRole",
    "AssumeRoleWithSAML",
    "AssumeRoleWithWebIdentity",
    "BatchGetSecretValue",
    "GetFederationToken",
    "GetObject",
    "GetParameter",
    "GetParameters",
    "GetParametersByPath",
    "GetPasswordData",
    "GetSecretValue",
    "GetSessionToken",
)
_GAP = 3_600  # seconds without a call that end a row
_FEWEST = 4  # calls that share a row
_MOST_OBJECTS = 20  # events of a row whose objects are read
_MOST_NAMES = 12  # API calls named in a row: discovery seldom takes more different ones
_KEY = ["who", "origin", "what"]
_FIRST = ["event_id", "evidence_id", "line", "item"]
_ORDER = ["event_time", "event_id", "evidence_id", "line", "item"]


def api_rows(case: Case, scope: Scope, *, unfold: bool = False) -> Iterator[Event]:
    """Yield the API events of a scope.

    These are the calls of its principals and keys and those from its external addresses; calls that
    created these principals, or are evidence of its findings; and for its hosts those that the
    attribution cites, and changes of their instances by others.

    Args:
        case: The case.
        scope: What the timeline is about.
        unfold: Whether each event has a row of its own.
    """
    table = case.api_events
    conditions = _conditions(case, scope)
    if not conditions or not case.has("api_events"):
        return
    events = table.filter(ibis.or_(*(condition.fill_null(False) for condition in conditions)))
    if unfold:
        for event in read_events(events):
            yield _to_row(event)
        return
    marked = _mark_runs(events)
    singles = marked.filter(marked.size < _FEWEST)
    for event in read_events(singles.select(table.columns)):
        yield _to_row(event)
    yield from _folded_rows(marked.filter(marked.size >= _FEWEST))


def _conditions(case: Case, scope: Scope) -> list[Any]:
    table: ibis.Table = case.api_events
    conditions = []
    if scope.principals:
        names = sorted(scope.principals)
        role = table.principal_name.re_replace("/.*", "")
        conditions += [table.principal_name.isin(names), role.isin(names)]
        conditions.append(table.target_user.isin(names) & ~table.read_only.fill_null(False))
    if scope.access_key_ids:
        keys = sorted(scope.access_key_ids)
        conditions += [table.access_key_id.isin(keys), table.new_access_key_id.isin(keys)]
    if scope.external:
        conditions.append(table.source_ip.isin(sorted(scope.external)))
        conditions += [table.addresses.contains(address) for address in sorted(scope.external)]
    if scope.callers:
        conditions.append(caller_key(table).isin(sorted(scope.callers)))
    changed = ~table.read_only.fill_null(False)  # others' reading calls about a host are routine
    if scope.targets:
        conditions.append(table.target_user.isin(sorted(scope.targets)) & changed)
    for name in sorted(scope.targets):  # a role has no column of its own
        role, account = split_account(name)
        is_about = table.request.contains(f'"roleName":{json.dumps(role)}') & changed
        conditions.append(is_about & (table.account_id == account) if account else is_about)
    for instance in sorted(scope.instance_ids):
        conditions.append(table.instance_ids.contains(instance) & changed)
    for interface in sorted(scope.interface_ids):
        conditions.append(table.interface_ids.contains(interface) & changed)
    cited = [event_id for _, trace in scope.traces for event_id in trace.event_ids(*_CITED)]
    created = [
        name_of(step.value or "", case.namesakes)
        for _, trace in scope.traces
        for step in trace.of("principal")
    ]
    if cited:
        conditions.append(table.event_id.isin(sorted(set(cited))))
    if created:
        conditions.append(table.target_user.isin(sorted(set(created))) & changed)
    conditions += [
        api_event_condition(table, finding.evidence.api_events)
        for finding in scope.findings
        if finding.evidence.api_events is not None
    ]
    return conditions


# Steps of a trace whose events belong to the timeline of its host.
_CITED = ("creation", "created by", "creator activity", "principal activity")


def _to_row(event: ApiEvent) -> Event:
    return Event(
        event.event_time,
        "CloudTrail",
        event.event_name,
        event.describe(),
        actor=event.caller,
        object=event.object,
        evidence=event.event_id,
        evidence_id=event.evidence_id,
        line=event.line,
        item=event.item,
        peers=(event.source_ip,) if event.source_ip else (),
        rejected=event.error_code is not None,
    )


def _mark_runs(events: ibis.Table) -> ibis.Table:
    """Number the runs of calls without a gap by one principal, from one address, of one kind.

    Adds the columns of _KEY (``what`` is the call and its error; empty for those that only read),
    ``run``, ``size`` (of the run) and ``interval`` (seconds since the call before).
    """
    reads = events.read_only.fill_null(False) & ~events.event_name.isin(_TAKING)
    events = events.mutate(
        who=ibis.coalesce(events.principal_name, events.principal_arn, events.principal_type, ""),
        origin=events.source_ip.fill_null(""),
        what=reads.ifelse("", events.event_name.concat("|", events.error_code.fill_null(""))),
    )
    by_time = ibis.window(group_by=_KEY, order_by=_ORDER)
    before = epoch_seconds(events.event_time.lag().over(by_time))
    events = events.mutate(interval=epoch_seconds(events.event_time) - before)
    is_first = (events.interval.isnull() | (events.interval > _GAP)).cast("int64")
    so_far = ibis.cumulative_window(group_by=_KEY, order_by=_ORDER)
    events = events.mutate(run=is_first.sum().over(so_far))
    return events.mutate(size=_.count().over(ibis.window(group_by=[*_KEY, "run"])))


def _folded_rows(marked: ibis.Table) -> Iterator[Event]:
    """Yield a row for each run of calls."""
    group = [*_KEY, "run"]
    within = marked.interval <= _GAP  # not the interval before the run
    order = [marked[name] for name in _ORDER]
    runs = marked.group_by(group).aggregate(
        first=_.event_time.min(),
        last=_.event_time.max(),
        calls=_.count(),
        failed=_.error_code.count(),
        mean=marked.interval.mean(where=within),
        deviation=marked.interval.std(where=within, how="pop"),
        **{name: marked[name].first(order_by=order) for name in _FIRST},
    )
    counts = marked.group_by([*group, "event_name"]).aggregate(calls=_.count())
    by_count = [counts.calls.desc(), counts.event_name]
    names = counts.group_by(group).aggregate(
        names=counts.event_name.collect(order_by=by_count),
        counts=counts.calls.collect(order_by=by_count),
    )
    rows = runs.join(names, group).order_by("first", *group).to_pyarrow().to_pylist()
    objects = _objects(marked) if rows else {}
    for row in rows:
        yield _to_folded(row, objects.get(tuple(row[name] for name in group), []))


def _objects(marked: ibis.Table) -> dict[tuple[Any, ...], list[str]]:
    """The objects of the first calls of each run, each once, by _KEY and run."""
    group = [*_KEY, "run"]
    place = ibis.row_number().over(ibis.window(group_by=group, order_by=_ORDER))
    first = marked.mutate(place=place).filter(_.place < _MOST_OBJECTS).order_by(*group, "place")
    found: dict[tuple[Any, ...], list[str]] = {}
    for row in first.select(*group, "request", "response").to_pyarrow().to_pylist():
        named = name_object(row["request"], row["response"])
        objects = found.setdefault(tuple(row[name] for name in group), [])
        if named is not None and named not in objects:
            objects.append(named)
    return found


def _to_folded(row: dict[str, Any], objects: list[str]) -> Event:
    who, origin = row["who"] or "unknown", row["origin"] or None
    listed = zip(row["names"], row["counts"], strict=True)
    names = list_some([f"{name} {count:,}x" for name, count in listed], _MOST_NAMES)
    kind = "API calls" if row["what"] else "read-only API calls"
    times = describe_repetition(row["calls"], row["mean"], row["deviation"])
    interval = times.partition(", ")[2]
    detail = f"{who} made {row['calls']:,} {kind}"
    detail += f" from {origin}" if origin else ""
    detail += f", {interval}" if interval else ""
    detail += f": {names}"
    detail += f" on {list_some(objects, _MOST_NAMES)}." if objects else "."
    detail += f" {row['failed']:,} of them failed." if row["failed"] else ""
    return Event(
        row["first"],
        "CloudTrail",
        row["names"][0] if row["what"] else "Read-only API calls",
        detail,
        actor=who,
        object=list_some(objects, 3) or None,
        end=row["last"],
        count=row["calls"],
        evidence=row["event_id"],
        evidence_id=row["evidence_id"],
        line=row["line"],
        item=row["item"],
        peers=(origin,) if origin else (),
        rejected=bool(row["failed"]),
    )
