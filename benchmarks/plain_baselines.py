"""Plain SQL of the detectors that compare a host with its baseline; see plain.py."""

from __future__ import annotations

# When each internal host was seen, and from which hosts people browse.
LIFETIMES = """
lifetimes AS (
  SELECT host, min(first_seen) AS born, max(last_seen) AS gone FROM (
    SELECT initiator AS host, first_seen, last_seen FROM connection_summaries
    WHERE direction IN ('internal', 'outbound')
    UNION ALL
    SELECT responder, first_seen, last_seen FROM connection_summaries
    WHERE direction IN ('internal', 'inbound'))
  GROUP BY ALL)
"""

PEOPLE = """
web AS (
  SELECT initiator AS host, regexp_extract(responder, '.*[.:]') AS network,
         bool_or(bytes_in >= 3 * bytes_out AND bytes_in >= 10000 * connections) AS visited
  FROM connection_summaries
  WHERE direction = 'outbound' AND NOT intermediate AND answered > 0 AND service_port IN (80, 443)
  GROUP BY ALL),
rare_sites AS (SELECT network FROM web GROUP BY ALL HAVING count(*) <= 2),
people AS (
  SELECT host FROM web SEMI JOIN rare_sites USING (network)
  GROUP BY ALL HAVING count(*) FILTER (WHERE visited) >= 5 OR count(*) >= 10)
"""

EXFILTRATION = f"""
WITH {LIFETIMES},
transfers AS (
  SELECT initiator AS host, responder AS peer, service_port, protocol, bytes_out AS sent,
         bytes_in AS received
  FROM connection_summaries WHERE direction = 'outbound' AND NOT intermediate
  UNION ALL
  SELECT responder, initiator, service_port, protocol, bytes_in, bytes_out
  FROM connection_summaries WHERE direction = 'inbound' AND NOT intermediate),
span AS (SELECT min(first_seen) AS begun, max(last_seen) AS ended FROM connection_summaries),
shared AS (
  SELECT responder AS peer, service_port, protocol FROM connection_summaries, span
  WHERE direction = 'outbound' AND NOT intermediate
  GROUP BY ALL
  HAVING count(DISTINCT initiator) FILTER (
           WHERE first_seen <= begun + (ended - begun) / 4) >= 4
     AND count(DISTINCT initiator) FILTER (WHERE last_seen >= ended - (ended - begun) / 4) >= 4),
ends AS (
  SELECT host, peer, sum(sent) AS sent, sum(received) AS received
  FROM transfers ANTI JOIN shared USING (peer, service_port, protocol) GROUP BY ALL),
hosts AS (
  SELECT host, sum(sent) AS total, greatest(1, any_value(epoch(gone - born)) / 86400) AS days
  FROM transfers JOIN lifetimes USING (host) GROUP BY ALL)
SELECT ends.*, (total - sent) / days AS baseline
FROM ends JOIN hosts USING (host)
WHERE sent >= 1e7 AND sent - received >= 0.8 * (sent + received)
  AND sent >= 5 * (total - sent) / days
ORDER BY ALL
"""

SPIKE = """
WITH hourly AS (
  SELECT initiator AS host, epoch(first_seen)::BIGINT // 3600 AS hour,
         sum(bytes_out) FILTER (WHERE direction = 'outbound') AS sent,
         count(*) FILTER (WHERE direction = 'outbound') AS outbound,
         count(*) FILTER (WHERE rejected) AS rejected
  FROM connections WHERE direction <> 'inbound' AND NOT intermediate GROUP BY ALL),
baseline AS (
  SELECT host, median(sent) AS sent, median(outbound) AS outbound, median(rejected) AS rejected
  FROM hourly GROUP BY ALL)
SELECT h.* FROM hourly h JOIN baseline u USING (host)
WHERE (h.sent > 1e8 AND h.sent > 5 * u.sent) OR (h.outbound > 1000 AND h.outbound > 5 * u.outbound)
   OR (h.rejected > 200 AND h.rejected > 5 * u.rejected)
ORDER BY ALL
"""

