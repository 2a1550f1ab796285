"""The hunt's question as SQL for Amazon Athena (engine 3, Trino): the logs stay where they are.

Nothing of a list goes into the SQL but numbers, and addresses and networks parsed and spelled anew.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any

import pyarrow as pa

from flowbench.errors import InputError
from flowbench.loaders.intel.lists import ALLOW

LONGEST = 262_144  # bytes of a query, by Athena's service quotas

_TABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z_][A-Za-z0-9_-]*){0,2}")


def sql(indicators: pa.Table, table: str, *, packet_addresses: bool = False) -> str:
    """Who was in touch with these addresses and networks, by indicator, host, port and interface.

    ``table`` is a flow log table with AWS's names for the fields of version 2 (start and end in
    epoch seconds), by name, database.name or catalog.database.name. ``packet_addresses`` asks
    pkt_srcaddr and pkt_dstaddr, of version 3, instead: the ends behind NAT and transit gateways.
    Domains cannot be asked of flow logs and are left out. Raises InputError for a table's name
    that is none, for no address at all, or for more than a query may hold.
    """
    if not _TABLE.fullmatch(table):
        raise InputError(f"{table!r} is no name of a table: [catalog.][database.]table")
    quoted = ".".join(f'"{part}"' for part in table.split("."))
    listed = sorted(set(map(_row, _asked(indicators))))
    if not listed:
        raise InputError("the lists hold no address or network: flow logs know nothing else")
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
    if len(query.encode()) > LONGEST:
        raise InputError(
            f"{len(listed):,} indicators make a query of {len(query):,} bytes, and Athena takes"
            f" {LONGEST:,}: split the list, or load the logs into a case"
        )
    return query + "\n"


def _asked(indicators: pa.Table) -> list[dict[str, Any]]:
    names = ["indicator", "type", "kind", "port", "valid_from", "valid_until"]
    rows = indicators.select(names).to_pylist()
    return [row for row in rows if row["type"] != "domain" and row["kind"] != ALLOW]


def _row(row: dict[str, Any]) -> str:
    network = ipaddress.ip_network(row["indicator"])
    ends = [
        _number(row[name] and int(row[name].timestamp())) for name in ("valid_from", "valid_until")
    ]
    return f"('{network}', {_number(row['port'], 'INTEGER')}, {', '.join(ends)})"


def _number(value: int | None, kind: str = "BIGINT") -> str:
    return f"CAST({'NULL' if value is None else int(value)} AS {kind})"
