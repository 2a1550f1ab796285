"""The plainest hand-written SQL that answers what a step or a detector answers, to measure against.

Each is a query over the tables flows, indicators, connections and pairs (geography has one more).
None knows of middleboxes, duplicates, silences or periods of validity: they are floors for the
time, not rivals in the answer.
A colleague who adds a detector adds its query here, under the detector's id.
"""

from __future__ import annotations

from pathlib import Path

import iptocc
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

CONNECTIONS = """
SELECT least(srcaddr, dstaddr) AS low, greatest(srcaddr, dstaddr) AS high,
       CASE WHEN srcaddr < dstaddr THEN srcport ELSE dstport END AS low_port,
       CASE WHEN srcaddr < dstaddr THEN dstport ELSE srcport END AS high_port, protocol,
       min(start) AS first_seen, max("end") AS last_seen, count(*) AS records,
       sum(bytes) FILTER (WHERE srcaddr < dstaddr) AS bytes_up,
       sum(bytes) FILTER (WHERE srcaddr >= dstaddr) AS bytes_down,
       bool_or(action = 'REJECT') AS refused
FROM (SELECT DISTINCT interface_id, srcaddr, dstaddr, srcport, dstport, protocol, start, "end",
                      packets, bytes, action FROM flows)
GROUP BY ALL ORDER BY ALL
"""

PAIRS = """
SELECT initiator, responder, service_port, protocol, count(*) AS connections,
       min(first_seen) AS first_seen, max(last_seen) AS last_seen, sum(bytes_out) AS bytes_out,
       sum(bytes_in) AS bytes_in, count(*) FILTER (WHERE refused) AS refused
FROM connections GROUP BY ALL ORDER BY ALL
"""

CONTACT = """
SELECT c.initiator, c.responder, c.service_port, i.kind, count(*) AS connections,
       min(c.first_seen) AS first_seen, max(c.last_seen) AS last_seen, sum(c.bytes_out) AS bytes_out
FROM connections c JOIN indicators i ON i.indicator IN (c.initiator, c.responder)
WHERE c.direction IN ('inbound', 'outbound')
GROUP BY ALL ORDER BY ALL
"""

BEACON = """
WITH starts AS (
  SELECT DISTINCT initiator, responder, service_port, protocol, epoch(first_seen) AS began
  FROM connections WHERE direction = 'outbound'),
gaps AS (
  SELECT *, began - lag(began) OVER (
    PARTITION BY initiator, responder, service_port, protocol ORDER BY began) AS gap FROM starts)
SELECT initiator, responder, service_port, protocol, count(*) AS connections,
       avg(gap) AS period, stddev(gap) / avg(gap) AS jitter
FROM gaps GROUP BY ALL HAVING count(*) >= 8 AND avg(gap) >= 120 AND stddev(gap) / avg(gap) < 0.2
ORDER BY jitter
"""

MINING = """
WITH long AS (
  SELECT initiator, responder, service_port, protocol, count(*) AS connections,
         sum(epoch(last_seen) - epoch(first_seen)) AS seconds, sum(bytes_out) AS bytes_out,
         sum(bytes_in) AS bytes_in
  FROM connections
  WHERE direction = 'outbound' AND protocol = 6 AND answered
    AND epoch(last_seen) - epoch(first_seen) >= 1800
  GROUP BY ALL
  HAVING sum(bytes_out) / seconds * 60 < 30000 AND sum(bytes_in) / seconds * 60 < 30000)
SELECT long.*, stddev(f.bytes) / avg(f.bytes) AS unsteadiness
FROM long JOIN flows f ON f.srcaddr = long.initiator AND f.dstaddr = long.responder
  AND f.dstport = long.service_port AND f.protocol = long.protocol
GROUP BY ALL ORDER BY ALL
"""

LATERAL_MOVEMENT = """
WITH doors AS (
  SELECT *, regexp_extract(initiator, '.*[.:]') AS near,
         regexp_extract(responder, '.*[.:]') AS there
  FROM pairs
  WHERE direction = 'internal' AND service_port IN (
    22, 23, 135, 139, 445, 988, 1433, 1521, 2049, 3306, 3389, 5432, 5439, 5671, 5900, 5985, 5986,
    6379, 6380, 8111, 8182, 8883, 9092, 9094, 9096, 9098, 9111, 9142, 9194, 9196, 9198, 9200, 11211,
    27017, 50000, 61617)),
half AS (SELECT min(first_seen) + (max(last_seen) - min(first_seen)) / 2 AS turn FROM pairs),
old AS (SELECT doors.* FROM doors, half WHERE answered > 0 AND first_seen < turn)
SELECT initiator, responder, service_port, refused, first_seen, last_seen FROM doors
WHERE refused > 0 AND answered = 0
UNION ALL
SELECT initiator, responder, service_port, refused, first_seen, last_seen FROM doors, half
WHERE answered > 0 AND first_seen >= turn
  AND (initiator, there, service_port) NOT IN (SELECT (initiator, there, service_port) FROM old)
  AND (near, responder, service_port) NOT IN (SELECT (near, responder, service_port) FROM old)
  AND initiator IN (SELECT initiator FROM pairs, half WHERE first_seen < turn)
ORDER BY ALL
"""

