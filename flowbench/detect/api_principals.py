"""Principals of API calls: people and automation, who is new, and from where each usually calls.

A network is the provider's (/16, /32 for IPv6), since dynamic addresses change within one. It is
new for a day after its first use in the account, if the events began half a day before that. The
baseline, for what is ordinary, is the first quarter of API events that span a day or more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from flowbench.detect.credential_use import PROVIDER
from flowbench.enrich.namesakes import owner_account
from flowbench.enrich.ownership import neighbourhood
from flowbench.schema import to_frame
from flowbench.text import format_utc, is_address

if TYPE_CHECKING:
    import ibis

    from flowbench.case import Case

_PEOPLE = frozenset({"IAMUser", "Root", "FederatedUser", "IdentityCenterUser", "SAMLUser"})
_SSO_ROLE = "AWSReservedSSO_"  # roles of IAM Identity Center; the session is the person
_NEW = pd.Timedelta(days=7)  # how long a created user or key counts as new
_NEW_NETWORK = pd.Timedelta(days=1)  # how long a network counts as new after its first use
_KNOWN_FOR = pd.Timedelta(hours=12)  # of events before that, which show the usual networks
_SHORTEST = pd.Timedelta(days=1)  # shortest log with a baseline
_BASELINE_SHARE = 0.25
_MOST_NETWORKS = 4  # a principal with more before the call works from anywhere, by design


class Caller(NamedTuple):
    """Who made a call: an account's user, person behind single sign-on, or role.

    The account is the caller's, which may have called in another.
    """

    account: str
    name: str
    is_person: bool


class Creation(NamedTuple):
    """The creation of a user or key: its time, and the principal that made the call."""

    what: str
    time: pd.Timestamp
    creator: str


@dataclass(frozen=True)
class Principals:
    """What the API events record about the principals.

    Attributes:
        begin: When the API events begin; None without any.
        baseline_end: When the baseline ends; None for events of less than a day.
        networks: The networks from which each caller called, with the time of its first call.
        everyones: The same of anybody in an account.
        users: The creation of users, by account and name.
        keys: The creation of access keys for others, by key.
    """

    begin: pd.Timestamp | None = None
    baseline_end: pd.Timestamp | None = None
    networks: dict[Caller, dict[str, pd.Timestamp]] = field(default_factory=dict)
    everyones: dict[str, dict[str, pd.Timestamp]] = field(default_factory=dict)
    users: dict[tuple[str, str], Creation] = field(default_factory=dict)
    keys: dict[str, Creation] = field(default_factory=dict)

    def why_new(
        self, caller: Caller, time: pd.Timestamp, key: str | None, source: str | None
    ) -> str:
        """Return why a call is by a new principal or from a new network; empty if it is neither."""
        known = (self.users.get((caller.account, caller.name)), self.keys.get(key or ""))
        for creation in known:
            if creation and pd.Timedelta(0) <= time - creation.time <= _NEW:
                return (
                    f"{creation.what} was created by {creation.creator}"
                    f" at {format_utc(creation.time)}."
                )
        first = self.first_use_of_new_network(caller, time, source)
        if first is None:
            return ""
        first_call = f"first recorded call from the network of {source}"
        return f"The account's {first_call} was at {format_utc(first)}."

    def first_use_of_new_network(
        self, caller: Caller, time: pd.Timestamp, source: str | None
    ) -> pd.Timestamp | None:
        """Return when a new network was first used, if a person calls from it who has others."""
        if not caller.is_person or self.begin is None or not (source and is_address(source)):
            return None
        network = network_of(source)
        first = self.everyones.get(caller.account, {}).get(network, self.begin)
        if first - self.begin < _KNOWN_FOR or time - first > _NEW_NETWORK:
            return None
        used = self.networks.get(caller, {}).items()
        others = [other for other, since in used if other != network and since < time]
        return first if 0 < len(others) <= _MOST_NETWORKS else None

    def baseline_networks(self, caller: Caller) -> set[str]:
        """Return the networks from which a caller called in the baseline."""
        end = self.baseline_end
        used = self.networks.get(caller, {}).items()
        return {network for network, first in used if end is not None and first < end}


@lru_cache(maxsize=65_536)  # the same principals call again and again
def identify(account: str | None, principal_type: str | None, name: str | None) -> Caller:
    """Return who made a call.

    People are IAM users, the root user, federated users, and sessions of roles for single sign-on
    or with an e-mail address as their name. Every other session stands for its role: programs give
    sessions new names.
    """
    name = name or "unknown"
    role, _slash, session = name.partition("/")
    if principal_type == "AssumedRole" and not role.startswith(_SSO_ROLE) and "@" not in session:
        return Caller(account or "", role, is_person=False)
    return Caller(account or "", name, principal_type in (*_PEOPLE, "AssumedRole"))


def is_program(events: ibis.Table) -> ibis.Value:
    """Whether a session stands for its role (see ``identify``), as an expression."""
    name = events.principal_name
    is_role = (events.principal_type == "AssumedRole") & ~name.startswith(_SSO_ROLE)
    return (is_role & ~name.contains("@")).fill_null(False)


def is_service_name(source: str | None) -> bool:
    """Whether the source of a call is an AWS service that made it for the principal."""
    return source is not None and (source == "AWS Internal" or source.endswith("amazonaws.com"))


@lru_cache(maxsize=65_536)
def network_of(source: str | None) -> str:
    """Return the network of a source address; anything else as it is (an AWS service's name)."""
    return neighbourhood(source, PROVIDER) if source and is_address(source) else source or ""


def read_principals(case: Case) -> Principals:
    """Read what the API events record about the principals."""
    events = case.api_events
    begin, end = _period(events)
    users, keys = _read_creations(events)
    # Roles have as many sessions as calls: without them few rows are left.
    name = events.principal_name
    name = is_program(events).ifelse(name.re_replace("/.*", ""), name)
    keys_of = ["owner", "principal_type", "caller", "source_ip"]
    called = events.filter(events.source_ip.notnull())
    uses = called.mutate(caller=name, owner=owner_account(called)).group_by(keys_of)
    rows = to_frame(uses.aggregate(first=events.event_time.min()).to_pyarrow())
    networks: dict[Caller, dict[str, pd.Timestamp]] = {}
    everyones: dict[str, dict[str, pd.Timestamp]] = {}
    for row in rows.sort_values("first").to_dict("records"):
        texts = (row[key] if isinstance(row[key], str) else None for key in keys_of[:3])
        caller, network = identify(*texts), network_of(row["source_ip"])
        networks.setdefault(caller, {}).setdefault(network, row["first"])
        everyones.setdefault(caller.account, {}).setdefault(network, row["first"])
    return Principals(begin, end, networks, everyones, users, keys)


def _period(events: ibis.Table) -> tuple[pd.Timestamp | None, pd.Timestamp | None]:
    """Return when the events begin, and when their baseline ends."""
    times = events.event_time
    span = events.aggregate(first=times.min(), last=times.max()).to_pandas().iloc[0]
    first, last = span["first"], span["last"]
    if pd.isna(first):
        return None, None
    is_long = last - first >= _SHORTEST
    return first, first + _BASELINE_SHARE * (last - first) if is_long else None


def _read_creations(
    events: ibis.Table,
) -> tuple[dict[tuple[str, str], Creation], dict[str, Creation]]:
    """Return the users and access keys that were created for somebody else, with their creation."""
    names = ["CreateUser", "CreateAccessKey"]
    made = events.filter(events.event_name.isin(names), events.error_code.isnull())
    columns = ["event_time", "event_name", "event_id", "account_id", "principal_name"]
    columns += ["target_user", "new_access_key_id"]
    # A user belongs to the account of the event; where it has none, to the creator's.
    account = made.account_id.coalesce(owner_account(made))
    ordered = made.mutate(account=account).order_by("event_time", "event_id")
    rows = to_frame(ordered.select(*columns, "account").to_pyarrow())
    users: dict[tuple[str, str], Creation] = {}
    keys: dict[str, Creation] = {}
    for row in rows.to_dict("records"):
        user, key, creator = row["target_user"], row["new_access_key_id"], row["principal_name"]
        account = row["account"]
        if not isinstance(user, str) or user == creator:
            continue
        if row["event_name"] == "CreateUser":
            creation = Creation("The user", row["event_time"], str(creator))
            users[account, user] = creation
        elif isinstance(key, str):
            keys[key] = Creation(f"The access key {key}", row["event_time"], str(creator))
    return users, keys
