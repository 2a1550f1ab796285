"""Queries that detectors share: the aggregation interval, cloud addresses, web browsing."""

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

_PAGE = 10_000  # bytes: a page, a picture or a script has more; the answer to a check-in has less


def aggregation_interval(case: Case) -> float:
    """Return the case's aggregation interval in seconds: 60, or 600 where records are longer.

    Known limit: one interval for the whole case, though interfaces may differ.
    """
    flows = case.flows
    length = epoch_seconds(flows["end"]) - epoch_seconds(flows.start)
    longer = flows.aggregate(share=(length > 130).mean()).to_pandas()["share"].iloc[0]
    return 600.0 if pd.notna(longer) and longer > 0.05 else 60.0


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


def browsing_hosts(
    case: Case, until: pd.Timestamp, *, max_visitors: int = 2, min_sites: int = 5
) -> ibis.Table:
    """Return the internal hosts from which people browse the web (column ``host``).

    These visited, before ``until``, at least ``min_sites`` external networks that at most
    ``max_visitors`` hosts visit: people go where nobody else goes, servers share their
    destinations. One more new destination of such a host is weak evidence.
    """
    p = case.connection_summaries
    p = p.filter(p.direction == "outbound", ~p.intermediate, p.answered > 0, p.first_seen < until)
    p = p.filter(p.service_port.isin(WEB), is_page_visit(p.bytes_out, p.bytes_in, p.connections))
    visits = p.select(host=p.initiator, network=neighbourhood_key(p.responder, SITE)).distinct()
    rare = visits.group_by("network").aggregate(hosts=_.count()).filter(_.hosts <= max_visitors)
    sites = visits.semi_join(rare, "network").group_by("host").aggregate(sites=_.count())
    return sites.filter(sites.sites >= min_sites).select("host")
