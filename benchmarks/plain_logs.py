"""Plain SQL for the detectors that read API events and DNS queries: see plain.py.

The tables api_events and dns are small beside the flows; a case without them has empty ones.
"""

from __future__ import annotations

REMOTE_ACCESS = """
WITH sessions AS (
  SELECT initiator, responder, service_port, count(*) AS sessions, min(first_seen) AS first_seen,
         max(last_seen) AS last_seen, sum(bytes_in) AS bytes_in
  FROM connections
  WHERE direction = 'inbound' AND protocol = 6 AND answered AND NOT intermediate
    AND service_port IN (22, 23, 2222, 2323, 3389, 5900, 5901, 5902, 5903, 5985, 5986)
    AND packets_out >= 11 AND packets_in >= 11
    AND (packets_out > 51 OR epoch(last_seen) - epoch(first_seen) > 240)
  GROUP BY ALL),
calls AS (SELECT source_ip, count(*) AS calls, min(event_time) AS first_call FROM api_events
GROUP BY ALL),
failures AS (
  SELECT initiator, responder, count(*) AS failures FROM connections
  WHERE direction = 'inbound' AND protocol = 6 AND answered AND packets_out < 51
    AND service_port IN (22, 23, 2222, 2323, 3389, 5900, 5901, 5902, 5903, 5985, 5986)
  GROUP BY ALL),
afterwards AS (
  SELECT s.initiator, s.responder, count(*) AS services
  FROM sessions s JOIN connection_summaries o ON o.initiator = s.responder
    AND o.first_seen BETWEEN s.first_seen AND s.last_seen + INTERVAL 24 HOUR
  WHERE o.direction = 'outbound' GROUP BY ALL)
SELECT sessions.*, calls, first_call, failures, services, i.kind
FROM sessions LEFT JOIN calls ON source_ip = initiator
  LEFT JOIN failures USING (initiator, responder)
  LEFT JOIN afterwards USING (initiator, responder)
  LEFT JOIN indicators i ON i.indicator = initiator
ORDER BY ALL
"""

DNS = """
WITH names AS (
  SELECT name, min(srcaddr) AS host, min(query_time) AS first_seen, count(*) AS queries,
         regexp_extract(name, '([^.]+[.][^.]+)$') AS domain
  FROM dns WHERE contains(name, '.') GROUP BY ALL HAVING count(DISTINCT srcaddr) = 1),
tunnels AS (
  SELECT host, domain AS peer, min(first_seen) AS first_seen, count(*) AS found
  FROM names GROUP BY host, domain, first_seen::DATE
  HAVING sum(length(name) - length(domain)) >= 4000),
known AS (SELECT DISTINCT regexp_extract(name, '([^.]+[.][^.]+)$') AS domain
FROM dns WHERE rcode <> 'NXDOMAIN'),
generated AS (
  SELECT srcaddr AS host, NULL AS peer, min(query_time) AS first_seen,
         count(DISTINCT regexp_extract(name, '([^.]+[.][^.]+)$')) AS found
  FROM dns
  WHERE rcode = 'NXDOMAIN' AND contains(name, '.')
    AND regexp_extract(name, '([^.]+[.][^.]+)$') NOT IN (SELECT domain FROM known)
  GROUP BY srcaddr, epoch(query_time)::BIGINT // 3600 HAVING found >= 10),
listed AS (
  SELECT srcaddr AS host, i.indicator AS peer, min(query_time) AS first_seen, count(*) AS found
  FROM dns JOIN indicators i ON name = i.indicator OR ends_with(name, '.' || i.indicator)
  GROUP BY ALL),
servers AS (
  SELECT initiator AS host, responder AS peer, min(first_seen) AS first_seen,
         sum(connections) AS found
  FROM connection_summaries
  WHERE direction = 'outbound' AND NOT intermediate AND service_port IN (53, 853)
  GROUP BY ALL
  HAVING count(DISTINCT initiator) < 4
    OR sum(bytes_out) >= 1e6 AND sum(bytes_out) >= 90 * sum(packets_out))
SELECT * FROM tunnels UNION ALL SELECT * FROM generated UNION ALL SELECT * FROM listed
UNION ALL SELECT * FROM servers ORDER BY ALL
"""

API_ABUSE = """
WITH calls AS (
  SELECT coalesce(issuer_arn, principal_arn, principal_id) AS principal, event_source, event_name,
         aws_region, event_time, source_ip
  FROM api_events WHERE error_code IS NULL AND principal_type <> 'AWSService'),
turn AS (SELECT min(event_time) + (max(event_time) - min(event_time)) / 4 AS time FROM calls),
regions AS (SELECT aws_region, min(event_time) AS first_use FROM calls GROUP BY ALL),
abuse AS (
  SELECT principal, event_name, aws_region, event_time, source_ip FROM calls
  WHERE event_name IN (
    'AddUserToGroup', 'AttachRolePolicy', 'AttachUserPolicy', 'AuthorizeSecurityGroupIngress',
    'CreateAccessKey', 'CreateLoginProfile', 'CreatePolicyVersion', 'CreateRole', 'CreateUser',
    'DeleteDetector', 'DeleteFlowLogs', 'DeleteTrail', 'GetPasswordData', 'GetSecretValue',
    'LeaveOrganization', 'ModifyImageAttribute', 'ModifySnapshotAttribute', 'PutBucketPolicy',
    'PutEventSelectors', 'PutRolePolicy', 'PutUserPolicy', 'RunInstances', 'StopLogging',
    'UpdateAssumeRolePolicy', 'UpdateDetector', 'UpdateFunctionCode', 'UpdateLoginProfile')
  UNION ALL
  SELECT principal, 'first use of a Region', aws_region, event_time, source_ip
  FROM calls JOIN regions USING (aws_region), turn
  WHERE event_time = first_use AND first_use > turn.time)
SELECT principal, event_name, aws_region, count(*) AS calls, min(event_time) AS first_seen,
       max(event_time) AS last_seen, count(DISTINCT source_ip) AS addresses
FROM abuse GROUP BY ALL ORDER BY ALL
"""