BLIND_SPOT = """
WITH slots AS (
  SELECT interface_id, epoch(start)::BIGINT // 600 AS slot, min(start) AS first, max("end") AS last,
         count(*) FILTER (WHERE log_status = 'SKIPDATA') AS lost,
         count(*) FILTER (WHERE action = 'REJECT') AS refused
  FROM flows GROUP BY ALL),
steps AS (
  SELECT *, lag(last) OVER (PARTITION BY interface_id ORDER BY slot) AS before FROM slots)
SELECT interface_id, min(first) AS first, max(last) AS last, sum(lost) AS lost,
       sum(refused) AS refused,
       count(*) FILTER (WHERE epoch(first) - epoch(before) >= 1800) AS gaps
FROM steps GROUP BY ALL ORDER BY ALL
"""

SERVICE_ABUSE = """
SELECT coalesce(pkt_srcaddr, srcaddr) AS host, pkt_dst_aws_service AS service, count(*) AS records,
       min(start) AS first, max("end") AS last
FROM flows WHERE pkt_dst_aws_service IS NOT NULL AND action = 'ACCEPT' GROUP BY ALL ORDER BY ALL
"""

SCAN = """
WITH doors AS (
  SELECT initiator, direction, responder, service_port, protocol, min(first_seen) AS first_seen,
         bool_and((NOT answered OR (bytes_in <= 80 * packets_in AND packets_in <= 3))
                  AND packets_out <= 6 AND bytes_out <= 80 * packets_out) AS failed
  FROM connections
  WHERE NOT relay AND direction <> 'external' AND (protocol = 6 OR (protocol = 17 AND refused))
  GROUP BY ALL)
SELECT initiator, direction, count(*) FILTER (WHERE failed) AS failed, count(*) AS doors,
       count(DISTINCT responder) AS hosts, min(first_seen) AS first_seen
FROM doors GROUP BY ALL
HAVING count(*) FILTER (WHERE failed) - count(*) FILTER (WHERE NOT failed) >= 8 ORDER BY ALL
"""

BRUTE_FORCE = """
WITH tries AS (
  SELECT initiator, responder, service_port, epoch(first_seen)::BIGINT // 3600 AS hour,
         bytes_in, bytes_in BETWEEN 250 AND 10000 AND bytes_out <= 10000 AS attempt
  FROM connections
  WHERE protocol = 6 AND answered AND NOT relay AND direction <> 'external' AND service_port IN (
    21, 22, 23, 445, 1433, 3306, 3389, 5432, 5900, 5985, 5986))
SELECT initiator, responder, service_port, hour, count(*) FILTER (WHERE attempt) AS attempts,
       median(bytes_in) FILTER (WHERE attempt) AS middle
FROM tries GROUP BY ALL
HAVING count(*) FILTER (WHERE attempt) >= greatest(30, 0.8 * count(*)) ORDER BY ALL
"""

EXFILTRATION = """
WITH moved AS (
  SELECT initiator AS host, responder AS peer, bytes_out AS sent, bytes_in AS got
  FROM pairs WHERE direction = 'outbound' AND NOT relay
  UNION ALL
  SELECT responder, initiator, bytes_in, bytes_out
  FROM pairs WHERE direction = 'inbound' AND NOT relay),
ends AS (SELECT host, peer, sum(sent) AS sent, sum(got) AS got FROM moved GROUP BY ALL),
hosts AS (SELECT host, sum(sent) AS total FROM ends GROUP BY ALL),
span AS (SELECT epoch(max(last_seen) - min(first_seen)) / 86400 AS days FROM pairs)
SELECT ends.*, (total - sent) / days AS usual
FROM ends JOIN hosts USING (host), span
WHERE sent >= 1e7 AND sent - got >= 0.8 * (sent + got) AND sent >= 5 * (total - sent) / days
ORDER BY ALL
"""

