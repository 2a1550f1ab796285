"""Plain SQL for each step and detector, as a lower limit of its time.

The queries read the tables flows, indicators, api_events, dns, connections and connection_summaries
(geography one more). They ignore intermediate devices, duplicates, gaps and validity periods: they
are references for time, not for results. A new detector gets a query here, under its id.
"""

from __future__ import annotations

from pathlib import Path

import iptocc
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import plain_baselines
from benchmarks.plain_logs import API_ABUSE, DNS, REMOTE_ACCESS

CONNECTIONS = """
SELECT least(srcaddr, dstaddr) AS low, greatest(srcaddr, dstaddr) AS high,
       CASE WHEN srcaddr < dstaddr THEN srcport ELSE dstport END AS low_port,
       CASE WHEN srcaddr < dstaddr THEN dstport ELSE srcport END AS high_port, protocol,
       min(start) AS first_seen, max("end") AS last_seen, count(*) AS records,
       sum(bytes) FILTER (WHERE srcaddr < dstaddr) AS bytes_up,
       sum(bytes) FILTER (WHERE srcaddr >= dstaddr) AS bytes_down,
       bool_or(action = 'REJECT') AS rejected
FROM (SELECT DISTINCT interface_id, srcaddr, dstaddr, srcport, dstport, protocol, start, "end",
                      packets, bytes, action FROM flows)
GROUP BY ALL ORDER BY ALL
"""

CONNECTION_SUMMARIES = """
SELECT initiator, responder, service_port, protocol, count(*) AS connections,
       min(first_seen) AS first_seen, max(last_seen) AS last_seen, sum(bytes_out) AS bytes_out,
       sum(bytes_in) AS bytes_in, count(*) FILTER (WHERE rejected) AS rejected
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
WITH interval AS (
  SELECT greatest(1, mode(epoch("end") - epoch(start))::BIGINT + 1) AS seconds
  FROM (SELECT start, "end" FROM flows LIMIT 100000)),
starts AS (
  SELECT initiator, responder, service_port, protocol, bytes_out,
         epoch(first_seen)::BIGINT // seconds AS slot
  FROM connections, interval
  WHERE direction IN ('outbound', 'internal') AND NOT intermediate AND packets_out > 0),
pairs AS (
  SELECT initiator, responder, service_port, protocol, count(*) AS connections,
         max(slot) - min(slot) + 1 AS slots, median(bytes_out) AS middle
  FROM starts GROUP BY ALL HAVING count(*) >= 8),
counts AS (
  SELECT initiator, responder, service_port, protocol, slot, count(*) AS count,
         count(*) FILTER (WHERE bytes_out BETWEEN 0.9 * middle AND 1.1 * middle) AS near
  FROM starts JOIN pairs USING (initiator, responder, service_port, protocol) GROUP BY ALL),
gaps AS (
  SELECT *, slot - lag(slot) OVER (
    PARTITION BY initiator, responder, service_port, protocol ORDER BY slot) AS gap FROM counts)
SELECT initiator, responder, service_port, protocol, any_value(connections) AS connections,
       sum(near) / any_value(connections) AS equal, any_value(connections / slots) AS rate,
       sqrt(greatest(0, sum(count * count) / any_value(slots) - rate ** 2)) AS deviation,
       stddev(gap) / avg(gap) AS jitter
FROM gaps JOIN pairs USING (initiator, responder, service_port, protocol)
GROUP BY initiator, responder, service_port, protocol
HAVING equal >= 0.5 AND (deviation <= 0.5 * rate OR jitter <= 0.5) ORDER BY ALL
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
WITH services AS (
  SELECT *, regexp_extract(initiator, '.*[.:]') AS near,
         regexp_extract(responder, '.*[.:]') AS there
  FROM connection_summaries
  WHERE direction = 'internal' AND service_port IN (
    22, 23, 135, 139, 445, 988, 1433, 1521, 2049, 3306, 3389, 5432, 5439, 5671, 5900, 5985, 5986,
    6379, 6380, 8111, 8182, 8883, 9092, 9094, 9096, 9098, 9111, 9142, 9194, 9196, 9198, 9200, 11211,
    27017, 50000, 61617)),
half AS (SELECT min(first_seen) + (max(last_seen) - min(first_seen)) / 2 AS turn
FROM connection_summaries),
old AS (SELECT services.* FROM services, half WHERE answered > 0 AND first_seen < turn)
SELECT initiator, responder, service_port, rejected, first_seen, last_seen FROM services
WHERE rejected > 0 AND answered = 0
UNION ALL
SELECT initiator, responder, service_port, rejected, first_seen, last_seen FROM services, half
WHERE answered > 0 AND first_seen >= turn
  AND (initiator, there, service_port) NOT IN (SELECT (initiator, there, service_port) FROM old)
  AND (near, responder, service_port) NOT IN (SELECT (near, responder, service_port) FROM old)
  AND initiator IN (SELECT initiator FROM connection_summaries, half WHERE first_seen < turn)
ORDER BY ALL
"""

