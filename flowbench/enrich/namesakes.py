"""Principals of one name in several accounts, distinguished by their account.

An organisation has roles and users of the same name in every account, and each account has a root
user. Where principals of several accounts in a case have a name, tables name each of them with its
account, as connections name hosts of one address with a zone: ``eve (account 111122223333)``, and
``deploy (account 111122223333)/session`` for a session of a role. All other names stay as they are.

The account is that of the caller's ARN, else that of the event: a user who calls in another account
remains one principal. A user whom a call is about belongs to the account of the event.

Limitations: a user and a role of one account may have the same name. A principal whose account no
record gives keeps its name as it is. An identity of IAM Identity Center or of a provider (SAML, web
identity) has no account of its own: it stays one principal.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple

import ibis
from ibis.expr import types as ir

from flowbench.errors import InputError
from flowbench.text import escape_controls, list_some

_OWNED = ("IAMUser", "Root", "AssumedRole", "FederatedUser")  # types with an account of their own
_MARK = " (account "
_QUALIFIED = re.compile(r"(?s)([^/]*) \(account (\d+)\)(/.*)?")
_ARN = re.compile(
    r"arn:[^:]*:(?:iam|sts):[^:]*:(\d*):(?:(user|role|assumed-role|federated-user)/(.+)|(root))"
)
_KINDS = {"assumed-role": "session", "federated-user": "user"}


class Principal(NamedTuple):
    """What the ARN of a principal says: its account, 'user', 'role' or 'session', its name."""

    account: str
    kind: str
    name: str  # as API events record it: without a path; role/session; root


def parse_arn(text: str) -> Principal | None:
    """Return what the ARN of a principal says; None for any other text."""
    found = _ARN.fullmatch(text)
    if found is None:
        return None
    account, kind, name, root = found.groups()
    if root:
        return Principal(account, "user", root)
    if kind in ("role", "user"):
        name = name.rpartition("/")[2]  # without its path
    return Principal(account, _KINDS.get(kind, kind), name)


def owner_account(events: ibis.Table) -> ir.StringValue:
    """The account of an event's caller: that of its ARN, else that of the event; '' if unknown."""
    account = events.principal_arn.re_extract(r"^arn:[^:]*:[^:]*:[^:]*:(\d*):", 1)
    return ibis.coalesce(account.nullif(""), events.account_id, "")


def find_namesakes(events: ibis.Table, alerts: ibis.Table) -> frozenset[str]:
    """Return the names that principals of several accounts have: users, roles and root.

    Names that look as if they had an account are among them, so that none is mistaken for another.

    Args:
        events: API events (cloudtrail.TABLE) as recorded.
        alerts: GuardDuty findings (guardduty.TABLE) as recorded.
    """
    is_owned = events.principal_type.isin(_OWNED) | events.principal_arn.notnull()
    callers = events.filter(is_owned.fill_null(False))
    about = events.filter(events.target_user.notnull())
    alerted = alerts.select("account_id", name=alerts.principal_names.unnest())
    names = [
        callers.select(name=callers.principal_name, account=owner_account(callers)),
        about.select(name=about.target_user, account=about.account_id),
        alerted.select(name=alerted.name, account=alerted.account_id),
    ]
    owners = ibis.union(*(table.distinct() for table in names))
    owners = owners.mutate(name=_head(owners.name), account=_digits(owners.account).nullif(""))
    count = owners.group_by("name").aggregate(accounts=owners.account.nunique())
    several = (count.accounts > 1) | count.name.contains(_MARK)
    return frozenset(count.filter(several.fill_null(False)).to_pyarrow()["name"].to_pylist())


def with_accounts(events: ibis.Table, namesakes: Collection[str]) -> ibis.Table:
    """Name callers and users in API events with their account, where several have the name.

    Args:
        events: API events (cloudtrail.TABLE) as recorded.
        namesakes: The names that need it.
    """
    if not namesakes:
        return events
    return events.mutate(
        principal_name=_with_account(events.principal_name, owner_account(events), namesakes),
        target_user=_with_account(events.target_user, events.account_id, namesakes),
    )


