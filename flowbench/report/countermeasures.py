"""Countermeasures: API events that stop a host or take a credential away, and that none undid.

Of a host: it is stopped or terminated (undone by StartInstances), or given other security groups.
Groups count where they were changed once: after a second change the records do not show which of
them isolate. A change that connections of the findings went on after isolated nothing: what was
changed before is the state of the incident. A host with several interfaces needs a change of each.

Of a credential: its key is disabled or deleted; its user is deleted, or denied everything; the role
of its session is denied everything, or revokes sessions issued before a time (the inline policy
AWSRevokeOlderSessions). AWS's quarantine policies (AWSCompromisedKeyQuarantine, V2, V3) deny some
calls only: they limit a key, which stays active. A policy that is detached, deleted or replaced
counts no longer.

A user or role is that of the event's account: another account may have one of the same name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import ibis
import pandas as pd

from flowbench.detect.api_policies import denies_everything
from flowbench.detect.api_requests import find_texts
from flowbench.enrich.namesakes import qualify, split_account
from flowbench.investigate.api_events import ApiEvent, read_events
from flowbench.text import format_utc, list_some

if TYPE_CHECKING:
    from flowbench.case import Case

Credential = tuple[str, str]  # the principal's name, as tables of the case have it, and access key

_ISOLATED = "given other security groups"
_GROUP_EVENTS = ("ModifyInstanceAttribute", "ModifyNetworkInterfaceAttribute")
_HOST_EVENTS = ("StopInstances", "StartInstances", "TerminateInstances")
_KEY_EVENTS = ("UpdateAccessKey", "DeleteAccessKey")
_USER_EVENTS = ("DeleteUser", "CreateUser", "DeleteLoginProfile", "CreateLoginProfile")
_POLICY_EVENTS = ("AttachUserPolicy", "DetachUserPolicy", "PutUserPolicy", "DeleteUserPolicy")
_ROLE_EVENTS = ("AttachRolePolicy", "DetachRolePolicy", "PutRolePolicy", "DeleteRolePolicy")
_KEY_ID = r'"accessKeyId"\s*:\s*"([^"\\]*)"'
_ROLE_NAME = r'"roleName"\s*:\s*"([^"\\]*)"'
_DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"
_QUARANTINE = re.compile(r"arn:aws[\w-]*:iam::aws:policy/(AWSCompromisedKeyQuarantine(?:V\d+)?)")


class Countermeasure(NamedTuple):
    """An API event that stops a host or takes a credential away, and that none undid."""

    event: ApiEvent
    what: str  # what it was done to, for a sentence
    done: str  # 'stopped', 'disabled', …
    stops: frozenset[str] = frozenset()  # instances and access keys
    limits: frozenset[str] = frozenset()  # access keys that still sign some calls

    def describe(self) -> str:
        """State it: 'i-1 was stopped by s.okafor at … UTC (StopInstances)'."""
        at = format_utc(self.event.event_time, seconds=True)
        by = f"by {self.event.caller} at {at} ({self.event.event_name})"
        return f"{self.what} was {self.done} {by}"


class Countermeasures(NamedTuple):
    """What was done against an incident."""

    lasting: Sequence[Countermeasure]  # what no later event undid, in order of time
    recreated: Sequence[ApiEvent]  # the events that created a deleted user again


_Change = tuple[tuple[str, ...], Countermeasure | None]  # what it is about; None: undone


def find_countermeasures(
    case: Case,
    instances: Collection[str],
    credentials: Collection[Credential],
    since: datetime | None,
) -> Countermeasures:
    """Find what was done against some instances and credentials.

    Args:
        case: The case.
        instances: The ids of instances.
        credentials: Principals and access keys.
        since: Changes of security groups before it did not isolate a host; None if unknown.
    """
    held: dict[tuple[str, ...], Countermeasure | None] = {}
    recreated: dict[str, ApiEvent | None] = {}
    events = _credential_events(case, credentials)
    for slot, change in [
        *(each for event in _host_events(case, instances) for each in _host(event, instances)),
        *_Credentials(case, credentials).changes(events),
    ]:
        # An event that repeats another changes nothing.
        held[slot] = (held.get(slot) or change) if change is not None else None
    for event in events:
        if event.event_name in ("DeleteUser", "CreateUser"):
            is_again = event.event_name == "CreateUser" and event.target_user in recreated
            recreated |= {event.target_user or "": event if is_again else None}
    lasting = [each for each in held.values() if each is not None]
    lasting += _isolations(case, instances, since)
    lasting.sort(key=lambda each: (each.event.event_time, each.event.event_id or "", each.what))
    return Countermeasures(_merge(lasting), [event for event in recreated.values() if event])


def _merge(found: Sequence[Countermeasure]) -> list[Countermeasure]:
    """One countermeasure for each event: a call may stop several instances."""
    merged: dict[tuple[object, ...], Countermeasure] = {}
    for each in found:
        key = (each.event.evidence_id, each.event.line, each.event.item)
        other = merged.get(key)
        if other is not None and other.stops and each.stops:
            stops = other.stops | each.stops
            each = each._replace(what=list_some(sorted(stops)), stops=stops)  # noqa: PLW2901
        merged[key] = each
    return list(merged.values())


def _host_events(case: Case, instances: Collection[str]) -> list[ApiEvent]:
    table = case.api_events
    if not instances:
        return []
    concerned = ibis.or_(*(table.instance_ids.contains(name) for name in sorted(instances)))
    named = table.event_name.isin(_HOST_EVENTS)
    return read_events(table.filter(named & table.error_code.isnull(), concerned.fill_null(False)))


def _host(event: ApiEvent, instances: Collection[str]) -> Iterator[_Change]:
    for name in sorted(set(instances).intersection(event.instance_ids or ())):
        is_end = event.event_name == "TerminateInstances"
        done = "terminated" if is_end else "stopped"
        slot = ("terminated" if is_end else "running", name)
        stopped = Countermeasure(event, name, done, frozenset({name}))
        yield slot, None if event.event_name == "StartInstances" else stopped


def _isolations(
    case: Case, instances: Collection[str], since: datetime | None
) -> Iterator[Countermeasure]:
    """Yield the last change of the security groups of each instance that isolates it."""
    if not instances:
        return
    assigned = case.address_assignments
    rows = assigned.filter(assigned.instance_id.isin(sorted(instances)))
    pairs = rows.select("instance_id", "interface_id").distinct().to_pyarrow().to_pylist()
    interfaces: dict[str, set[str]] = {name: set() for name in instances}
    for row in pairs:
        interfaces[row["instance_id"]] |= {row["interface_id"]} - {None}
    owner = {interface: name for name, own in interfaces.items() for interface in own}
    table = case.api_events
    names = [*sorted(instances)], [*sorted(owner)]
    concerned = [table.instance_ids.contains(name) for name in names[0]]
    concerned += [table.interface_ids.contains(name) for name in names[1]]
    chosen = table.event_name.isin(_GROUP_EVENTS) & table.error_code.isnull()
    chosen &= ibis.or_(*(each.fill_null(False) for each in concerned))
    changes: dict[str, dict[str, list[tuple[ApiEvent, frozenset[str]]]]] = {}
    for event in read_events(table.filter(chosen)):
        groups = frozenset(find_texts(_parse(event.request).get("groupSet"), {"groupId"}))
        interface = next(iter(event.interface_ids or ()), "")
        instance = owner.get(interface) or next(iter(event.instance_ids or ()), "")
        if groups and instance in interfaces:
            target = interface if len(interfaces[instance]) > 1 else ""
            changes.setdefault(instance, {}).setdefault(target, []).append((event, groups))
    for instance, by_target in sorted(changes.items()):
        isolations = [_isolation(each, since) for each in by_target.values()]
        found = [each for each in isolations if each is not None]
        if len(found) >= max(1, len(interfaces[instance])):
            last = max(found, key=lambda each: each.event_time)
            yield Countermeasure(last, instance, _ISOLATED, frozenset({instance}))


def _isolation(
    changes: Sequence[tuple[ApiEvent, frozenset[str]]], since: datetime | None
) -> ApiEvent | None:
    """Return the only change of security groups that can isolate an interface; else None."""
    late = [each for each in changes if since is None or each[0].event_time >= since]
    before = {groups for _, groups in changes[: len(changes) - len(late)]} if late else set()
    late = late or list(changes)
    different = {groups for _, groups in late}
    return late[0][0] if len(different) == 1 and different.isdisjoint(before) else None


def _credential_events(case: Case, credentials: Collection[Credential]) -> list[ApiEvent]:
    table = case.api_events
    if not credentials:
        return []
    keys = sorted({key for _, key in credentials})
    users = sorted({user for user, _ in credentials if user and "/" not in user})
    sessions = {split_account(user)[0] for user, _ in credentials if "/" in user}
    roles = sorted({session.partition("/")[0] for session in sessions})
    by_key = table.event_name.isin(_KEY_EVENTS) & table.request.re_extract(_KEY_ID, 1).isin(keys)
    by_user = table.event_name.isin([*_USER_EVENTS, *_POLICY_EVENTS])
    by_user &= table.target_user.isin(users)
    by_role = table.event_name.isin(_ROLE_EVENTS)
    by_role &= table.request.re_extract(_ROLE_NAME, 1).isin(roles)
    chosen = ibis.or_(*(each.fill_null(False) for each in (by_key, by_user, by_role)))
    return read_events(table.filter(chosen & table.error_code.isnull()))


class _Credentials:
    """The credentials of an incident, by principal, and when each key was first used."""

    def __init__(self, case: Case, credentials: Collection[Credential]) -> None:
        self.namesakes = case.namesakes
        self.user_of = {key: user for user, key in credentials}
        self.keys: dict[str, set[str]] = {}
        for user, key in credentials:
            self.keys.setdefault(user.partition("/")[0], set()).add(key)
        signed = case.api_events.filter(case.api_events.access_key_id.isin(sorted(self.user_of)))
        uses = signed.group_by("access_key_id").aggregate(first=signed.event_time.min())
        rows = uses.to_pyarrow().to_pylist() if credentials else []
        self.first_use: Mapping[str, datetime] = {r["access_key_id"]: r["first"] for r in rows}

    def changes(self, events: Sequence[ApiEvent]) -> Iterator[_Change]:
        """Yield what each event is about, and what it does; None where it undoes it."""
        for event in events:
            request = _parse(event.request)
            if event.event_name in _KEY_EVENTS:
                yield from self._of_key(event, request)
            elif event.event_name in _USER_EVENTS:
                yield from self._of_user(event)
            else:
                yield from self._of_policy(event, request)

    def _keys_of(self, name: str, *, is_role: bool) -> set[str]:
        """The keys of a user, or of the sessions of a role: both may have one name."""
        keys = self.keys.get(name, ())
        return {key for key in keys if ("/" in self.user_of[key]) is is_role}

    def _of_key(self, event: ApiEvent, request: Mapping[str, Any]) -> Iterator[_Change]:
        key = str(request.get("accessKeyId"))
        is_deleted = event.event_name == "DeleteAccessKey"
        user = self.user_of.get(key)
        what = f"access key {key}{f' of {user}' if user else ''}"
        done = "deleted" if is_deleted else "disabled"
        taken = Countermeasure(event, what, done, frozenset({key}))
        is_active = not is_deleted and request.get("status") != "Inactive"
        yield ("deleted" if is_deleted else "key", key), None if is_active else taken

    def _of_user(self, event: ApiEvent) -> Iterator[_Change]:
        user = event.target_user or ""
        if event.event_name == "DeleteUser":  # IAM deletes none that has keys
            keys = frozenset(self._keys_of(user, is_role=False))
            yield ("user", user), Countermeasure(event, user, "deleted", keys)
        elif event.event_name != "CreateUser":
            done = "deprived of the console password"
            is_back = event.event_name == "CreateLoginProfile"
            yield ("password", user), None if is_back else Countermeasure(event, user, done)

    def _of_policy(self, event: ApiEvent, request: Mapping[str, Any]) -> Iterator[_Change]:
        is_role = event.event_name in _ROLE_EVENTS
        role = qualify(str(request.get("roleName")), event.account_id, self.namesakes)
        name = role if is_role else event.target_user or ""
        policy = str(request.get("policyArn") or request.get("policyName"))
        slot = ("role policy" if is_role else "user policy", name, policy)
        keys = self._keys_of(name, is_role=is_role)
        if not keys:
            return
        what = f"role {name}" if is_role else name
        quarantine = _QUARANTINE.fullmatch(policy)
        if not event.event_name.startswith(("Attach", "Put")):
            yield slot, None
        elif quarantine is not None:
            done = f"given the policy {quarantine[1]}, which denies some calls"
            yield slot, Countermeasure(event, what, done, limits=frozenset(keys))
        else:
            denied = frozenset(self._denied(event, keys, policy, request))
            done = "given a policy that denies everything"
            yield slot, Countermeasure(event, what, done, denied) if denied else None

    def _denied(
        self, event: ApiEvent, keys: Collection[str], policy: str, request: Mapping[str, Any]
    ) -> Iterator[str]:
        """Yield the keys that a policy denies everything: all, or sessions issued before a time."""
        if policy == _DENY_ALL:
            yield from keys
            return
        for key in keys:
            first = self.first_use.get(key, event.event_time)
            is_session = "/" in self.user_of[key]
            issued = pd.Timestamp(first) if is_session else None
            if denies_everything(request.get("policyDocument"), issued):
                yield key


def _parse(text: str | None) -> dict[str, Any]:
    try:
        value = json.loads(text or "")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
