"""API events as an investigation uses them: the fields that attribution needs, and a sentence."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

import ibis

from flowbench.schema import to_frame
from flowbench.text import escape_controls

if TYPE_CHECKING:
    from flowbench.case import Case

# API calls that create an IAM user, give it credentials or extend its permissions.
PRIVILEGE_EVENTS = (
    "CreateUser",
    "CreateAccessKey",
    "CreateLoginProfile",
    "AttachUserPolicy",
    "PutUserPolicy",
    "AddUserToGroup",
    "UpdateLoginProfile",
)
_MOST_RESOURCES = 3  # named in a sentence


class ApiEvent(NamedTuple):
    """One CloudTrail event; the fields are columns of loaders.aws.cloudtrail.TABLE."""

    event_id: str | None
    event_time: datetime
    event_name: str
    error_code: str | None
    principal_arn: str | None
    principal_name: str | None
    principal_type: str | None
    account_id: str | None
    access_key_id: str | None
    new_access_key_id: str | None
    source_ip: str | None
    user_agent: str | None
    target_user: str | None
    instance_ids: list[str] | None
    interface_ids: list[str] | None
    evidence_id: str
    line: int
    item: int | None
    request: str | None = None  # JSON; of UpdateAccessKey only

    @property
    def caller(self) -> str:
        """The principal's name, or else what identifies it best."""
        return self.principal_name or self.principal_arn or self.principal_type or "unknown"

    @property
    def object(self) -> str | None:
        """What the call acted on."""
        named = [*(self.instance_ids or ()), *(self.interface_ids or ())]
        return self.target_user or (named[0] if named else None)

    def describe(self) -> str:
        """State in a sentence who called what, on which resources, from where, and the outcome."""
        resources = [*(self.instance_ids or ()), *(self.interface_ids or ())]
        target = f" on {', '.join(resources[:_MOST_RESOURCES])}" if resources else ""
        if self.request:
            target += _describe_key(self.request)
        if self.target_user:
            target += f" for user {self.target_user}"
        outcome = f": failed ({self.error_code})" if self.error_code else ""
        return f"{self.caller} called {self.event_name}{target} from {self.source_ip}{outcome}."


def _describe_key(request: str) -> str:
    """Return the access key and status that an UpdateAccessKey request sets."""
    if not isinstance(parameters := json.loads(request), dict):
        return ""
    parts = [("access key", "accessKeyId"), ("status", "status")]
    known = [f"{label} {parameters[name]}" for label, name in parts if parameters.get(name)]
    return f" ({', '.join(known)})" if known else ""


def read_events(events: ibis.Table) -> list[ApiEvent]:
    """Read API events (rows of Case.api_events) in order of time."""
    ordered = events.order_by("event_time", "event_id", "evidence_id", "item")
    is_update = ordered.event_name == "UpdateAccessKey"
    ordered = ordered.mutate(request=is_update.ifelse(ordered.request, None))
    rows = ordered.select(*ApiEvent._fields).to_pyarrow().to_pylist()
    return [ApiEvent(**row) for row in rows]


def events_of_principals(
    case: Case, arns: Iterable[str], access_keys: Iterable[str]
) -> list[ApiEvent]:
    """Read every API event by one of these principals or access keys, in order of time."""
    events = case.api_events
    selected = events.principal_arn.isin(list(arns))
    selected |= events.access_key_id.isin(list(access_keys))
    return read_events(events.filter(selected.fill_null(False)))


def find_origins(case: Case, event: ApiEvent) -> list[ApiEvent]:
    """Find others' calls that created an event's principal, its key, permissions or session."""
    events = case.api_events
    selected = ibis.literal(False)  # comparing with a missing key or name would select nulls
    if event.access_key_id:
        selected |= (events.new_access_key_id == event.access_key_id).fill_null(False)
    if event.principal_type == "IAMUser" and event.principal_name:
        grants = events.event_name.isin(PRIVILEGE_EVENTS)
        grants &= events.target_user == event.principal_name
        if event.account_id:
            grants &= events.account_id == event.account_id
        selected |= grants
    found = read_events(events.filter(selected.fill_null(False)))
    return [origin for origin in found if origin.principal_arn != event.principal_arn]


def find_activity(case: Case, event: ApiEvent, origins: Iterable[ApiEvent]) -> list[ApiEvent]:
    """Find the calls of an event's principal with any key, and those with keys that it issued.

    ``origins`` are the calls that created the principal: the keys that they issued are its own.
    """
    arns = [event.principal_arn] if event.principal_arn else []
    keys = {event.access_key_id, *(origin.new_access_key_id for origin in origins)} - {None}
    while True:
        found = events_of_principals(case, arns, {key for key in keys if key})
        issued = {call.new_access_key_id for call in found} - keys - {None}
        if not issued:
            return found
        keys |= issued


def read_callers(case: Case) -> dict[str, str]:
    """Name the principals that called the API from each address that occurs in flow logs too.

    Returns:
        Names in order of their first call, with control characters as codes, by address.
    """
    table = case.principal_addresses
    rows = to_frame(table.order_by("address", "first_call", "principal_name").to_pyarrow())
    names = rows["principal_name"].fillna(rows["principal_arn"]).fillna("unknown")
    return {
        str(address): ", ".join(dict.fromkeys(map(escape_controls, group)))
        for address, group in names.groupby(rows["address"], sort=True)
    }
