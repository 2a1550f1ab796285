"""Services that many internal hosts use, and when that excuses traffic to them.

Updaters, agents and monitoring services have many clients in a network; so does the command server
of a campaign. What many hosts share is ordinary only if there is more to it than their number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis
import pandas as pd
from ibis import _

from flowbench.enrich import cloud_services
from flowbench.enrich.address_context import AWS_SERVICE_FIELDS
from flowbench.schema import to_frame

if TYPE_CHECKING:
    from flowbench.case import Case

KEYS = ["responder", "service_port", "protocol"]

_MIN_HOSTS = 4
_QUARTER = 0.25
_LONG_LOGS = pd.Timedelta(hours=20)  # shorter logs show no baseline
_LARGE_NETWORK = 100  # hosts with outbound connections
_LARGE_PART = 0.5
_MIN_CONNECTIONS = 3  # of a host that uses a service; scans and typing errors have fewer
# Codes of AWS, and names of clouds, whose addresses customers rent: anybody's machine.
_RENTED = {"EC2", "AMAZON", "GOOGLE CLOUD"}


def baseline_ends(case: Case) -> tuple[pd.Timestamp, pd.Timestamp] | None:
    """Return the end of the first quarter of the logs and the begin of the last (UTC).

    What was there in both is established. None for logs of less than 20 hours, which do not show
    what is.
    """
    begin, end = case.span
    if begin is None or end is None or end - begin < _LONG_LOGS:
        return None
    quarter = (end - begin) * _QUARTER
    return begin + quarter, end - quarter


def shared_services(
    case: Case, *, min_hosts: int = _MIN_HOSTS, min_connections: int = _MIN_CONNECTIONS
) -> ibis.Table:
    """Return the external services whose sharing excuses traffic to them.

    A service is shared when ``min_hosts`` internal hosts opened ``min_connections`` or more to it,
    and one of these holds, the first of which is the reason:

    * ``baseline``: so many hosts used it in the first quarter of the logs already, and so many
      still in the last, where the logs are about a day or longer;
    * ``network``: half of the monitored network uses it, in a network of at least 100 hosts;
    * ``cloud``: a list of cloud ranges, or the records, name a service of a cloud at its address.
      Addresses that a cloud rents to customers (EC2) do not count.

    Known limit: a command server that four hosts already called in the baseline is excused.

    Args:
        case: The case.
        min_hosts: Least number of internal hosts that share a service.
        min_connections: Least connections of such a host: one where a nightly job counts.

    Returns:
        A table of KEYS, host_count (internal hosts that use it) and reason.
    """
    s = case.connection_summaries
    outbound = s.filter(s.direction == "outbound", ~s.intermediate)
    ends = baseline_ends(case)
    early, late = (
        (ibis.literal(False), ibis.literal(False))
        if ends is None
        else (outbound.first_seen <= ends[0], outbound["last_seen"] >= ends[1])
    )
    used = outbound.filter(outbound.connections >= min_connections).mutate(early=early, late=late)
    services = used.group_by(KEYS).aggregate(
        host_count=_.initiator.nunique(),
        early_hosts=_.initiator.nunique(where=_.early),
        late_hosts=_.initiator.nunique(where=_.late),
    )
    services = services.filter(services.host_count >= min_hosts)
    hosts = outbound.initiator.nunique().as_scalar()
    is_large = (hosts >= _LARGE_NETWORK) & (services.host_count >= _LARGE_PART * hosts)
    is_established = (services.early_hosts >= min_hosts) & (services.late_hosts >= min_hosts)
    services = services.mutate(
        reason=ibis.cases((is_established, "baseline"), (is_large, "network"), else_=None)
    )
    rows = to_frame(services.order_by(KEYS).to_pyarrow())
    cloud = rows["reason"].isna() & rows["responder"].isin(_cloud_services(case, rows["responder"]))
    rows.loc[cloud, "reason"] = "cloud"
    rows = rows[rows["reason"].notna()]
    schema = {
        "responder": "string",
        "service_port": "int32",
        "protocol": "int32",
        "host_count": "int64",
        "reason": "string",
    }
    return ibis.memtable(rows[list(schema)], schema=schema)


def _cloud_services(case: Case, addresses: pd.Series) -> set[str]:
    """The addresses at which a cloud runs a service of its own."""
    flows = case.flows if case.fields & AWS_SERVICE_FIELDS else None
    found = cloud_services.find_services(
        sorted(set(addresses)), case.table("cloud_ranges"), flows
    ).to_pylist()
    return {row["address"] for row in found if str(row["cloud_service"]).upper() not in _RENTED}
