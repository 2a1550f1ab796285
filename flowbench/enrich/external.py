"""All that is known of an address without any inventory: country, network, cloud, names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import ibis
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from ibis import _

from flowbench.enrich import cloud_services, dns_names, geography
from flowbench.schema import Field, Table

LOGGED = {"pkt_src_aws_service", "pkt_dst_aws_service"}  # flow log fields that tell services
NAMES_SHOWN = 10  # whoever runs a name server can give an address any number of names

TABLE = Table(
    "outside",
    (
        *geography.TABLE.fields,
        *cloud_services.TABLE.fields[1:],
        Field("names", "strings", "names it was an answer to, those of most look-ups first"),
        Field("name_count", "int64", f"how many names in all; {NAMES_SHOWN} at most are listed"),
    ),
)


def known(
    addresses: Iterable[str],
    *,
    ranges: ibis.Table,
    clouds: ibis.Table,
    dns: ibis.Table,
    flows: ibis.Table | None = None,
    when: pd.Timestamp | None = None,
) -> pa.Table:
    """What the sources know of addresses (TABLE), a row for each, ordered by address.

    ``ranges`` is load.geography's table, ``clouds`` load.cloudranges', ``dns`` load.dns's;
    ``flows`` (schema.FLOWS) only where logs name AWS services, ``when`` is the time that is looked
    at (see ``services.of`` for both).
    """
    asked = sorted(set(addresses))
    rows = geography.locate(asked, ranges)
    rows = _beside(_beside(rows, cloud_services.of(asked, clouds, flows, when)), _named(dns))
    count = pc.fill_null(rows["name_count"], 0)
    rows = rows.set_column(rows.column_names.index("name_count"), "name_count", count)
    return rows.cast(TABLE.arrow)


def add(book: pa.Table, **sources: Any) -> pa.Table:
    """An address book (a table with ``address``) with the columns of TABLE, its rows in order.

    ``sources`` are those of ``known``.
    """
    addresses = book["address"].unique().to_pylist()
    return _beside(book, known(addresses, **sources))


def _beside(rows: pa.Table, more: pa.Table) -> pa.Table:
    """The rows with the other columns of what has the same address; null where nothing has."""
    place = pc.index_in(rows["address"], more["address"])
    for name in more.column_names[1:]:
        rows = rows.append_column(name, more[name].take(place))
    return rows


def _named(dns: ibis.Table) -> pa.Table:
    """The names of each address."""
    listed = dns_names.known(dns)
    order = [listed.look_ups.desc(), listed.first_asked, listed.name]
    by_address = listed.group_by("address").aggregate(
        names=listed.name.collect(order_by=order), name_count=_.count()
    )
    shown = by_address.mutate(names=by_address.names[:NAMES_SHOWN])
    return shown.order_by("address").to_pyarrow()
