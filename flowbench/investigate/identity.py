"""Whose API calls belong together: principals of an account, access keys, sessions of instances.

An identity is a set of tokens: ``key AKIA…``, ``user ACCOUNT NAME``, ``role ACCOUNT NAME`` (all its
sessions), ``session ACCOUNT ROLE/NAME`` and ``instance i-…`` (the sessions with its credentials).
A name alone is none: two accounts may have a user of the same name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

import ibis
import pyarrow as pa
from ibis.expr import types as ir

from flowbench.errors import InputError
from flowbench.text import escape_controls, list_some

if TYPE_CHECKING:
    from flowbench.case import Case
    from flowbench.investigate.api_events import ApiEvent
    from flowbench.investigate.pivot import Pivot

_ARN = re.compile(r"arn:[^:]*:(?:iam|sts):[^:]*:(\d*):(user|role|assumed-role|federated-user)/(.+)")


class SeveralAccountsError(InputError):
    """A name is that of principals in several accounts; ``arns`` has one of each."""

    def __init__(self, name: str, arns: Sequence[str]) -> None:
        self.arns = tuple(arns)
        shown = list_some(escape_controls(arn) for arn in arns)
        super().__init__(
            f"{escape_controls(name)!r} is a principal of {len(arns)} accounts: give one of {shown}"
        )


def owner_account(events: ibis.Table) -> ir.StringValue:
    """The account of an event's caller: that of its ARN, else that of the event."""
    account = events.principal_arn.re_extract(r"^arn:[^:]*:[^:]*:[^:]*:(\d*):", 1)
    return ibis.coalesce(account.nullif(""), events.account_id, "")


def calls_of(events: ibis.Table, tokens: Collection[str]) -> ibis.Table:
    """Return the API events of an identity.

    Args:
        events: Rows of Case.api_events.
        tokens: What belongs to it.
    """
    return events.filter(is_caller(events, tokens))


def is_caller(events: ibis.Table, tokens: Collection[str]) -> ir.BooleanValue:
    """Whether an identity made an event's call; false without tokens."""
    if not tokens:
        return ibis.literal(False)
    wanted = ibis.memtable(pa.table({"token": pa.array(sorted(tokens), pa.string())}))
    kinds = {token.partition(" ")[0] for token in tokens}
    account, name = owner_account(events), events.principal_name
    columns = {
        "key": ibis.literal("key ").concat(events.access_key_id),
        "user": ibis.literal("user ").concat(account, " ", name),
        "session": ibis.literal("session ").concat(account, " ", name),
        "role": ibis.literal("role ").concat(account, " ", name.re_extract("^([^/]*)/", 1)),
        "instance": ibis.literal("instance ").concat(name.re_extract("/(m?i-[0-9A-Za-z]+)$", 1)),
    }
    conditions = [columns[kind].isin(wanted.token).fill_null(False) for kind in sorted(kinds)]
    return ibis.or_(*conditions)


def tokens_of(case: Case, pivot: Pivot) -> set[str]:
    """Return the identity of a principal or access key.

    Raises:
        SeveralAccountsError: The name is of principals in several accounts.
    """
    keys = {f"key {key}" for key in pivot.access_key_ids}
    if pivot.kind == "access key":
        return keys
    if found := _ARN.match(pivot.text):
        account, kind, name = found.groups()
        if kind in ("role", "user"):
            name = name.rpartition("/")[2]  # without its path
        kind = {"assumed-role": "session", "federated-user": "user"}.get(kind, kind)
        return {f"{kind} {account} {name}"} | keys
    name = pivot.text
    arns = _arns_of(case, name)
    if len(arns) > 1:
        raise SeveralAccountsError(name, list(arns.values()))
    return {token for account in arns for token in _tokens(account, name)} | keys


def tokens_of_event(event: ApiEvent) -> set[str]:
    """Return the identity of an event's caller: its key, and its user or session."""
    tokens = {f"key {event.access_key_id}"} if event.access_key_id else set()
    if event.principal_name:
        arn = (event.principal_arn or "").split(":")
        account = (arn[4] if len(arn) > 4 else "") or event.account_id or ""
        kind = "session" if "/" in event.principal_name else "user"
        tokens.add(f"{kind} {account} {event.principal_name}")
    return tokens


def _arns_of(case: Case, name: str) -> dict[str, str]:
    """An ARN of the principal of a name, or of the role of its sessions, by account."""
    events = case.api_events
    role = events.principal_name.re_replace("/.*", "")
    called = events.filter(((events.principal_name == name) | (role == name)).fill_null(False))
    called = called.select(
        account=owner_account(called),
        arn=(called.principal_name == name).ifelse(called.principal_arn, called.issuer_arn),
    )
    about = events.filter((events.target_user == name).fill_null(False))
    about = about.select(account=about.account_id.fill_null(""), arn=ibis.null("string"))
    owned = called.union(about).group_by("account").aggregate(arn=ibis._.arn.min())
    return {
        row["account"]: row["arn"] or f"arn:aws:iam::{row['account']}:user/{name}"
        for row in owned.order_by("account").to_pyarrow().to_pylist()
    }


def _tokens(account: str, name: str) -> Iterator[str]:
    for kind in ("session",) if "/" in name else ("user", "role"):
        yield f"{kind} {account} {name}"
