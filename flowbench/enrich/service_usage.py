"""Which AWS services a host uses: by DNS look-ups, by its role's API calls, by flow log records.

Look-ups and records give tables of one shape: host, service (``s3``, ``iam``, …), to (addresses in
the answer, or address of the packet), first, last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis
import pandas as pd
from ibis import _

from flowbench.enrich.ownership import is_private
from flowbench.schema import to_frame

if TYPE_CHECKING:
    from collections.abc import Iterable

# Names below these under amazonaws.com belong to customers; the bare name can be an API's.
CUSTOMER_ENDPOINTS = frozenset(
    {"elb", "compute", "compute-1", "rds", "cache", "es", "redshift", "docdb", "efs", "fsx", "vpce"}
)
INSTANCE_SESSION = r"/(m?i-[0-9a-zA-Z]+)$"  # session of an instance's role, in the principal's name
SERVICE_CALLED = r"^([a-z0-9-]+)\."  # in the event source: iam.amazonaws.com

_API = r"([a-z0-9-]+?)(?:[.-][a-z]{2}(?:-[a-z]+)+-\d)?\.(?:amazonaws\.com(?:\.cn)?|api\.aws)$"
_NO_API = (
    r"^(ec2|amazon|route53|cloudfront|globalaccelerator)"  # codes of addresses that customers use
)


def services_looked_up(dns: ibis.Table) -> ibis.Table:
    """Select the look-ups of AWS API names."""
    d = dns.filter(dns.srcaddr.notnull())
    service = d.name.re_extract(rf"(?:^|\.){_API}", 1)
    bare = d.name.re_extract(f"^{_API}", 1)
    rows = d.filter(service != "", ~service.isin(sorted(CUSTOMER_ENDPOINTS)) | (bare == service))
    return rows.select(
        "name",
        host="srcaddr",
        service=service,
        to="answers",
        first="query_time",
        last="query_time",
    )


def services_logged(flows: ibis.Table, summaries: ibis.Table) -> ibis.Table:
    """Select internal hosts' records of AWS services, by pkt-dst-aws-service.

    Args:
        flows: Flow log records (schema.FLOWS).
        summaries: Connection summaries (connections.SUMMARIES), which know public internal hosts.

    Returns:
        host, service, to, first, last, and the interface_id that recorded it.
    """
    f, opened = flows, summaries.direction.isin(["internal", "outbound"])
    hosts = summaries.filter(opened, ~is_private(summaries.initiator))
    rows = f.filter(f.pkt_dst_aws_service.notnull(), f.action == "ACCEPT").select(
        "interface_id",
        host=f.pkt_srcaddr.coalesce(f.srcaddr),
        service=f.pkt_dst_aws_service.lower(),
        to=ibis.array([f.pkt_dstaddr.coalesce(f.dstaddr)]),
        first="start",
        last="end",
    )
    is_internal = is_private(rows.host) | rows.host.isin(hosts.initiator)
    return rows.filter(is_internal, ~rows.service.re_search(_NO_API))


def services_called(api_events: ibis.Table, assignments: pd.DataFrame) -> pd.DataFrame:
    """Summarise AWS services by the API calls of instances' role sessions.

    Args:
        api_events: API events (cloudtrail.TABLE).
        assignments: Which ``instance_id`` has which ``address``: an instance's first address is the
            host.

    Returns:
        The columns of ``summarize_usage``.
    """
    e = api_events
    e = e.mutate(host=e.principal_name.re_extract(INSTANCE_SESSION, 1)).filter(_.host != "")
    e = e.mutate(service=e.event_source.re_extract(SERVICE_CALLED, 1))
    rows = e.select("host", "service", first="event_time", last="event_time")
    usage = summarize_usage(rows, "CloudTrail")
    hosts = assignments.dropna(subset=["instance_id"]).groupby("instance_id")["address"].min()
    return usage.assign(host=usage["host"].map(hosts)).dropna(subset=["host"])


def summarize_usage(rows: ibis.Table, how: str) -> pd.DataFrame:
    """Summarise the usage of services by host: host, service, first, last, n (rows), how.

    ``how`` names the data source.
    """
    sums = rows.group_by("host", "service").aggregate(
        first=rows["first"].min(), last=rows["last"].max(), n=rows.count()
    )
    return to_frame(sums.order_by("host", "service").to_pyarrow()).assign(how=how)


def service_addresses(sources: Iterable[ibis.Table], usage: pd.DataFrame) -> dict[str, list[str]]:
    """The addresses of the services that each host used (host, service), at most a hundred."""
    hosts, services = (sorted(set(usage[name])) for name in ("host", "service"))
    addresses: dict[str, set[str]] = {}
    pairs = set(usage[["host", "service"]].itertuples(index=False, name=None))
    for table in sources:
        rows = table.filter(table.host.isin(hosts), table.service.isin(services))
        rows = rows.select("host", "service", to=rows.to.unnest()).distinct()
        for host, service, to in to_frame(rows.to_pyarrow()).itertuples(index=False):
            if (host, service) in pairs and isinstance(to, str):
                addresses.setdefault(host, set()).add(to)
    return {host: sorted(found)[:100] for host, found in addresses.items()}
