"""GuardDuty findings of small invented activity, and cases of one interface."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from flowbench import corroborate
from flowbench.case import Case
from flowbench.detect import Findings
from tests.incident_case import format_time
from tests.traffic import T0, Record, connect, interface, make_case

HOST, PEER, OTHER, CALLER = "10.0.0.5", "203.0.113.50", "203.0.113.51", "192.0.2.66"
INSTANCE, INTERFACE, KEY = "i-0aaaa1111", "eni-host", "ASIAEXAMPLE1"
HOUR = 3600
FIRST, LAST = T0 + 2 * HOUR, T0 + 3 * HOUR  # the period of a GuardDuty finding


def alert(
    type_: str = "UnauthorizedAccess:EC2/TorClient",
    *,
    action: dict[str, Any] | None = None,
    resource: dict[str, Any] | None = None,
    identifier: str = "a1",
    first: int = FIRST,
    last: int = LAST,
    **service: Any,
) -> dict[str, Any]:
    """Return a GuardDuty finding of the host, in the spelling of exports."""
    return {
        "schemaVersion": "2.0",
        "accountId": "111122223333",
        "region": "us-east-1",
        "id": identifier,
        "type": type_,
        "severity": 8,
        "title": "t",
        "createdAt": format_time(last),
        "updatedAt": format_time(last),
        "resource": resource
        or {"resourceType": "Instance", "instanceDetails": {"instanceId": INSTANCE}},
        "service": {
            "count": 4,
            "archived": False,
            "eventFirstSeen": format_time(first),
            "eventLastSeen": format_time(last),
            "action": action or {},
        }
        | service,
    }


def connection(peer: str = PEER, port: int = 443, **more: Any) -> dict[str, Any]:
    return {
        "actionType": "NETWORK_CONNECTION",
        "networkConnectionAction": {
            "connectionDirection": "OUTBOUND",
            "protocol": "TCP",
            "localIpDetails": {"ipAddressV4": HOST},
            "localPortDetails": {"port": 40_001},
            "remotePortDetails": {"port": port},
            "remoteIpDetails": {"ipAddressV4": peer},
        }
        | more,
    }


def probes(*ends: tuple[str, int]) -> dict[str, Any]:
    details = [
        {
            "localPortDetails": {"port": port},
            "localIpDetails": {"ipAddressV4": HOST},
            "remoteIpDetails": {"ipAddressV4": peer},
        }
        for peer, port in ends
    ]
    action = {"blocked": False, "portProbeDetails": details}
    return {"actionType": "PORT_PROBE", "portProbeAction": action}


def dns_request(domain: str) -> dict[str, Any]:
    return {"actionType": "DNS_REQUEST", "dnsRequestAction": {"domain": domain, "protocol": "UDP"}}


def api_call(api: str = "ListBuckets", peer: str = CALLER) -> dict[str, Any]:
    call = {"api": api, "remoteIpDetails": {"ipAddressV4": peer}, "callerType": "Remote IP"}
    return {"actionType": "AWS_API_CALL", "awsApiCallAction": call}


def access_key(name: str = "eve", key: str = KEY) -> dict[str, Any]:
    details = {"accessKeyId": key, "userName": name}
    return {"resourceType": "AccessKey", "accessKeyDetails": details}


def silence(first: int = T0, last: int = T0 + 6 * HOUR, *, status: str = "NODATA") -> list[Record]:
    """Return a record without traffic for each ten minutes of the host's interface."""
    return [
        Record("-", "-", 0, 0, at, at + 599, log_status=status, interface_id=INTERFACE, action="-")
        for at in range(first, last, 600)
    ]


def inventory() -> list[dict[str, Any]]:
    attached = {"InstanceId": INSTANCE, "AttachTime": format_time(T0 - HOUR)}
    return [interface(HOST, "host", Attachment=attached, VpcId="vpc-1")]


def alert_case(
    folder: Path,
    records: Iterable[Record],
    *alerts: dict[str, Any],
    more: Iterable[dict[str, Any]] = (),
    interfaces: list[dict[str, Any]] | None = None,
) -> Case:
    """Return a case with records, the inventory, GuardDuty findings and other JSON evidence."""
    given = inventory() if interfaces is None else interfaces
    return make_case(folder, records, interfaces=given, json_lines=[*alerts, *more])


def judge(case: Case, findings: Findings | None = None) -> list[dict[str, Any]]:
    rows = corroborate.alerts(case, findings or Findings())
    assert list(rows.columns) == corroborate.TABLE.columns
    found = rows.astype(object).where(rows.notna(), None).to_dict("records")
    return [row | {"finding_ids": list(row["finding_ids"])} for row in found]


def traffic(peer: str = PEER, port: int = 443, at: int = FIRST + 600) -> list:
    return list(connect(HOST, peer, port, at, interface_id=INTERFACE))


def query(name: str, at: int, host: str = HOST, answer: str = PEER) -> dict[str, Any]:
    stamp = pd.Timestamp(at, unit="s", tz="UTC").strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "version": "1.1",
        "account_id": "111122223333",
        "region": "us-east-1",
        "vpc_id": "vpc-1",
        "query_timestamp": stamp,
        "query_name": f"{name}.",
        "query_type": "A",
        "query_class": "IN",
        "rcode": "NOERROR",
        "answers": [{"Rdata": answer, "Type": "A", "Class": "IN"}],
        "srcaddr": host,
        "srcport": "4000",
        "transport": "UDP",
        "srcids": {"instance": INSTANCE},
    }
