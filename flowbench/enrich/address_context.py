"""What reference data knows of an address: country, network owner, cloud service, DNS names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict, Unpack

import ibis
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from ibis import _

from flowbench.enrich import cloud_services, dns_names, geography
from flowbench.schema import Field, Table

# Flow log fields that name AWS services.
AWS_SERVICE_FIELDS = {"pkt_src_aws_service", "pkt_dst_aws_service"}
NAMES_SHOWN = 10  # the operator of a name server can give an address any number of names

TABLE = Table(
    "address_context",
    (
        *geography.TABLE.fields,
        *cloud_services.TABLE.fields[1:],
        Field("names", "strings", "DNS names it was an answer to, most look-ups first"),
        Field("name_count", "int64", f"number of names in all; at most {NAMES_SHOWN} are listed"),
    ),
)


class ReferenceData(TypedDict, total=False):
    """The data sources of the context of addresses."""

    ranges: ibis.Table  # loaders.geo.csv.TABLE
    clouds: ibis.Table  # loaders.geo.cloud_ranges.TABLE
    dns: ibis.Table  # loaders.aws.resolver.TABLE
    flows: ibis.Table | None  # schema.FLOWS, only with AWS_SERVICE_FIELDS
    when: pd.Timestamp | None  # the time that matters (UTC), see cloud_services.find_services


def describe_addresses(addresses: Iterable[str], **sources: Unpack[ReferenceData]) -> pa.Table:
    """Look addresses up in all data sources: TABLE, a row for each, ordered by address."""
    wanted = sorted(set(addresses))
    services = cloud_services.find_services(
        wanted, sources["clouds"], sources.get("flows"), sources.get("when")
    )
    rows = geography.locate(wanted, sources["ranges"])
    rows = _add_columns(_add_columns(rows, services), _names_by_address(sources["dns"]))
    count = pc.fill_null(rows["name_count"], 0)
    rows = rows.set_column(rows.column_names.index("name_count"), "name_count", count)
    return rows.cast(TABLE.arrow)


def add_context(inventory: pa.Table, **sources: Unpack[ReferenceData]) -> pa.Table:
    """Add the columns of TABLE to a table with ``address``; its rows keep their order."""
    addresses = inventory["address"].unique().to_pylist()
    return _add_columns(inventory, describe_addresses(addresses, **sources))


def _add_columns(rows: pa.Table, more: pa.Table) -> pa.Table:
    """Add the columns of ``more`` by address; null where it lacks the address."""
    at = pc.index_in(rows["address"], more["address"])
    for name in more.column_names[1:]:
        rows = rows.append_column(name, more[name].take(at))
    return rows


def _names_by_address(dns: ibis.Table) -> pa.Table:
    """The names that each address was an answer to, and how many they are."""
    names = dns_names.resolved_names(dns)
    order = [names.look_ups.desc(), names.first_asked, names.name]
    by_address = names.group_by("address").aggregate(
        names=names.name.collect(order_by=order), name_count=_.count()
    )
    shown = by_address.mutate(names=by_address.names[:NAMES_SHOWN])
    return shown.order_by("address").to_pyarrow()
