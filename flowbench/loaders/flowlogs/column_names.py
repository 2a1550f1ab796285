"""Names of flow log columns: AWS's own, and those that queries and other tools give them.

Known spellings besides AWS's: CloudWatch Logs Insights (``srcAddr``, ``startTime``), the Athena
tables of AWS's older guides and of its security analytics bootstrap (``sourceaddress``,
``numpackets``), Panther (``account``, ``status``), Steampipe and Tailpipe (``src_addr``), Microsoft
Sentinel (``TrafficType``, ``Start [UTC]``), the Splunk add-on for AWS (``src_ip``,
``vpcflow_action``), and Elastic (``source.ip``, ``aws.vpcflow.action``).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable

from flowbench.schema import FLOW_FIELDS

_RESERVED = ("evidence_id", "line", "item")
_UTC = re.compile(r"\s*[\[(]UTC[\])]\s*$", re.IGNORECASE)  # what Log Analytics adds to a time
_BY_LETTERS = {name.replace("_", ""): name for name in FLOW_FIELDS} | {
    "starttime": "start",
    "endtime": "end",
    "sourceaddress": "srcaddr",
    "destinationaddress": "dstaddr",
    "packetsourceaddress": "pkt_srcaddr",
    "packetdestinationaddress": "pkt_dstaddr",
    "pktsourceaddress": "pkt_srcaddr",
    "pktdestinationaddress": "pkt_dstaddr",
    "sourceport": "srcport",
    "destinationport": "dstport",
    "numpackets": "packets",
    "numbytes": "bytes",
    "networkinterfaceid": "interface_id",
}
# These stand for a field only in a table of traffic that has no column of that name.
_ALIASES = {"account": "account_id", "aws_account_id": "account_id", "status": "log_status"}
# In place of the column of AWS's name, which holds something else in the tools that have these:
# Sentinel's Type is the name of its table, Splunk's protocol and action are words of its own.
_OVERRIDES = {"traffic_type": "type", "protocol_code": "protocol", "vpcflow_action": "action"}
# Of any tool's traffic: they stand for a field only beside columns that AWS alone has.
_GENERAL = {
    "srcip": "srcaddr",
    "sourceip": "srcaddr",
    "dstip": "dstaddr",
    "destip": "dstaddr",
    "destinationip": "dstaddr",
    "destport": "dstport",
    "networkiananumber": "protocol",
    "networkpackets": "packets",
    "networkbytes": "bytes",
    "eventstart": "start",
    "eventend": "end",
    "cloudaccountid": "account_id",
}
_AWS_ONLY = {"interface_id", "log_status", "vpc_id", "traffic_path"}


def column_name(name: str) -> str:
    """Return the column for a field as AWS or another tool spells it."""
    column = re.sub(r"[^a-z0-9_@]", "_", _UTC.sub("", name).lower()).removeprefix("aws_vpcflow_")
    letters = column.replace("_", "")
    if letters == "traffictype":
        return "traffic_type"
    return rename_reserved(_BY_LETTERS.get(letters, column))


def column_names(names: Iterable[str]) -> list[str]:
    """Return the columns for the fields of a table or object, by all of their names together.

    A repeated name is numbered, as by ``number_repeats``.
    """
    columns = [column_name(name) for name in names]
    if not _AWS_ONLY.isdisjoint(columns):
        general = [_GENERAL.get(c.replace("_", ""), c) for c in columns]
        columns = [c if g in columns else g for c, g in zip(columns, general, strict=True)]
    for other, field in _OVERRIDES.items():
        if other in columns:
            columns = [f"field_{c}" if c == field else c for c in columns]
            columns = [field if c == other else c for c in columns]
    present = set(columns)
    if {"srcaddr", "dstaddr"} <= present:
        columns = [c if _ALIASES.get(c, c) in present else _ALIASES.get(c, c) for c in columns]
    return number_repeats(columns)


def number_repeats(columns: Iterable[str]) -> list[str]:
    """Return the columns with repeated names numbered: ``account_id``, ``account_id@2``.

    A flow log's format may name a field twice. ``validate`` compares such columns, and ``finish``
    keeps the first.
    """
    counts = Counter[str]()
    numbered = []
    for column in columns:
        counts[column] += 1
        numbered.append(column if counts[column] == 1 else f"{column}@{counts[column]}")
    return numbered


def field_of(column: str) -> str:
    """Return the field of a column, also of one that ``number_repeats`` numbered."""
    return column.partition("@")[0]


def rename_reserved(column: str) -> str:
    """Return another name for a field that is called like one of flowbench's own columns."""
    return f"field_{column}" if column in _RESERVED else column


def has_ends(columns: Collection[str]) -> bool:
    """Whether a table has the source and the destination of its rows."""
    return any({f"{prefix}srcaddr", f"{prefix}dstaddr"} <= set(columns) for prefix in ("", "pkt_"))


def describe_missing_times(columns: Collection[str]) -> str | None:
    """Return why a table with these columns has no records, for lack of times; None if it has."""
    if not {"start", "end"}.isdisjoint(columns):
        return None
    others = [name for name in columns if re.search("time|date|start|end", name)]
    hint = f" (columns {', '.join(others)} are not recognised)" if others else ""
    return f"neither start nor end{hint}: rows of an aggregate or a selection are not records"


def has_flow_columns(columns: Collection[str], width: int | None = None) -> bool:
    """Whether at least two and half of the columns are flow log fields, and each is there once.

    Args:
        columns: Names of columns; repeated ones may be numbered.
        width: The number of columns of which half must be fields; by default all.
    """
    known = sum(field_of(name) in FLOW_FIELDS for name in columns)
    half = (len(columns) if width is None else width) / 2
    return known >= max(2, half) and len(set(columns)) == len(columns)
