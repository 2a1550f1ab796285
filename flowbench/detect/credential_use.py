"""Use of AWS credentials: API calls of sessions and users, and where they should come from.

The calls are CloudTrail's, of principals that hold credentials of their own: assumed roles and IAM
users. Calls that an AWS service makes for a principal have no address as their source and are left
out. A role session that is named after an instance (role/i-…) is that instance's: EC2 names it so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pandas as pd

from flowbench.enrich.ownership import Scope, is_private, neighbourhood
from flowbench.enrich.service_usage import INSTANCE_SESSION
from flowbench.schema import to_frame
from flowbench.text import is_address

if TYPE_CHECKING:
    from flowbench.case import Case

# One network operator's site: dynamic addresses of a provider change within such a prefix.
PROVIDER = Scope(16, 32)

_CALLS = ["event_time", "event_name", "event_id", "principal_name", "principal_type"]
_CALLS += ["access_key_id", "source_ip", "error_code", "evidence_id", "item"]
_ASSIGNMENTS = ["address", "instance_id", "service", "vpc_id", "public_addresses"]
# From so many instances' sessions on, a source address that no inventory lists is shared egress.
_SHARED_BY = 3


@dataclass(frozen=True)
class UnexpectedUse:
    """Calls of one instance's sessions that do not come from the instance.

    Attributes:
        instance: The instance's ID, from the name of the session.
        host: The instance's first address, or its ID where no evidence gives an address.
        has_addresses: Whether any evidence gives the instance's addresses.
        calls: The unexpected calls (``read_calls``), in order of time.
        expected: The instance's other calls.
        assumed_egress: Source addresses that are assumed to be its egress, without an inventory.
        users: IAM users that call from the same addresses as the unexpected calls, one for each.
        origin: Where all unexpected calls come from: NAT gateways (of other VPCs), internal
            addresses of the case, or, for one call at least, neither.
    """

    instance: str
    host: str
    has_addresses: bool
    calls: pd.DataFrame
    expected: pd.DataFrame
    assumed_egress: list[str]
    users: list[str]
    origin: Literal["nat-gateway", "internal", "external"]


def read_calls(case: Case) -> pd.DataFrame:
    """Read the API calls of role sessions and users, in order of time.

    Returns:
        Columns of ``api_events``, and instance (whose session it is; missing for other
        principals), file (of the evidence) and network (of a public source address, in CIDR form;
        missing for a private one).
    """
    e = case.api_events
    calls = e.filter(e.principal_type.isin(["AssumedRole", "IAMUser"]), e.source_ip.notnull())
    calls = calls.select(*_CALLS, private=is_private(calls.source_ip.lower()))
    order = ["event_time", "event_id", "evidence_id", "item"]
    rows = to_frame(calls.order_by(order).to_pyarrow())
    rows = rows[rows["source_ip"].map(is_address).astype(bool)]
    public = rows.loc[~rows["private"].astype(bool), "source_ip"]
    files = case.evidence[["evidence_id", "file"]].itertuples(index=False)
    return rows.drop(columns="private").assign(
        instance=rows["principal_name"].str.extract(INSTANCE_SESSION, expand=False),
        file=rows["evidence_id"].map(dict(files)),
        network=public.map(lambda address: neighbourhood(address, PROVIDER)).astype(object),
    )


def read_assignments(case: Case) -> pd.DataFrame:
    """Read which address belongs to which instance, AWS service and VPC, with its public ones."""
    assignments = case.address_assignments.select(_ASSIGNMENTS).order_by(_ASSIGNMENTS[:4])
    return to_frame(assignments.to_pyarrow())


def find_unexpected_use(calls: pd.DataFrame, assignments: pd.DataFrame) -> Iterator[UnexpectedUse]:
    """Yield the instances whose sessions call from an address that is not the instance's.

    Expected are the instance's addresses, private and public, and the public addresses of its VPC's
    NAT gateways. Where the inventory knows no public address of either, an address from which
    sessions of three instances call is assumed to be the egress address, or without any, the one
    that most of this instance's calls come from, unless a user calls from it too: an instance and a
    person's computer do not share an address. An address of the case is never assumed so.

    Args:
        calls: Rows of ``read_calls``; those without an instance are ignored.
        assignments: Rows of ``read_assignments``.
    """
    gateways = assignments[assignments["service"] == "nat-gateway"]
    gateway_addresses = public_addresses(gateways)
    internal = set(assignments["address"]) | public_addresses(assignments)
    instance_count = calls.groupby("source_ip")["instance"].nunique()
    users = calls[calls["principal_type"] == "IAMUser"].groupby("source_ip")["principal_name"].min()
    for instance, rows in calls.groupby("instance", sort=True):
        own = assignments[assignments["instance_id"] == instance]
        vpcs = set(own["vpc_id"].dropna())
        egress = public_addresses(gateways[gateways["vpc_id"].isin(vpcs)]) | public_addresses(own)
        unexpected = rows[~rows["source_ip"].isin(set(own["address"]) | egress)]
        assumed: list[str] = []
        if not egress:
            sources = unexpected["source_ip"]
            is_egress = sources.map(instance_count) >= _SHARED_BY
            if not is_egress.any():
                is_egress = sources.map(sources.value_counts()) * 2 > len(rows)
                is_egress &= ~sources.isin(users.index)
            is_egress &= ~sources.isin(internal)
            assumed = sorted(set(sources[is_egress]))
            unexpected = unexpected[~is_egress]
        if unexpected.empty:
            continue
        addresses = set(unexpected["source_ip"])
        yield UnexpectedUse(
            instance=str(instance),
            host=str(instance) if own.empty else own["address"].min(),
            has_addresses=not own.empty,
            calls=unexpected,
            expected=rows[~rows["source_ip"].isin(addresses)],
            assumed_egress=assumed,
            users=sorted(set(users[users.index.isin(addresses)])),
            origin="nat-gateway"
            if addresses <= gateway_addresses
            else "internal"
            if addresses <= internal
            else "external",
        )


def public_addresses(assignments: pd.DataFrame) -> set[str]:
    """Return all public addresses of some rows of ``read_assignments``."""
    lists = assignments["public_addresses"].dropna()
    return {address for addresses in lists for address in addresses}


def find_alternating_use(
    calls: pd.DataFrame, *, most_networks: int = 4, within: pd.Timedelta
) -> Iterator[tuple[str, pd.DataFrame, pd.DataFrame]]:
    """Yield the credentials that are used from two networks and more alternately.

    Args:
        calls: Rows of ``read_calls``; private sources are ignored.
        most_networks: Credentials used from more networks are shared by design (CI runners).
        within: Longest time between two calls from different networks that counts as a change.

    Yields:
        The user's name or the session's access key ID, its calls, and those of them that changed
        the network, two at least.
    """
    is_user = calls["principal_type"] == "IAMUser"
    credentials = calls["principal_name"].where(is_user, calls["access_key_id"])
    calls = calls.assign(credentials=credentials).dropna(subset=["credentials", "network"])
    for name, rows in calls.groupby("credentials", sort=True):
        if not 2 <= rows["network"].nunique() <= most_networks:
            continue
        is_change = rows["network"] != rows["network"].shift()
        changes = rows[is_change & (rows["event_time"].diff() <= within)]
        if len(changes) >= 2:
            yield str(name), rows, changes
