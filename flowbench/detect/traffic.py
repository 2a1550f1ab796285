"""Queries that detectors share: the aggregation interval, a host's side, clouds, web browsing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ibis
import pandas as pd
from ibis import _

from flowbench.engine import epoch_seconds
from flowbench.enrich import cloud_services
from flowbench.enrich.address_context import AWS_SERVICE_FIELDS
from flowbench.enrich.ownership import SITE, neighbourhood_key

if TYPE_CHECKING:
    from flowbench.case import Case

WEB = (80, 443)

_TIME_PACKET = 100  # bytes: a query and an answer have 76, with authentication 96
_MUCH = 10e6  # bytes
_RETURNS, _RETURN_SECONDS = 3, 3_600
_PAGE = 10_000  # bytes: a page, a picture or a script has more; the answer to a check-in has less


def aggregation_interval(case: Case) -> float:
    """Return the case's aggregation interval in seconds: 60, or 600 where records are longer.

    Known limit: one interval for the whole case, though interfaces may differ.
    """
    flows = case.flows
    length = epoch_seconds(flows["end"]) - epoch_seconds(flows.start)
    longer = flows.aggregate(share=(length > 130).mean()).to_pandas()["share"].iloc[0]
    return 600.0 if pd.notna(longer) and longer > 0.05 else 60.0


def host_traffic(c: ibis.Table, *, internal: bool = False) -> ibis.Table:
    """Return connections with external peers from the internal host's side, whoever opened them.

    Args:
        c: Connections or connection summaries.
        internal: Also those between internal hosts, from the initiator's side.

    Returns:
        The rows of ``c`` without intermediate devices, with the columns host, peer, sent and
        received (bytes), and opened (whether the host is the initiator).
    """
    directions = ["outbound", "inbound", *(["internal"] if internal else [])]
    c = c.filter(~c.intermediate, c.direction.isin(directions))
    opened = c.direction != "inbound"
    return c.mutate(
        host=opened.ifelse(c.initiator, c.responder),
        peer=opened.ifelse(c.responder, c.initiator),
        sent=opened.ifelse(c.bytes_out, c.bytes_in),
        received=opened.ifelse(c.bytes_in, c.bytes_out),
        opened=opened,
    )


def is_cloud_address(case: Case, addresses: pd.Series, *, by_records: bool = True) -> pd.Series:
    """Return for each address whether it is in a known cloud range.

    With ``by_records`` also whether flow log records name an AWS service at it.
    """
    flows = case.flows if by_records and case.fields & AWS_SERVICE_FIELDS else None
    ranges = case.table("cloud_ranges")
    services = cloud_services.find_services(sorted(set(addresses)), ranges, flows)
    return addresses.isin(services["address"].to_pylist())


def is_consumer(bytes_sent: Any, bytes_received: Any) -> Any:
    """Whether a host that sent and received so much is a consumer: it received three times more.

    This is a producer-consumer ratio, (out - in) / (out + in), of -0.5 or less (Bullard and Gerth,
    PCR: a new flow metric, FloCon 2014), as browsing, chat and streaming have. A host that answers
    commands or forwards connections sends about as much as it receives, or more.
    """
    return bytes_received >= 3 * bytes_sent


def is_page_visit(bytes_sent: Any, bytes_received: Any, connections: Any) -> Any:
    """Whether connections to web ports look like a person's visit: a consumer that gets pages."""
    return is_consumer(bytes_sent, bytes_received) & (bytes_received >= _PAGE * connections)


def is_in_passing(bytes_sent: Any, connections: Any, seconds: Any) -> Any:
    """Whether connections to web ports are what pages bring along: advertisements, counters.

    These are one or two connections, or all within an hour (``seconds`` from the first to the
    last), with less than 10 MB sent. A person's pages connect to many networks once; a channel
    returns, and a theft sends.
    """
    return (bytes_sent < _MUCH) & ((connections < _RETURNS) | (seconds < _RETURN_SECONDS))


def is_time_service(c: ibis.Table) -> ibis.Value:
    """Whether connections are queries of a time server: 123/udp, packets of at most 100 bytes.

    Public pools of time servers answer with other addresses each time.
    """
    small = c.bytes_out + c.bytes_in <= _TIME_PACKET * (c.packets_out + c.packets_in)
    return (c.service_port == 123) & (c.protocol == 17) & small


def browsing_hosts(
    case: Case,
    until: pd.Timestamp | ibis.Table,
    *,
    max_visitors: int = 2,
    min_sites: int = 5,
) -> ibis.Table:
    """Return the internal hosts from which people browse the web (column ``host``).

    These connected, before ``until`` (UTC, or a table of host and until), to external networks that
    at most ``max_visitors`` hosts connect to: people go where nobody else goes, servers share their
    destinations. They visited pages (``is_page_visit``) in ``min_sites`` such networks, or had any
    web connection with twice as many, since most of what a page loads is small. One more new
    destination of such a host is weak evidence.
    """
    p = case.connection_summaries
    p = p.filter(p.direction == "outbound", ~p.intermediate, p.answered > 0)
    p = p.filter(p.service_port.isin(WEB))
    if isinstance(until, ibis.Table):
        p = p.join(until.select("until", initiator="host"), "initiator")
        p = p.filter(p.first_seen < p.until)
    else:
        p = p.filter(p.first_seen < until)
    p = p.mutate(
        network=neighbourhood_key(p.responder, SITE),
        is_visit=is_page_visit(p.bytes_out, p.bytes_in, p.connections),
    )
    contacts = p.group_by(host=p.initiator, network=p.network).aggregate(is_visit=_.is_visit.any())
    rare = contacts.group_by("network").aggregate(hosts=_.count()).filter(_.hosts <= max_visitors)
    sites = contacts.semi_join(rare, "network").group_by("host")
    sites = sites.aggregate(visited=_.is_visit.sum(), connected=_.count())
    return sites.filter((sites.visited >= min_sites) | (sites.connected >= 2 * min_sites)).select(
        "host"
    )