RARE_PEER = f"""
WITH {LIFETIMES}, {PEOPLE},
baselines AS (
  SELECT host, born + least(INTERVAL 7 DAY, greatest(INTERVAL 1 DAY, (gone - born) / 2)) AS until
  FROM lifetimes WHERE gone - born >= INTERVAL 36 HOUR),
contacts AS (
  SELECT CASE WHEN direction = 'outbound' THEN initiator ELSE responder END AS host,
         regexp_extract(CASE WHEN direction = 'outbound' THEN responder ELSE initiator END,
                        '.*[.:]') AS network,
         service_port IN (80, 443) AS web, first_seen, bytes_out, connections
  FROM connection_summaries
  WHERE direction IN ('outbound', 'inbound') AND NOT intermediate AND answered > 0),
rare AS (
  SELECT network, min(first_seen) AS first FROM contacts
  GROUP BY ALL HAVING count(DISTINCT host) <= 2)
SELECT host, network, any_value(until) AS until, min(first_seen) AS first_seen,
       sum(bytes_out) AS bytes_out
FROM contacts JOIN rare USING (network) JOIN baselines USING (host)
LEFT JOIN (SELECT host, true AS browses FROM people) USING (host)
WHERE first >= until
GROUP BY host, network
HAVING NOT (bool_and(web) AND any_value(browses) IS NOT NULL AND sum(connections) < 3)
ORDER BY ALL
"""

LONG_CONNECTION = f"""
WITH {LIFETIMES}, {PEOPLE}
SELECT initiator, responder, service_port, protocol, count(*) AS connections,
       max(last_seen - first_seen) AS longest, sum(bytes_out) AS bytes_out,
       sum(bytes_in) AS bytes_in, any_value(gone - born) AS lived
FROM connections JOIN lifetimes ON host = initiator
WHERE direction = 'outbound' AND NOT intermediate AND answered
  AND last_seen - first_seen >= INTERVAL 4 HOUR
  AND NOT (service_port IN (80, 443) AND initiator IN (SELECT host FROM people))
GROUP BY ALL ORDER BY ALL
"""

# Reads one more table, networks. Only IPv4 addresses have a country here.
GEOGRAPHY = f"""
WITH {LIFETIMES},
baselines AS (
  SELECT host, born + least(INTERVAL 7 DAY, greatest(INTERVAL 1 DAY, (gone - born) / 2)) AS until
  FROM lifetimes WHERE gone - born >= INTERVAL 36 HOUR),
outbound AS (SELECT * FROM connection_summaries WHERE direction = 'outbound' AND answered > 0),
external AS (
  SELECT responder, octets[1] * 16777216 + octets[2] * 65536 + octets[3] * 256 + octets[4] AS number
  FROM (SELECT DISTINCT responder, string_split(responder, '.')::BIGINT[] AS octets
        FROM outbound WHERE NOT contains(responder, ':'))),
located AS (SELECT responder, country FROM external ASOF JOIN networks ON number >= first),
reached AS (
  SELECT *, min(first_seen) OVER (PARTITION BY country) AS first
  FROM outbound JOIN located USING (responder) JOIN baselines ON host = initiator
  WHERE country IS NOT NULL)
SELECT country, count(DISTINCT initiator) AS hosts, min(first_seen) AS first_seen,
       sum(bytes_out) AS bytes_out
FROM reached WHERE first >= until
GROUP BY country HAVING count(DISTINCT initiator) <= 3
ORDER BY ALL
"""

QUERIES = {
    "exfiltration": EXFILTRATION,
    "spike": SPIKE,
    "rare-peer": RARE_PEER,
    "long-connection": LONG_CONNECTION,
    "geography": GEOGRAPHY,
}
