"""How resources that API calls created ended: deleted, terminated, disabled, or in use to the end.

A call ``CreateX`` is ended by ``DeleteX``, ``AttachX`` by ``DetachX``, and so on. APIs name the
resource by different fields in the call that creates it (request or response) and the call that
ends it: a security group is created by name and deleted by id, a trail is deleted by name or ARN.
So a call ends a resource if all that its request identifies was named by the call that created it,
in the same account and later. Candidates are joined in the engine; the latest that fit are read.

Known limits: a resource that ends with another (the keys of a deleted user) has no ending of its
own; what was created again by the same name is not told from the first; the latest CANDIDATES calls
that name a resource are compared.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import ibis
import pyarrow as pa

from flowbench.detect.api_requests import VERSION
from flowbench.engine import find_json_texts
from flowbench.investigate.api_events import ApiEvent, keep_events, read_events
from flowbench.investigate.api_objects import bare_name, parse_rules, read_texts

if TYPE_CHECKING:
    from flowbench.case import Case

CANDIDATES = 20  # latest calls that are read for each resource
_ENDING_VERBS = {
    "Create": {"Delete": "deleted", "Deregister": "deregistered", "Terminate": "terminated"},
    "Import": {"Delete": "deleted"},
    "Register": {"Deregister": "deregistered", "Delete": "deleted"},
    "Copy": {"Delete": "deleted", "Deregister": "deregistered"},
    "Allocate": {"Release": "released"},
    "Associate": {"Disassociate": "disassociated"},
    "Attach": {"Detach": "detached"},
    "Put": {"Delete": "deleted"},
    "Add": {"Remove": "removed"},
    "Upload": {"Delete": "deleted"},
    "Publish": {"Delete": "deleted"},
    "Enable": {"Disable": "disabled", "Deactivate": "deactivated"},
    "Run": {"Stop": "stopped"},
    "Start": {"Stop": "stopped", "Terminate": "terminated"},
}
# Endings whose names do not follow from that of the call; None: it is in use again.
_NAMED_ENDINGS: dict[str, dict[str, str | None]] = {
    "RunInstances": {
        "TerminateInstances": "terminated",
        "StopInstances": "stopped",
        "StartInstances": None,
    },
    "CreateAccessKey": {"DeleteAccessKey": "deleted", "UpdateAccessKey": "disabled"},
    "CreateKey": {
        "ScheduleKeyDeletion": "scheduled for deletion",
        "CancelKeyDeletion": None,
        "DisableKey": "disabled",
        "EnableKey": None,
    },
    "CreateDBInstance": {
        "DeleteDBInstance": "deleted",
        "StopDBInstance": "stopped",
        "StartDBInstance": None,
    },
    "AddUserToGroup": {"RemoveUserFromGroup": "removed"},
    "AddRoleToInstanceProfile": {"RemoveRoleFromInstanceProfile": "removed"},
    "AuthorizeSecurityGroupIngress": {
        "RevokeSecurityGroupIngress": "revoked",
        "DeleteSecurityGroup": "deleted with its group",
    },
    "AuthorizeSecurityGroupEgress": {
        "RevokeSecurityGroupEgress": "revoked",
        "DeleteSecurityGroup": "deleted with its group",
    },
}
# Keys of a request that identify what it acts on.
_IDENTIFYING = re.compile(
    r"(?:name|id|arn|identifier|url|cidrblock|serialnumber|ip|user|role|task|cluster|function)(?:s|set)?$",
    re.IGNORECASE,
)
_STEM = re.compile(r"(?:name|id|arn|identifier|url|ip)(?:s|set)?$", re.IGNORECASE)
_LEAST = 2  # characters of a name that is joined


class Ending(NamedTuple):
    """The last call that ended a resource."""

    event: ApiEvent
    verb: str  # 'deleted', 'stopped', …


def endings_of(event_name: str) -> dict[str, str | None]:
    """Return the calls that end what a call created, and what they make of it.

    Args:
        event_name: The call that creates, with a version or without.
    """
    name = re.sub(VERSION, "", event_name)
    if name in _NAMED_ENDINGS:
        return _NAMED_ENDINGS[name]
    for verb, ends in _ENDING_VERBS.items():
        noun = name.removeprefix(verb)
        if noun != name and noun:
            forms = {noun, f"{noun}s", noun.removesuffix("s")}
            return {f"{end}{form}": made for end, made in ends.items() for form in sorted(forms)}
    return {}


def find_endings(case: Case, creations: Sequence[ApiEvent]) -> dict[int, Ending]:
    """Find the last call that ended what each of some calls created.

    Args:
        case: The case.
        creations: Successful calls.

    Returns:
        The ending, by the place of the creation; without those that nothing in the evidence ends.
    """
    found: dict[int, Ending] = {}
    by_place = dict(enumerate(creations))
    open_places = set(by_place)
    for place, end in _candidates(case, creations):
        created = by_place[place]
        if place not in open_places or not _is_end(created, end):
            continue
        open_places.discard(place)  # the latest that fits decides
        verb = endings_of(created.event_name)[re.sub(VERSION, "", end.event_name)]
        if end.event_name == "UpdateAccessKey" and '"Inactive"' not in (end.request or ""):
            verb = None
        if verb is not None:
            found[place] = Ending(end, verb)
    return found


def find_key_ending(case: Case, access_key_id: str) -> Ending | None:
    """Find the last call that disabled or deleted an access key, whoever created it."""
    table = case.api_events
    ends = endings_of("CreateAccessKey")
    needle = json.dumps(access_key_id, ensure_ascii=False)
    named = table.event_name.isin(sorted(ends)) & table.error_code.isnull()
    found = read_events(table.filter(named & table.request.contains(needle).fill_null(False)))
    for event in reversed(found):
        if access_key_id not in (value for _, value in read_texts(event.request)):
            continue
        if event.event_name == "UpdateAccessKey" and '"Inactive"' not in (event.request or ""):
            return None
        return Ending(event, ends[event.event_name] or "")
    return None


def _candidates(case: Case, creations: Sequence[ApiEvent]) -> Iterator[tuple[int, ApiEvent]]:
    """Yield, the latest first, calls that may end what some calls created, and its place."""
    rows: list[dict[str, Any]] = [
        {"place": place, "end_name": end, "account": e.account_id or "", "since": e.event_time} | n
        for place, e in enumerate(creations)
        for end in endings_of(e.event_name)
        for n in ({"value": name} for name in sorted(_created_names(e)))
    ]
    if not rows:
        return
    table = case.api_events
    wanted = ibis.memtable(pa.Table.from_pylist(rows, schema=_WANTED))
    ends = table.mutate(
        end_name=table.event_name.re_replace(VERSION, ""), account=table.account_id.fill_null("")
    )
    names = sorted({row["end_name"] for row in rows})
    ends = ends.filter(ends.end_name.isin(names), ends.error_code.isnull(), ends.request.notnull())
    key = ["event_time", "event_id", "evidence_id", "line", "item"]
    texts = ends.select(*key, "end_name", "account", text=find_json_texts(ends.request).unnest())
    value = texts.text.re_replace("^arn:.*[/:]", "")
    joined = texts.mutate(value=value).inner_join(wanted, ["end_name", "account", "value"])
    joined = joined.filter(joined.event_time >= joined.since)
    pairs = joined.select("place", *key).distinct()
    newest = [pairs[name].desc() for name in key]
    place = ibis.row_number().over(ibis.window(group_by="place", order_by=newest))
    kept = pairs.mutate(number=place)
    kept = kept.filter(kept.number < CANDIDATES).order_by("place", "number")
    listed = kept.select("place", *key[2:]).to_pyarrow()
    found = read_events(keep_events(table, ibis.memtable(listed)))
    by_origin = {_origin(event): event for event in found}
    for row in listed.to_pylist():
        yield row["place"], by_origin[row["evidence_id"], row["line"], row["item"]]


_WANTED = pa.schema(
    [
        ("place", pa.int64()),
        ("end_name", pa.string()),
        ("account", pa.string()),
        ("since", pa.timestamp("us", tz="UTC")),
        ("value", pa.string()),
    ]
)


def _origin(event: ApiEvent) -> tuple[str, int, int | None]:
    return event.evidence_id, event.line, event.item


def _created_names(event: ApiEvent) -> set[str]:
    """Return what may name the resource in another call: as JSON has it, the end of ARNs."""
    if event.event_name == "RunInstances":
        return set(event.instance_ids or ())
    if event.new_access_key_id:
        return {event.new_access_key_id}
    noun = re.sub(VERSION, "", event.event_name).casefold()
    own: set[str] = set()
    others: set[str] = set()
    for key, value in (*read_texts(event.response), *read_texts(event.request)):
        stem = _STEM.sub("", key).casefold()
        if not _IDENTIFYING.search(key) or len(value) < _LEAST:
            continue
        name = json.dumps(bare_name(value), ensure_ascii=False)[1:-1]
        (own if not stem or noun.endswith((stem, f"{stem}s", f"{stem}pair")) else others).add(name)
    if noun.startswith(("attach", "put", "add")):  # what it was added to: many have the policy
        return others or own
    return own or others


def _is_end(created: ApiEvent, end: ApiEvent) -> bool:
    """Whether all that a request identifies was named by the call that created a resource."""
    if created.event_name == "RunInstances":
        return not set(created.instance_ids or ()).isdisjoint(end.instance_ids or ())
    named = {bare_name(value) for _, value in read_texts(created.request)}
    named |= {bare_name(value) for _, value in read_texts(created.response)}
    asked: dict[str, set[str]] = {}
    for key, value in read_texts(end.request):
        if _IDENTIFYING.search(key):
            asked.setdefault(key, set()).add(bare_name(value))
    if end.event_name.startswith("RevokeSecurityGroup"):
        asked = {key: asked[key] for key in ("groupId", "securityGroupRuleId") if key in asked}
        rules = parse_rules(end.request)
        if rules and set(rules).isdisjoint(parse_rules(created.request)):
            return False
    return bool(asked) and all(not values.isdisjoint(named) for values in asked.values())