def with_alert_accounts(alerts: ibis.Table, namesakes: Collection[str]) -> ibis.Table:
    """Name principals in GuardDuty findings with their account, where several have the name."""
    if not namesakes:
        return alerts
    account = alerts.account_id
    return alerts.mutate(
        principal_name=_with_account(alerts.principal_name, account, namesakes),
        principal_names=alerts.principal_names.map(
            lambda name: _with_account(name, account, namesakes)
        ),
    )


def principals_of(name: str, events: ibis.Table, alerts: ibis.Table) -> list[str]:
    """Return the principals with a recorded name, as tables ``with_accounts`` name them, sorted."""
    columns = [
        events.select(name=events.principal_name),
        events.select(name=_head(events.principal_name)),
        events.select(name=events.target_user),
        alerts.select(name=alerts.principal_names.unnest()),
    ]
    known = ibis.union(*(table.distinct() for table in columns))
    same = known.filter(recorded_name(known.name) == name, known.name != name)
    return sorted(set(same.to_pyarrow()["name"].to_pylist()))


def choose_principal(
    name: str, namesakes: Collection[str], events: ibis.Table, alerts: ibis.Table
) -> str:
    """Return a recorded name as the tables of a case have it; one with its account as it is.

    A name with an account is what tables show: it is not the user whose recorded name looks so.
    Raises InputError where principals of several accounts have the name.
    """
    if name.partition("/")[0] not in namesakes:
        return name
    bare, account = split_account(name)
    if account is not None and name in principals_of(bare, events, alerts):
        return name
    names = principals_of(name, events, alerts)
    if len(names) > 1:
        raise InputError(
            f"{escape_controls(name)!r} is a principal of {len(names)} accounts: give one of"
            f" {list_some(map(escape_controls, names))}"
        )
    return names[0] if names else name


def recorded_name(name: ir.StringValue) -> ir.StringValue:
    """Return a name as the record has it, without the account that ``with_accounts`` added."""
    return name.re_replace(r"^([^/]*) \(account \d+\)", r"\1")


def qualify(name: str, account: str | None, namesakes: Collection[str]) -> str:
    """Return the name of an account's principal as the tables of a case have it.

    Args:
        name: User, role, role/session or root, as recorded.
        account: Its account; None or '' if unknown.
        namesakes: The names that principals of several accounts have.
    """
    head, slash, session = name.partition("/")
    return f"{head}{_MARK}{account}){slash}{session}" if head in namesakes and account else name


def split_account(name: str) -> tuple[str, str | None]:
    """Return a name as recorded, and the account that a table of the case added to it, or None."""
    found = _QUALIFIED.fullmatch(name)
    return (name, None) if found is None else (f"{found[1]}{found[3] or ''}", found[2])


def name_of(principal: str, namesakes: Collection[str]) -> str:
    """Return the name, as the tables of a case have it, of a principal's ARN; a name as it is."""
    parsed = parse_arn(principal)
    return principal if parsed is None else qualify(parsed.name, parsed.account, namesakes)


def _head(name: ir.StringValue) -> ir.StringValue:
    """A user, or the role of a session."""
    return name.re_replace("(?s)/.*", "")


def _digits(account: ir.StringValue) -> ir.StringValue:
    """An account id, or '' where it is none: anyone may have written the record."""
    return account.re_extract(r"^\d+$", 0)


def _with_account(
    name: ir.StringValue, account: ir.StringValue, namesakes: Collection[str]
) -> ir.StringValue:
    head, number = _head(name), _digits(account.fill_null(""))
    needs = head.isin(sorted(namesakes)) & (number != "")
    named = head.concat(_MARK, number, ")", name.re_extract("(?s)/.*$", 0))
    return needs.fill_null(False).ifelse(named, name)
