"""Which AWS services a host uses: by the names it looks up, by its role's calls, by the logs' word.

What was asked and what was logged are tables of one shape: host, service (``s3``, ``iam``, …), to
(the addresses it was told of or spoke with), first, last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis
import pandas as pd
from ibis import _

from flowbench.enrich.inventory import is_internal
from flowbench.schema import to_frame

if TYPE_CHECKING:
    from collections.abc import Iterable

# Names below these under amazonaws.com are customers' machines; the bare name may be an API's.
MACHINES = frozenset(
    {"elb", "compute", "compute-1", "rds", "cache", "es", "redshift", "docdb", "efs", "fsx", "vpce"}
)
SESSION = r"/(m?i-[0-9a-zA-Z]+)$"  # of an instance's role, in the name of its principal

_API = r"([a-z0-9-]+?)(?:[.-][a-z]{2}(?:-[a-z]+)+-\d)?\.(?:amazonaws\.com(?:\.cn)?|api\.aws)$"
_NO_API = r"^(ec2|amazon|route53|cloudfront|globalaccelerator)"  # codes of anybody's addresses


def asked(dns: ibis.Table) -> ibis.Table:
    """Look-ups of the names of AWS's APIs."""
    d = dns.filter(dns.srcaddr.notnull())
    named = d.name.re_extract(rf"(?:^|\.){_API}", 1)
    own = d.name.re_extract(f"^{_API}", 1)
    rows = d.filter(named != "", ~named.isin(sorted(MACHINES)) | (own == named))
    return rows.select(
        host="srcaddr", service=named, to="answers", first="query_time", last="query_time"
    )


def logged(flows: ibis.Table) -> ibis.Table:
    """Inside hosts' records of AWS services, by pkt-dst-aws-service."""
    f = flows
    rows = f.filter(f.pkt_dst_aws_service.notnull(), f.action == "ACCEPT").select(
        host=f.pkt_srcaddr.coalesce(f.srcaddr),
        service=f.pkt_dst_aws_service.lower(),
        to=ibis.array([f.pkt_dstaddr.coalesce(f.dstaddr)]),
        first="start",
        last="end",
    )
    return rows.filter(is_internal(rows.host), ~rows.service.re_search(_NO_API))


def called(api_events: ibis.Table, held: pd.DataFrame) -> pd.DataFrame:
    """AWS services by the calls of instances' role sessions, summed; the host is the instance's.

    ``held`` says which instance (``instance_id``) has which ``address``.
    """
    e = api_events
    e = e.mutate(instance=e.principal_name.re_extract(SESSION, 1)).filter(_.instance != "")
    e = e.mutate(service=e.event_source.re_extract(r"^([a-z0-9-]+)\.", 1))
    rows = e.select("instance", "service", first="event_time", last="event_time")
    found = summed(rows.rename(host="instance"), "CloudTrail")
    homes = held.dropna(subset=["instance_id"]).groupby("instance_id")["address"].min()
    return found.assign(host=found["host"].map(homes)).dropna(subset=["host"])


def summed(rows: ibis.Table, how: str) -> pd.DataFrame:
    """Which host used which service: first, last, n times, and ``how`` that is known."""
    sums = rows.group_by("host", "service").aggregate(
        first=rows["first"].min(), last=rows["last"].max(), n=rows.count()
    )
    return to_frame(sums.order_by("host", "service").to_pyarrow()).assign(how=how)


def spoken_to(sources: Iterable[ibis.Table], used: pd.DataFrame) -> dict[str, list[str]]:
    """The addresses behind what each host used (columns host, service), a hundred at most."""
    hosts, services = (sorted(set(used[name])) for name in ("host", "service"))
    found: dict[str, set[str]] = {}
    key = set(used[["host", "service"]].itertuples(index=False, name=None))
    for table in sources:
        mine = table.filter(table.host.isin(hosts), table.service.isin(services))
        rows = mine.select("host", "service", to=mine.to.unnest()).distinct()
        for host, service, to in to_frame(rows.to_pyarrow()).itertuples(index=False):
            if (host, service) in key and isinstance(to, str):
                found.setdefault(host, set()).add(to)
    return {host: sorted(peers)[:100] for host, peers in found.items()}
