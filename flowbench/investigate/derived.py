"""Derived credentials: keys, sessions, users, roles and instances that an identity's calls created.

From the calls of an identity to the credentials that these calls created, to the calls of those,
and so on, in the engine. A role that a principal created stands for all its sessions, an instance
that it started for the sessions with the instance's credentials.

Known limit: who else had access to a created user, role or instance is not recorded; its calls may
be another's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import ibis
import pyarrow as pa
from ibis.expr import types as ir

from flowbench.enrich.namesakes import split_account
from flowbench.investigate.api_events import keep_events
from flowbench.investigate.identity import calls_of

if TYPE_CHECKING:
    from flowbench.case import Case

MOST_HOPS = 8
MOST_CREDENTIALS = 20_000
_ORIGIN = ("evidence_id", "line", "item")
_ORIGINS = pa.schema([("evidence_id", "string"), ("line", "int64"), ("item", "int64")])
_ROLE_NAME = r'"roleName":"([^"\\]+)"'


@dataclass
class Derived:
    """The credentials derived from an identity.

    Attributes:
        tokens: Derived identities (see identity), without the first.
        instances: Instances that it, or a derived identity, started.
        grants: The calls that created them, and those that were not followed, as rows of
            Case.api_events.
        limit: Why it was not followed further, if it could have been; else None.
    """

    tokens: set[str] = field(default_factory=set)
    instances: list[str] = field(default_factory=list)
    grants: ibis.Table | None = field(default=None, repr=False)
    limit: str | None = None


def follow_credentials(
    case: Case,
    events: ibis.Table,
    tokens: Collection[str],
    kinds: Collection[str] = ("key", "user", "role", "instance"),
) -> Derived:
    """Follow credentials to those derived from them.

    Args:
        case: The case.
        events: The rows of Case.api_events to follow: those of a period, for instance.
        tokens: An identity.
        kinds: The kinds of tokens to follow.

    Returns:
        At most MOST_HOPS hops and about MOST_CREDENTIALS tokens; the limit is stated if it was
        reached.
    """
    found = Derived()
    known, frontier = set(tokens), set(tokens)
    issuing = events.filter(events.error_code.isnull(), _creates_identity(events))
    grants: dict[tuple[str, int, int | None], None] = {}
    for hop in range(MOST_HOPS + 1):
        created = _created_tokens(case, calls_of(issuing, frontier))
        made = {origin: own for origin, own in created if own[0].partition(" ")[0] in kinds}
        grants |= dict.fromkeys(made)
        frontier = {token for own in made.values() for token in own} - known
        if not frontier:
            break
        if hop == MOST_HOPS:
            found.limit = f"Derived credentials were followed for {MOST_HOPS} hops only."
            break
        known |= frontier
        if len(known) > MOST_CREDENTIALS:
            text = f"More than {MOST_CREDENTIALS:,} credentials were derived: others may not be"
            found.limit = f"{text} followed."
            break
    found.tokens = known - set(tokens)
    found.instances = sorted(
        token.removeprefix("instance ") for token in known if token.startswith("instance ")
    )
    if grants:
        columns = (pa.array(column) for column in zip(*grants, strict=True))
        rows = pa.table(dict(zip(_ORIGIN, columns, strict=True))).cast(_ORIGINS)
        found.grants = keep_events(case.api_events, ibis.memtable(rows))
    return found


def _creates_identity(events: ibis.Table) -> ir.BooleanValue:
    return (
        events.new_access_key_id.notnull()
        | events.shared_event_id.notnull()
        | events.event_name.isin(["CreateUser", "CreateRole", "RunInstances"])
    )


def _created_tokens(
    case: Case, calls: ibis.Table
) -> Iterator[tuple[tuple[str, int, int | None], list[str]]]:
    """Yield the identities that successful calls created, by the record of each call."""
    columns = [*_ORIGIN, "event_name", "event_time", "account_id", "new_access_key_id"]
    columns += ["target_user", "instance_ids", "shared_event_id"]
    role = calls.request.re_extract(_ROLE_NAME, 1)
    rows = calls.select(*columns, role=role).order_by("event_time", *_ORIGIN)
    found = rows.limit(MOST_CREDENTIALS + 1).to_pyarrow().to_pylist()
    elsewhere = _issued_elsewhere(case, found)
    for row in found:
        account, name = row["account_id"] or "", row["event_name"]
        key = row["new_access_key_id"] or elsewhere.get(_shared_key(row))
        tokens = [f"key {key}"] if key else []
        if name == "CreateUser" and row["target_user"]:
            tokens.append(f"user {account} {split_account(row['target_user'])[0]}")
        elif name == "CreateRole" and row["role"]:
            tokens.append(f"role {account} {row['role']}")
        elif name == "RunInstances":
            tokens += [f"instance {instance}" for instance in row["instance_ids"] or ()]
        if tokens:
            yield tuple(row[each] for each in _ORIGIN), tokens


def _issued_elsewhere(case: Case, rows: Sequence[dict[str, Any]]) -> dict[tuple[Any, ...], str]:
    """Keys that only the record of a call in another account has."""
    silent = {row["shared_event_id"] for row in rows if not row["new_access_key_id"]} - {None}
    if not silent:
        return {}
    table = case.api_events
    wanted = ibis.memtable(pa.table({"shared_event_id": pa.array(sorted(silent), pa.string())}))
    copies = table.filter(table.new_access_key_id.notnull()).semi_join(wanted, "shared_event_id")
    names = ["shared_event_id", "event_name", "event_time", "new_access_key_id"]
    found = copies.select(*names).order_by(*names).to_pyarrow().to_pylist()
    return {_shared_key(row): row["new_access_key_id"] for row in reversed(found)}


def _shared_key(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["shared_event_id"], row["event_name"], row["event_time"]
