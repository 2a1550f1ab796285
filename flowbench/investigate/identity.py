"""Whose API calls belong together: principals of an account, access keys, sessions of instances.

An identity is a set of tokens: ``key AKIA…``, ``user ACCOUNT NAME``, ``role ACCOUNT NAME`` (all its
sessions), ``session ACCOUNT ROLE/NAME`` and ``instance i-…`` (the sessions with its credentials).
A name alone is none: two accounts may have a user of the same name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

import ibis
import pyarrow as pa
from ibis.expr import types as ir

from flowbench.enrich.namesakes import owner_account, parse_arn, recorded_name, split_account

if TYPE_CHECKING:
    from flowbench.case import Case
    from flowbench.investigate.api_events import ApiEvent
    from flowbench.investigate.pivot import Pivot


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
    account, name = owner_account(events), recorded_name(events.principal_name)
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
    """Return the identity of a principal or access key."""
    keys = {f"key {key}" for key in pivot.access_key_ids}
    if pivot.kind == "access key":
        return keys
    if found := parse_arn(pivot.text):
        return {f"{found.kind} {found.account} {found.name}"} | keys
    name, account = split_account(pivot.text)
    accounts = [account] if account else sorted(_accounts_of(case, pivot.text))
    return {token for owner in accounts for token in _tokens(owner, name)} | keys


def tokens_of_event(event: ApiEvent) -> set[str]:
    """Return the identity of an event's caller: its key, and its user or session."""
    tokens = {f"key {event.access_key_id}"} if event.access_key_id else set()
    if event.principal_name:
        arn = (event.principal_arn or "").split(":")
        account = (arn[4] if len(arn) > 4 else "") or event.account_id or ""
        kind = "session" if "/" in event.principal_name else "user"
        tokens.add(f"{kind} {account} {split_account(event.principal_name)[0]}")
    return tokens


def _accounts_of(case: Case, name: str) -> set[str]:
    """The accounts of the principal of a name, or of the role of its sessions; '' if unknown."""
    events = case.api_events
    role = events.principal_name.re_replace("/.*", "")
    called = events.filter(((events.principal_name == name) | (role == name)).fill_null(False))
    about = events.filter((events.target_user == name).fill_null(False))
    owned = called.select(account=owner_account(called)).union(
        about.select(account=about.account_id.fill_null(""))
    )
    return set(owned.distinct().to_pyarrow()["account"].to_pylist())


def _tokens(account: str, name: str) -> Iterator[str]:
    for kind in ("session",) if "/" in name else ("user", "role"):
        yield f"{kind} {account} {name}"