BLIND_SPOT = """
WITH slots AS (
  SELECT interface_id, epoch(start)::BIGINT // 600 AS slot, min(start) AS first, max("end") AS last,
         count(*) FILTER (WHERE log_status = 'SKIPDATA') AS lost,
         count(*) FILTER (WHERE action = 'REJECT') AS rejected
  FROM flows GROUP BY ALL),
steps AS (
  SELECT *, lag(last) OVER (PARTITION BY interface_id ORDER BY slot) AS before FROM slots)
SELECT interface_id, min(first) AS first, max(last) AS last, sum(lost) AS lost,
       sum(rejected) AS rejected,
       count(*) FILTER (WHERE epoch(first) - epoch(before) >= 1800) AS gaps
FROM steps GROUP BY ALL ORDER BY ALL
"""

SERVICE_ABUSE = """
SELECT coalesce(pkt_srcaddr, srcaddr) AS host, pkt_dst_aws_service AS service, count(*) AS records,
       min(start) AS first, max("end") AS last
FROM flows WHERE pkt_dst_aws_service IS NOT NULL AND action = 'ACCEPT' GROUP BY ALL ORDER BY ALL
"""

SCAN = """
WITH services AS (
  SELECT initiator, direction, responder, service_port, protocol, min(first_seen) AS first_seen,
         max(last_seen), sum(packets_out) AS packets_out, sum(bytes_out), sum(bytes_in),
         bool_or(rejected OR (protocol = 6 AND syn_sent IS NOT false
                 AND bytes_out <= 80 * packets_out
                 AND (NOT answered OR (bytes_in <= 80 * packets_in AND packets_in <= 3)))) AS fails,
         bool_or(answered AND (protocol <> 6 OR bytes_in > 80 * packets_in OR packets_in > 3))
         AS succeeds
  FROM connections
  WHERE NOT intermediate AND direction <> 'external' AND packets_out > 0
    AND initiator_rule IN ('flags', 'ports', 'rejected', 'one-way')
    AND (protocol NOT IN (1, 58) OR (rejected AND direction = 'inbound')) GROUP BY ALL),
inbound AS (FROM services WHERE direction = 'inbound'),
answering AS (SELECT responder, service_port, protocol FROM inbound
              GROUP BY ALL HAVING 2 * count(*) FILTER (WHERE succeeds) > count(*)),
background AS (
  FROM inbound ANTI JOIN answering USING (responder, service_port, protocol)
  WHERE NOT succeeds AND initiator NOT IN (SELECT initiator FROM inbound WHERE succeeds)),
datagrams AS (
  SELECT initiator, service_port FROM services
  WHERE protocol = 17 AND direction <> 'inbound' AND NOT succeeds AND packets_out <= 10
  GROUP BY initiator, service_port, epoch(first_seen)::BIGINT // 600 HAVING count(*) >= 8),
pings AS (
  SELECT initiator AS source, responder AS target, answered, first_seen FROM connections
  WHERE protocol IN (1, 58) UNION ALL
  SELECT responder, initiator, answered, first_seen FROM connections
  WHERE protocol IN (1, 58) AND answered)
SELECT 'services' AS kind, initiator, direction, count(*) FILTER (WHERE fails) AS failed,
       count(*) AS services, count(DISTINCT responder) AS hosts, min(first_seen) AS first_seen
FROM services GROUP BY ALL HAVING failed - count(*) FILTER (WHERE succeeds) >= 8
UNION ALL SELECT 'background', initiator, direction, count(*), count(*), count(DISTINCT responder),
                 min(first_seen) FROM background GROUP BY ALL
UNION ALL SELECT 'datagrams', initiator, '', count(*), 0, 0, NULL FROM datagrams GROUP BY ALL
UNION ALL SELECT 'pings', source, '', count(*) FILTER (WHERE NOT answered), count(*),
                 count(DISTINCT target), min(first_seen)
FROM pings GROUP BY source, epoch(first_seen)::BIGINT // 600
HAVING count(DISTINCT target) >= 8 AND count(*) FILTER (WHERE NOT answered) >= 3
ORDER BY ALL
"""

BRUTE_FORCE = """
WITH sessions AS (
  SELECT initiator, responder, service_port, epoch(first_seen)::BIGINT // 3600 AS hour,
         bytes_in, bytes_in BETWEEN 250 AND 10000 AND bytes_out <= 10000 AS attempt
  FROM connections
  WHERE protocol = 6 AND answered AND NOT intermediate AND direction <> 'external'
    AND service_port IN (
    21, 22, 23, 445, 1433, 3306, 3389, 5432, 5900, 5985, 5986))
SELECT initiator, responder, service_port, hour, count(*) FILTER (WHERE attempt) AS attempts,
       median(bytes_in) FILTER (WHERE attempt) AS middle
FROM sessions GROUP BY ALL
HAVING count(*) FILTER (WHERE attempt) >= greatest(30, 0.8 * count(*)) ORDER BY ALL
"""


def networks(path: Path) -> None:
    """Write the countries of the IPv4 addresses as Parquet, unless it is there.

    Columns: first (the first address as a number; the range ends before the next row's), country.
    The registries' country of each /24 is used; few are divided.
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
    "connection_summaries": CONNECTION_SUMMARIES,
    "contact": CONTACT,
    "beacon": BEACON,
    "mining": MINING,
    "lateral-movement": LATERAL_MOVEMENT,
    "blind-spot": BLIND_SPOT,
    "service-abuse": SERVICE_ABUSE,
    "scan": SCAN,
    "brute-force": BRUTE_FORCE,
    "remote-access": REMOTE_ACCESS,
    "dns": DNS,
    "api-abuse": API_ABUSE,
    **plain_baselines.QUERIES,
}
