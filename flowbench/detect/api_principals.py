"""Principals of API calls: people and automation, who is new, and from where each usually calls.

The baseline is the first quarter of API events that span a day or more. It is judged by network
(the provider's /16, /32 for IPv6), since dynamic addresses change within one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from flowbench.detect.credential_use import PROVIDER
from flowbench.enrich.ownership import neighbourhood
from flowbench.schema import to_frame
from flowbench.text import format_utc, is_address

if TYPE_CHECKING:
    import ibis

    from flowbench.case import Case

_PEOPLE = frozenset({"IAMUser", "Root", "FederatedUser", "IdentityCenterUser", "SAMLUser"})
_SSO_ROLE = "AWSReservedSSO_"  # roles of IAM Identity Center; the session is the person
_NEW = pd.Timedelta(days=7)  # how long a created user or key counts as new
_SHORTEST = pd.Timedelta(days=1)  # shortest log with a baseline
_BASELINE_SHARE = 0.25
_MOST_NETWORKS = 4  # a principal with more in the baseline calls from anywhere, by design


class Caller(NamedTuple):
    """Who made a call: an account's user, person behind single sign-on, or role."""

    account: str
    name: str
    is_person: bool


class Creation(NamedTuple):
    """How a user or key came into being: the time, and the principal that called."""

    what: str
    time: pd.Timestamp
    creator: str


@dataclass(frozen=True)
class Principals:
    """What the API events tell of the principals.

    Attributes:
        baseline_end: When the baseline ends; None for events of less than a day.
        networks: Networks from which each caller called in the baseline.
        everyones: Networks from which anybody of an account called then.
        users: The creation of users, by account and name.
        keys: The creation of access keys for others, by key.
    """

    baseline_end: pd.Timestamp | None = None
    networks: dict[Caller, set[str]] = field(default_factory=dict)
    everyones: dict[str, set[str]] = field(default_factory=dict)
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
        if self.is_new_network(caller, time, source):
            return (
                f"Nobody of the account called from the network of {source} before"
                f" {format_utc(self.baseline_end or time)}."
            )
        return ""

    def is_new_network(self, caller: Caller, time: pd.Timestamp, source: str | None) -> bool:
        """Whether a person that called in the baseline calls from a network that nobody used."""
        if self.baseline_end is None or not caller.is_person or time < self.baseline_end:
            return False
        usual = self.networks.get(caller, set())
        is_judged = 0 < len(usual) <= _MOST_NETWORKS and source is not None and is_address(source)
        return is_judged and network_of(source) not in self.everyones.get(caller.account, set())


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
    """Read what the API events tell of the principals."""
    events = case.api_events
    users, keys = _read_creations(events)
    end = _baseline_end(events)
    networks: dict[Caller, set[str]] = {}
    everyones: dict[str, set[str]] = {}
    if end is not None:
        columns = ["account_id", "principal_type", "principal_name", "source_ip"]
        early = events.filter(events.event_time < end, events.source_ip.notnull())
        # Roles have as many sessions as calls: without them few rows are left.
        name = early.principal_name
        role = name.re_replace("/.*", "")
        early = early.mutate(principal_name=is_program(early).ifelse(role, name))
        for row in early.select(columns).distinct().to_pyarrow().to_pylist():
            caller = identify(row["account_id"], row["principal_type"], row["principal_name"])
            network = network_of(row["source_ip"])
            networks.setdefault(caller, set()).add(network)
            everyones.setdefault(caller.account, set()).add(network)
    return Principals(end, networks, everyones, users, keys)


def _baseline_end(events: ibis.Table) -> pd.Timestamp | None:
    times = events.event_time
    span = events.aggregate(first=times.min(), last=times.max()).to_pandas().iloc[0]
    if pd.isna(span["first"]) or span["last"] - span["first"] < _SHORTEST:
        return None
    return span["first"] + _BASELINE_SHARE * (span["last"] - span["first"])


def _read_creations(
    events: ibis.Table,
) -> tuple[dict[tuple[str, str], Creation], dict[str, Creation]]:
    """Return the users and access keys that were created for somebody else, with their creation."""
    names = ["CreateUser", "CreateAccessKey"]
    made = events.filter(events.event_name.isin(names), events.error_code.isnull())
    columns = ["event_time", "event_name", "event_id", "account_id", "principal_name"]
    columns += ["target_user", "new_access_key_id"]
    rows = to_frame(made.order_by("event_time", "event_id").select(columns).to_pyarrow())
    users: dict[tuple[str, str], Creation] = {}
    keys: dict[str, Creation] = {}
    for row in rows.to_dict("records"):
        user, key, creator = row["target_user"], row["new_access_key_id"], row["principal_name"]
        account = row["account_id"] if isinstance(row["account_id"], str) else ""
        if not isinstance(user, str) or user == creator:
            continue
        if row["event_name"] == "CreateUser":
            creation = Creation("The user", row["event_time"], str(creator))
            users[account, user] = creation
        elif isinstance(key, str):
            keys[key] = Creation(f"The access key {key}", row["event_time"], str(creator))
    return users, keys
