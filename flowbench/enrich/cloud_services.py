"""Which cloud an address belongs to, and which service of it.

Told by the lists that clouds publish (load.cloudranges), and for AWS by the flow logs themselves
where they carry pkt-src-aws-service and pkt-dst-aws-service, which know the day's own assignment.
An AWS prefix stands in its list under AMAZON, often under EC2, and under the service that uses it:
the more telling service counts, then the longer prefix, and all that apply are kept. EC2 is what
customers rent: an address that is EC2 only may be anybody's machine, an attacker's too.
"""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa

from flowbench.enrich.intervals import Ranges, keys
from flowbench.schema import Table, to_frame

TABLE = Table.of(
    "services",
    ("address", "string", "the address"),
    ("cloud", "string", "aws, google or fastly"),
    ("cloud_service", "string", "the most telling of its services: S3 before EC2 before AMAZON"),
    ("cloud_services", "strings", "all that apply, the most telling first"),
    ("cloud_region", "string", "region of the most telling one, or GLOBAL"),
    ("cloud_source", "string", "the list that says so, its date, its evidence id; or flow logs"),
)

_ANYTHING = ("EC2", "AMAZON")  # what AWS calls a prefix when it says little, the better first
_LOGGED = "flow logs"


def of(
    addresses: Sequence[str],
    ranges: ibis.Table,
    flows: ibis.Table | None = None,
    when: pd.Timestamp | None = None,
) -> pa.Table:
    """Cloud, services and region of distinct addresses (TABLE); those of no cloud are left out.

    ``ranges`` is load.cloudranges' table. ``flows`` (schema.FLOWS) tells what the logs say; leave
    it out where no log has the fields. Ranges move: of each cloud's lists the last published
    by ``when`` (UTC) counts, else the first after it; without ``when`` the last of all.
    """
    told = pd.concat(
        [_listed(addresses, to_frame(_valid(ranges, when))), _logged(addresses, flows)]
    )
    if told.empty:
        return TABLE.rows([])
    rank = {service: number for number, service in enumerate(_ANYTHING, 1)}
    told["rank"] = told["service"].map(rank).fillna(0)
    told["theirs"] = told["source"] != _LOGGED
    told = told.sort_values(
        ["address", "rank", "length", "theirs", "service", "region", "source"],
        ascending=[True, True, False, True, True, True, True],
    )
    return TABLE.rows(
        _summed(address, list(rows))
        for address, rows in itertools.groupby(told.to_dict("records"), itemgetter("address"))
    )


def _summed(address: str, rows: list[dict[str, Any]]) -> dict[str, object]:
    """An address's services, the most telling first; the logs do not tell regions, lists do."""
    regions = (row["region"] for row in rows if isinstance(row["region"], str))
    return {
        "address": address,
        "cloud": rows[0]["cloud"],
        "cloud_service": rows[0]["service"],
        "cloud_services": list(dict.fromkeys(row["service"] for row in rows)),
        "cloud_region": next(regions, None),
        "cloud_source": rows[0]["source"],
    }


def _valid(ranges: ibis.Table, when: pd.Timestamp | None) -> pa.Table:
    """The ranges of each cloud's list that held at that time."""
    lists = ranges.select("cloud", "published", "source").distinct().to_pyarrow().to_pylist()
    latest: dict[str, tuple[bool, bool, float, str]] = {}
    for each in lists:
        made = each["published"].timestamp() if each["published"] else 0.0
        late = when is not None and made > when.timestamp()
        rank = (bool(each["published"]), not late, -made if late else made, each["source"])
        latest[each["cloud"]] = max(rank, latest.get(each["cloud"], rank))
    rows = ranges.to_pyarrow()
    keep = [
        latest[cloud][-1] == source
        for cloud, source in zip(rows["cloud"].to_pylist(), rows["source"].to_pylist(), strict=True)
    ]
    return rows.filter(pa.array(keep, pa.bool_()))


def _listed(addresses: Sequence[str], ranges: pd.DataFrame) -> pd.DataFrame:
    """Every service whose ranges hold an address: by (cloud, service) its longest prefix."""
    networks = [ipaddress.ip_network(prefix) for prefix in ranges["prefix"]]
    ranges = ranges.assign(
        first=[str(network[0]) for network in networks],
        last=[str(network[-1]) for network in networks],
        length=[network.prefixlen for network in networks],
        service=ranges["service"].fillna(ranges["cloud"].str.upper()),
    )
    wanted = keys(addresses)
    held = np.flatnonzero(
        Ranges(ranges["first"].tolist(), ranges["last"].tolist()).find(wanted) >= 0
    )
    found = []
    for _, mine in ranges.groupby(["cloud", "service"], sort=True):
        at = Ranges(mine["first"].tolist(), mine["last"].tolist()).find(wanted[held])
        hits = mine.iloc[at[at >= 0]]
        found.append(
            hits.assign(
                address=[addresses[place] for place in held[at >= 0]],
                source=_named(hits),
            )
        )
    columns = ["address", "cloud", "service", "region", "length", "source"]
    return pd.concat(found)[columns] if found else pd.DataFrame(columns=columns)


def _named(hits: pd.DataFrame) -> list[str]:
    dates = hits["published"].dt.strftime(" %Y-%m-%d").fillna("")
    return [
        f"{cloud} ranges{date} [{source}]"
        for cloud, date, source in zip(hits["cloud"], dates, hits["source"], strict=True)
    ]


def _logged(addresses: Sequence[str], flows: ibis.Table | None) -> pd.DataFrame:
    """What the flow logs say: AWS's own word on the packet's addresses."""
    columns = ["address", "cloud", "service", "region", "length", "source"]
    if flows is None:
        return pd.DataFrame(columns=columns)
    ends = [
        flows.filter(flows[f"pkt_{end}_aws_service"].notnull()).select(
            address=ibis.coalesce(flows[f"pkt_{end}addr"], flows[f"{end}addr"]),
            service=flows[f"pkt_{end}_aws_service"],
        )
        for end in ("src", "dst")
    ]
    said = to_frame(ends[0].union(ends[1]).distinct().to_pyarrow())
    said = said[said["address"].isin(set(addresses))]
    return said.assign(cloud="aws", region=None, length=0, source=_LOGGED)[columns]
