"""API events as an investigation uses them: the fields that attribution needs, and a sentence."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

import ibis

from flowbench.enrich.namesakes import split_account
from flowbench.investigate.api_objects import describe_request, name_object, shorten
from flowbench.schema import to_frame
from flowbench.text import escape_controls, list_some

if TYPE_CHECKING:
    from flowbench.case import Case

# API calls that create an IAM user, give it credentials or extend its permissions.
PRIVILEGE_EVENTS = (
    "CreateUser",
    "CreateAccessKey",
    "CreateLoginProfile",
    "CreateServiceSpecificCredential",
    "UploadSSHPublicKey",
    "UploadSigningCertificate",
    "AttachUserPolicy",
    "PutUserPolicy",
    "PutUserPermissionsBoundary",
    "DeleteUserPermissionsBoundary",
    "AddUserToGroup",
    "UpdateLoginProfile",
)
# The same for a role: who may assume it, and what it may do.
ROLE_EVENTS = (
    "CreateRole",
    "UpdateAssumeRolePolicy",
    "AttachRolePolicy",
    "PutRolePolicy",
    "PutRolePermissionsBoundary",
    "DeleteRolePermissionsBoundary",
    "AddRoleToInstanceProfile",
)
_MOST_RESOURCES = 3  # named in a sentence
_MOST_JSON = 20_000  # characters of a request that is read: longer ones are policies and templates


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
    request: str | None = None  # JSON; None where it is very long
    response: str | None = None  # the same
    read_only: bool | None = None
    shared_event_id: str | None = None

    @property
    def caller(self) -> str:
        """The principal's name, or else what identifies it best."""
        return self.principal_name or self.principal_arn or self.principal_type or "unknown"

    @property
    def object(self) -> str | None:
        """What the call acted on or created: a user, an instance, a bucket; None if unknown."""
        if self.event_name == "RunInstances" and self.instance_ids:
            return list_some(self.instance_ids, _MOST_RESOURCES)
        named = name_object(self.request, self.response)
        user = self.target_user or ""
        return shorten(user) if named == shorten(split_account(user)[0]) else named

    def describe(self) -> str:
        """State in a sentence who called what, on which resources, from where, and the outcome."""
        resources = [*(self.instance_ids or ()), *(self.interface_ids or ())]
        named = None if resources else self.object
        target = f" on {list_some(resources, _MOST_RESOURCES)}" if resources else ""
        if named and named != shorten(self.target_user or ""):
            target += f" on {named}"
        details = describe_request(self.event_name, self.request, named)
        if self.new_access_key_id:
            details += f"{', ' if details else ''}issued {self.new_access_key_id}"
        target += f" ({details})" if details else ""
        if self.target_user:
            target += f" for user {shorten(self.target_user)}"
        origin = f" from {self.source_ip}" if self.source_ip else ""
        outcome = f": failed ({self.error_code})" if self.error_code else ""
        return f"{shorten(self.caller)} called {self.event_name}{target}{origin}{outcome}."


def read_events(events: ibis.Table) -> list[ApiEvent]:
    """Read API events (rows of Case.api_events) in order of time."""
    ordered = events.order_by("event_time", "event_id", "evidence_id", "item")
    for name in ("request", "response"):
        is_short = ordered[name].length() <= _MOST_JSON
        ordered = ordered.mutate(**{name: is_short.ifelse(ordered[name], None)})
    rows = ordered.select(*ApiEvent._fields).to_pyarrow().to_pylist()
    return [ApiEvent(**row) for row in rows]


def keep_events(events: ibis.Table, origins: ibis.Table) -> ibis.Table:
    """Keep the API events that some rows name by evidence_id, line and item."""
    wanted = origins.select("evidence_id", "line", place=origins["item"].fill_null(-1))
    marked = events.mutate(place=events["item"].fill_null(-1))
    kept = marked.semi_join(wanted.distinct(), ["evidence_id", "line", "place"])
    return kept.select(events.columns)


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
