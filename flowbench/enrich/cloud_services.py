"""Which cloud an address belongs to, and which service of it.

Data sources are the lists that clouds publish (loaders.geo.cloud_ranges) and, for AWS, flow log
records with pkt-src-aws-service and pkt-dst-aws-service, which hold the assignment of the day.

An AWS prefix is in its list as AMAZON, often as EC2, and as the service that uses it: a specific
service ranks before EC2 and AMAZON, then the longer prefix, and all that apply are kept. Customers
rent EC2: an address that is only EC2 can be anybody's machine, an attacker's too.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from operator import itemgetter

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa

from flowbench.enrich.intervals import address_keys, find_all, network_bounds
from flowbench.schema import Table, to_frame

TABLE = Table.of(
    "cloud_services",
    ("address", "string", "the address"),
    ("cloud", "string", "aws, google or fastly"),
    ("cloud_service", "string", "the most specific service: S3 before EC2 before AMAZON"),
    ("cloud_services", "strings", "all that apply, the most specific first"),
    ("cloud_region", "string", "region of the most specific one, or GLOBAL"),
    ("cloud_source", "string", "the list with its date and evidence id, or flow logs"),
)

_UNSPECIFIC = {"EC2": 1, "AMAZON": 2}  # AWS's codes that name no service that uses the prefix
_FLOW_LOGS = "flow logs"
_COLUMNS = ["address", "cloud", "service", "region", "length", "origin"]


def find_services(
    addresses: Sequence[str],
    ranges: ibis.Table,
    flows: ibis.Table | None = None,
    when: pd.Timestamp | None = None,
) -> pa.Table:
    """Find cloud, services and region of distinct addresses; those of no cloud are left out.

    Args:
        addresses: The addresses.
        ranges: The clouds' lists (loaders.geo.cloud_ranges.TABLE).
        flows: Flow log records (schema.FLOWS) with AWS's service fields; None without them.
        when: The time that matters (UTC), because ranges move: of each cloud's lists the last one
            published by then is used, else the first one after; without it the last of all.

    Returns:
        TABLE, ordered by address.
    """
    listed = _listed(addresses, to_frame(_current(ranges, when)))
    found = pd.concat([listed, _logged(addresses, flows)])
    if found.empty:
        return TABLE.rows([])
    found["rank"] = found["service"].map(_UNSPECIFIC).fillna(0)
    found["from_list"] = found["origin"] != _FLOW_LOGS
    found = found.sort_values(
        ["address", "rank", "length", "from_list", "service", "region", "origin"],
        ascending=[True, True, False, True, True, True, True],
    )
    return TABLE.rows(
        _summarize(address, list(rows))
        for address, rows in itertools.groupby(found.to_dict("records"), itemgetter("address"))
    )


def _summarize(address: object, rows: list[Mapping[str, object]]) -> dict[str, object]:
    """An address's services, the most specific first; only lists know regions, logs do not."""
    regions = (row["region"] for row in rows if isinstance(row["region"], str))
    return {
        "address": address,
        "cloud": rows[0]["cloud"],
        "cloud_service": rows[0]["service"],
        "cloud_services": list(dict.fromkeys(row["service"] for row in rows)),
        "cloud_region": next(regions, None),
        "cloud_source": rows[0]["origin"],
    }


def _current(ranges: ibis.Table, when: pd.Timestamp | None) -> pa.Table:
    """The ranges of the one list of each cloud that was current at that time."""
    key = ["cloud", "published", "evidence_id"]
    chosen: dict[str, tuple[bool, bool, float, str]] = {}
    for row in ranges.select(key).distinct().to_pyarrow().to_pylist():
        published = row["published"].timestamp() if row["published"] else 0.0
        is_late = when is not None and published > when.timestamp()
        age = -published if is_late else published
        rank = (bool(row["published"]), not is_late, age, row["evidence_id"])
        chosen[row["cloud"]] = max(rank, chosen.get(row["cloud"], rank))
    rows = ranges.to_pyarrow()
    lists = zip(rows["cloud"].to_pylist(), rows["evidence_id"].to_pylist(), strict=True)
    keep = [chosen[cloud][-1] == evidence_id for cloud, evidence_id in lists]
    return rows.filter(pa.array(keep, pa.bool_()))


def _listed(addresses: Sequence[str], ranges: pd.DataFrame) -> pd.DataFrame:
    """Every service whose ranges contain an address, each with its longest prefix."""
    prefixes = pa.chunked_array([ranges["prefix"].tolist()], pa.string())
    first, last, lengths = network_bounds(prefixes)
    at, row = find_all(address_keys(addresses), first, last)
    service = ranges["service"].fillna(ranges["cloud"].str.upper())
    found = ranges.assign(service=service, length=lengths, row=np.arange(len(ranges))).iloc[row]
    found = found.assign(address=np.array(addresses, dtype=object)[at], origin=_list_names(found))
    found = found.sort_values(["length", "row"], ascending=[False, True])
    return found.drop_duplicates(["address", "cloud", "service"])[_COLUMNS]


def _list_names(ranges: pd.DataFrame) -> list[str]:
    """The list that each range is from: its cloud, date and evidence id."""
    dates = ranges["published"].dt.strftime(" %Y-%m-%d").fillna("")
    return [
        f"{cloud} ranges{date} [{evidence_id}]"
        for cloud, date, evidence_id in zip(
            ranges["cloud"], dates, ranges["evidence_id"], strict=True
        )
    ]


def _logged(addresses: Sequence[str], flows: ibis.Table | None) -> pd.DataFrame:
    """The services that flow log records name for the packet's addresses."""
    if flows is None:
        return pd.DataFrame(columns=_COLUMNS)
    ends = [
        flows.filter(flows[f"pkt_{end}_aws_service"].notnull()).select(
            address=ibis.coalesce(flows[f"pkt_{end}addr"], flows[f"{end}addr"]),
            service=flows[f"pkt_{end}_aws_service"],
        )
        for end in ("src", "dst")
    ]
    found = to_frame(ends[0].union(ends[1]).distinct().to_pyarrow())
    found = found[found["address"].isin(set(addresses))]
    return found.assign(cloud="aws", region=None, length=0, origin=_FLOW_LOGS)[_COLUMNS]
