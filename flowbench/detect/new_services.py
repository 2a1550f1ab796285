"""AWS services that a host uses and neither it nor its peer group used before.

The usage is known from DNS look-ups, from the API calls of instances' roles and from
pkt-dst-aws-service in flow logs; see ``enrich.service_usage``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from flowbench.connections.zones import with_zones
from flowbench.detect.api_calls import select_events
from flowbench.enrich import service_usage
from flowbench.enrich.ownership import SUBNET, neighbourhood
from flowbench.schema import to_frame
from flowbench.selector import ApiEventSelector, DnsSelector

if TYPE_CHECKING:
    import ibis

    from flowbench.case import Case

# Services of agents and of every SDK's start: their use changes with updates.
AGENT_SERVICES = frozenset(
    {"ssm", "ssmmessages", "ec2messages", "logs", "monitoring", "sts", "kms", "xray"}
)

_DAY = 86_400  # seconds


@dataclass(frozen=True)
class NewServices:
    """The services that are new to a host.

    Attributes:
        host: The host's address.
        usage: Rows of ``service_usage.summarize_usage``, by first use.
        addresses: The services' addresses, as DNS or flow logs give them.
        baseline: Length of the baseline period in seconds.
        api_events: The API calls of the host's role, if these show the use.
        dns: The look-ups, if these show it.
    """

    host: str
    usage: pd.DataFrame
    addresses: list[str]
    baseline: float
    api_events: ApiEventSelector | None
    dns: DnsSelector | None


def find_new_services(case: Case, assignments: pd.DataFrame | None) -> Iterator[NewServices]:
    """Yield the hosts that use AWS services which are new to them and to their subnet.

    Args:
        case: The case.
        assignments: Rows of ``credential_use.read_assignments``; None without API events.
    """
    sources = {}
    if case.has("dns"):
        sources["DNS"] = service_usage.services_looked_up(case.dns)
    if "pkt_dst_aws_service" in case.fields:
        logged = service_usage.services_logged(case.flows, case.connection_summaries)
        named = with_zones(logged, case.address_zones, "interface_id", "host")
        sources["flow logs"] = named.drop("interface_id")
    usage = [service_usage.summarize_usage(table, how) for how, table in sources.items()]
    if assignments is not None:
        usage.append(service_usage.services_called(case.api_events, assignments))
    baseline = _baseline_period(case) if any(map(len, usage)) else None
    if baseline is None:
        return
    start, end = baseline
    new = _select_new_usage(case, pd.concat(usage, ignore_index=True), end)
    addresses = service_usage.service_addresses(sources.values(), new) if len(new) else {}
    for host, rows in new.groupby("host", sort=True):
        yield NewServices(
            str(host),
            rows.sort_values(["first", "service", "how"]),
            addresses.get(host, []),
            (end - start).total_seconds(),
            _select_calls(case, rows, assignments),
            _select_look_ups(sources, rows),
        )


def _baseline_period(case: Case) -> tuple[pd.Timestamp, pd.Timestamp] | None:
    """Return the baseline period; None for evidence of less than one and a half days."""
    c = case.connection_summaries
    period = c.aggregate(first=c.first_seen.min(), last=c.last_seen.max()).to_pandas().iloc[0]
    start, end = period["first"], period["last"]
    if pd.isna(start) or (seconds := (end - start).total_seconds()) < 1.5 * _DAY:
        return None
    return start, start + pd.Timedelta(seconds=min(7 * _DAY, max(_DAY, seconds / 2)))


def _select_new_usage(case: Case, usage: pd.DataFrame, end: pd.Timestamp) -> pd.DataFrame:
    """Select the usage (``service_usage.summarize_usage``) that is new after the baseline's end."""
    c = case.connection_summaries
    usage = usage[~usage["service"].isin(AGENT_SERVICES)]
    subnets = usage["host"].map(lambda host: neighbourhood(host, SUBNET))
    keys = subnets + " " + usage["service"]
    usage = usage[~keys.isin(set(keys[usage["first"] < end]))]
    usage = usage[usage.groupby("service")["host"].transform("nunique") < 3]
    early = c.filter(c.first_seen < end, c.initiator.isin(sorted(set(usage["host"]))))
    known_hosts = set(early.select("initiator").distinct().to_pandas()["initiator"])
    return usage[usage["host"].isin(known_hosts)]


def _select_calls(
    case: Case, usage: pd.DataFrame, assignments: pd.DataFrame | None
) -> ApiEventSelector | None:
    """Select the API calls of a host's role to the services that they show as new."""
    services = set(usage.loc[usage["how"] == "CloudTrail", "service"])
    if assignments is None or not services:
        return None
    instances = assignments.loc[assignments["address"] == usage["host"].iloc[0], "instance_id"]
    e = case.api_events
    session = e.principal_name.re_extract(service_usage.INSTANCE_SESSION, 1)
    service = e.event_source.re_extract(service_usage.SERVICE_CALLED, 1)
    calls = e.filter(session.isin(list(instances.dropna())), service.isin(sorted(services)))
    columns = ["event_id", "event_time", "event_name", "principal_name", "source_ip"]
    rows = to_frame(calls.select(columns).to_pyarrow())
    return select_events(rows) if len(rows) else None


def _select_look_ups(sources: dict[str, ibis.Table], usage: pd.DataFrame) -> DnsSelector | None:
    """Select the look-ups of a host that show services as new."""
    services = sorted(set(usage.loc[usage["how"] == "DNS", "service"]))
    if not services:
        return None
    host, looked_up = usage["host"].iloc[0], sources["DNS"]
    names = looked_up.filter(looked_up.host == host, looked_up.service.isin(services))
    names = names.select("name").distinct().order_by("name").to_pyarrow()["name"].to_pylist()
    return DnsSelector(domains=tuple(names), clients=(host,))
