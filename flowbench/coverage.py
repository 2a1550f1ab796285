"""What the evidence covers: each file's period, silence, holes, and what others say already."""

from __future__ import annotations

import ibis
import pandas as pd
from ibis import _

from flowbench.schema import Table, to_frame

TABLE = Table.of(
    "coverage",
    ("source", "string", "evidence id of the file"),
    ("file", "string", "the file as it was given"),
    ("kind", "string", "what it is"),
    ("first_seen", "time", "its first record"),
    ("last_seen", "time", "its last record"),
    ("records", "int64", "how many records it holds"),
    ("nodata", "int64", "records that say: no traffic at this interface in this window"),
    ("skipdata", "int64", "records that say: traffic was left out here; a hole"),
    ("quarantined", "int64", "lines and items that could not be read"),
    ("repeated", "int64", "flow log records that the same or an earlier file holds too"),
)


def by_source(flows: ibis.Table, evidence: pd.DataFrame) -> pd.DataFrame:
    """A row for each file of evidence (TABLE), in the order of loading.

    ``flows`` is the case's table, ``evidence`` its manifest. Two records are the same when all
    their fields are: overlapping flow logs (of a VPC and of one of its subnets, or into two
    destinations) write each record twice. They stay in the table, each with its line; connections
    count them once. Records are compared by a 64-bit digest: among 50 million, two that differ are
    taken for the same with a chance of 1 in 10,000.
    """
    fields = [name for name in flows.columns if name not in ("source", "line", "item")]
    order = pd.DataFrame({"source": evidence["source"], "place": range(len(evidence))})
    same = flows.select("source", digest=ibis.struct({n: flows[n] for n in fields}).hash())
    same = same.group_by("digest", "source").aggregate(n=_.count())
    same = same.join(ibis.memtable(order), "source")
    earliest = same.group_by("digest").aggregate(first=_.place.min())
    told = same.join(earliest, "digest")
    first = (told.place == told["first"]).cast("int64")
    repeated = told.group_by("source").aggregate(repeated=(told.n - first).sum().cast("int64"))
    counts = to_frame(repeated.to_pyarrow()).set_index("source")["repeated"]
    found = evidence.assign(repeated=evidence["source"].map(counts).fillna(0).astype("int64"))
    return found[TABLE.columns].reset_index(drop=True)