SPIKE = """
WITH hourly AS (
  SELECT initiator AS host, epoch(first_seen)::BIGINT // 3600 AS hour,
         sum(bytes_out) FILTER (WHERE direction = 'outbound') AS sent,
         count(*) FILTER (WHERE direction = 'outbound') AS calls,
         count(*) FILTER (WHERE refused) AS refused
  FROM connections WHERE direction <> 'inbound' AND NOT relay GROUP BY ALL),
usual AS (
  SELECT host, median(sent) AS sent, median(calls) AS calls, median(refused) AS refused
  FROM hourly GROUP BY ALL)
SELECT h.* FROM hourly h JOIN usual u USING (host)
WHERE (h.sent > 1e8 AND h.sent > 5 * u.sent) OR (h.calls > 1000 AND h.calls > 5 * u.calls)
   OR (h.rejected > 200 AND h.rejected > 5 * u.rejected)
ORDER BY ALL
"""

RARE_PEER = """
WITH met AS (
  SELECT CASE WHEN direction = 'outbound' THEN initiator ELSE responder END AS host,
         regexp_extract(CASE WHEN direction = 'outbound' THEN responder ELSE initiator END,
                        '.*[.:]') AS network,
         first_seen, bytes_out
  FROM pairs WHERE direction IN ('outbound', 'inbound') AND NOT relay),
half AS (SELECT min(first_seen) + (max(last_seen) - min(first_seen)) / 2 AS turn FROM pairs)
SELECT network, min(host) AS host, count(DISTINCT host) AS hosts, min(first_seen) AS first_seen,
       sum(bytes_out) AS bytes_out
FROM met, half GROUP BY network, turn
HAVING min(first_seen) >= turn AND count(DISTINCT host) <= 2 ORDER BY ALL
"""

LONG_CONNECTION = """
SELECT initiator, responder, service_port, protocol, count(*) AS connections,
       max(last_seen - first_seen) AS longest, sum(bytes_out) AS bytes_out,
       sum(bytes_in) AS bytes_in
FROM connections
WHERE direction = 'outbound' AND NOT relay AND answered
  AND last_seen - first_seen >= INTERVAL 4 HOUR
GROUP BY ALL ORDER BY ALL
"""

# Over one more table, networks: see there. What has no IPv4 address has no country here.
GEOGRAPHY = """
WITH half AS (SELECT min(first_seen) + (max(last_seen) - min(first_seen)) / 2 AS turn FROM pairs),
calls AS (SELECT * FROM pairs WHERE direction = 'outbound' AND answered > 0),
far AS (
  SELECT responder, octets[1] * 16777216 + octets[2] * 65536 + octets[3] * 256 + octets[4] AS number
  FROM (SELECT DISTINCT responder, string_split(responder, '.')::BIGINT[] AS octets
        FROM calls WHERE NOT contains(responder, ':'))),
placed AS (SELECT responder, country FROM far ASOF JOIN networks ON number >= first)
SELECT country, count(DISTINCT initiator) AS hosts, min(first_seen) AS first_seen,
       sum(bytes_out) AS bytes_out
FROM calls JOIN placed USING (responder), half WHERE country IS NOT NULL
GROUP BY country, turn HAVING min(first_seen) >= turn AND count(DISTINCT initiator) <= 3
ORDER BY ALL
"""


def networks(path: Path) -> None:
    """Write the country of every IPv4 address as Parquet, once: first (a number), country.

    A row holds up to the next one's first. Asked of the registries by the /24, which none splits
    between countries but rarely.
    """
    if path.exists():
        return
    codes: list[str | None] = []
    for high in range(256):
        codes += iptocc.country_code(
            [f"{high}.{middle}.{low}.0" for middle in range(256) for low in range(256)]
        )
    country = np.array(codes, object)
    begins = np.flatnonzero(np.append(True, country[1:] != country[:-1]))
    columns = {"first": pa.array(begins * 256), "country": pa.array(country[begins], pa.string())}
    pq.write_table(pa.table(columns), path)


QUERIES = {
    "connections": CONNECTIONS,
    "pairs": PAIRS,
    "contact": CONTACT,
    "beacon": BEACON,
    "mining": MINING,
    "lateral-movement": LATERAL_MOVEMENT,
    "blind-spot": BLIND_SPOT,
    "service-abuse": SERVICE_ABUSE,
    "scan": SCAN,
    "brute-force": BRUTE_FORCE,
    "exfiltration": EXFILTRATION,
    "spike": SPIKE,
    "rare-peer": RARE_PEER,
    "long-connection": LONG_CONNECTION,
    "geography": GEOGRAPHY,
}
