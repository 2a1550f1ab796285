"""An indicator hunt as SQL for Amazon Athena (engine 3, Trino), for logs that stay in S3.

Of a list only numbers and parsed addresses and networks go into the SQL.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

import pyarrow as pa

from flowbench.errors import InputError
from flowbench.loaders.intel.indicators import ALLOW

MAX_QUERY = 262_144  # bytes, by Athena's service quotas

_TABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z_][A-Za-z0-9_-]*){0,2}")


def build_query(indicators: pa.Table, table: str, *, packet_addresses: bool = False) -> str:
    """Write the query for contacts with indicators, by indicator, host, peer, port and interface.

    Args:
        indicators: Indicators (loaders.intel); domains and allow lists are left out.
        table: A flow log table with AWS's names for the fields of version 2 (start and end in epoch
            seconds): name, database.name or catalog.database.name.
        packet_addresses: Use pkt_srcaddr and pkt_dstaddr (version 3), the addresses of the packet
            on the far side of NAT and transit gateways, instead of srcaddr and dstaddr.

    Raises:
        InputError: ``table`` is not such a name, there is no address or network, or the query is
            longer than Athena accepts.
    """
    if not _TABLE.fullmatch(table):
        raise InputError(f"{table!r} is not a table name: give [catalog.][database.]table")
    quoted = ".".join(f'"{part}"' for part in table.split("."))
    listed = sorted(set(_values(indicators)))
    if not listed:
        raise InputError(
            "the lists contain no address or network, and flow logs contain nothing else"
        )
    values = ",\n    ".join(listed)
    source, target = ("pkt_srcaddr", "pkt_dstaddr") if packet_addresses else ("srcaddr", "dstaddr")
    query = f"""\
-- flowbench hunt: {len(listed)} addresses and networks
WITH indicators (indicator, port, valid_from, valid_until) AS (
  VALUES
    {values}
),
flows AS (
  SELECT interface_id, dstport, srcport, protocol, packets, bytes, action, "start", "end",
    TRY_CAST({source} AS IPADDRESS) AS source, TRY_CAST({target} AS IPADDRESS) AS target
  FROM {quoted}
  WHERE log_status = 'OK'
),
ends AS (
  SELECT *, source AS peer, target AS host, 'from' AS way FROM flows
  UNION ALL
  SELECT *, target AS peer, source AS host, 'to' AS way FROM flows
)
SELECT i.indicator, i.port AS listed_port, CAST(e.host AS VARCHAR) AS host,
  CAST(e.peer AS VARCHAR) AS peer, e.interface_id, LEAST(e.srcport, e.dstport) AS lower_port,
  e.protocol,
  FROM_UNIXTIME(MIN(e."start")) AS first_seen, FROM_UNIXTIME(MAX(e."end")) AS last_seen,
  COUNT(*) AS records,
  COUNT_IF(e."end" >= COALESCE(i.valid_from, e."end")
    AND e."start" <= COALESCE(i.valid_until, e."start")) AS records_in_period,
  COUNT_IF(e.action = 'ACCEPT') AS accepted, COUNT_IF(e.action = 'REJECT') AS rejected,
  SUM(IF(e.way = 'to', e.bytes, 0)) AS bytes_to_peer,
  SUM(IF(e.way = 'from', e.bytes, 0)) AS bytes_from_peer
FROM ends AS e
JOIN indicators AS i ON CONTAINS(i.indicator, e.peer)
GROUP BY 1, 2, 3, 4, 5, 6, 7
ORDER BY first_seen, indicator, host, peer, interface_id, lower_port, protocol"""  # noqa: S608
    if len(query.encode()) > MAX_QUERY:
        raise InputError(
            f"{len(listed):,} indicators make a query of {len(query):,} bytes, and Athena accepts"
            f" {MAX_QUERY:,}: split the list, or load the logs into a case"
        )
    return query + "\n"


def _values(indicators: pa.Table) -> Iterator[str]:
    names = ["indicator", "type", "kind", "port", "valid_from", "valid_until"]
    for row in indicators.select(names).to_pylist():
        if row["type"] != "domain" and row["kind"] != ALLOW:
            network = ipaddress.ip_network(row["indicator"])
            times = (row["valid_from"], row["valid_until"])
            start, end = (_number(at and int(at.timestamp())) for at in times)
            yield f"('{network}', {_number(row['port'], 'INTEGER')}, {start}, {end})"


def _number(value: int | None, kind: str = "BIGINT") -> str:
    return f"CAST({'NULL' if value is None else int(value)} AS {kind})"
