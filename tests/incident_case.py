"""A small incident with every kind of evidence, for tests of attribution, timeline and report."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flowbench.case import Case
from tests.traffic import T0, Record, connect, interface, make_case, reject

HOST, DATABASE, WEB = "10.0.0.5", "10.0.0.9", "10.0.0.7"
POOL, EXIT, CALLER, OFFICE = "203.0.113.50", "198.51.100.9", "192.0.2.66", "192.0.2.10"
INSTANCE, INTERFACE = "i-0aaaa1111", "eni-miner"
CREATOR = "arn:aws:iam::111122223333:user/ada"
ROGUE = "arn:aws:iam::111122223333:user/eve"
KEY, CREATOR_KEY = "AKIAEXAMPLEEVE", "AKIAEXAMPLEADA"
HOSTILE = "=cmd()|<script>alert(1)</script>\nnext"
HOUR = 3600
LIST = f"indicator,kind,feed\n{POOL},mining,pools\n{EXIT},tor,exits\n"


def format_time(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def api_event(
    event_id: str,
    name: str,
    at: int,
    *,
    arn: str = ROGUE,
    key: str = KEY,
    ip: str = CALLER,
    error: str | None = None,
    read: bool = False,
    request: dict[str, Any] | None = None,
    response: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """One CloudTrail record of an IAM user's call."""
    record = {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "IAMUser",
            "arn": arn,
            "accessKeyId": key,
            "userName": arn.rpartition("/")[2],
            "accountId": "111122223333",
        },
        "eventTime": format_time(at),
        "eventSource": "ec2.amazonaws.com",
        "eventName": name,
        "awsRegion": "us-east-1",
        "sourceIPAddress": ip,
        "userAgent": "aws-cli/2",
        "requestParameters": request,
        "responseElements": response,
        "eventID": event_id,
        "readOnly": read,
        "recipientAccountId": "111122223333",
    }
    return record | ({"errorCode": error} if error else {})


def started(instance: str, eni: str, address: str) -> dict[str, Any]:
    """What RunInstances answers."""
    inside = {"networkInterfaceId": eni, "privateIpAddress": address}
    return {
        "instancesSet": {
            "items": [
                {
                    "instanceId": instance,
                    "privateIpAddress": address,
                    "networkInterfaceSet": {"items": [inside]},
                }
            ]
        }
    }


def make_api_events() -> list[dict[str, Any]]:
    creator = {"arn": CREATOR, "key": CREATOR_KEY}
    admin = {"arn": "arn:aws:iam::111122223333:user/bob", "key": "AKIABOB", "ip": OFFICE}
    user = {"userName": "eve"}
    return [
        api_event(
            "e0", "DescribeInstances", T0 - 9 * HOUR, read=True, **(creator | {"ip": OFFICE})
        ),
        api_event("e1", "CreateUser", T0 - 4 * HOUR, request=user, **creator),
        api_event(
            "e2",
            "CreateAccessKey",
            T0 - 4 * HOUR + 30,
            request=user,
            response={"accessKey": {"userName": "eve", "accessKeyId": KEY}},
            **creator,
        ),
        api_event("e3", "ListBuckets", T0 - 2 * HOUR, read=True),
        api_event("e4", "RunInstances", T0 - HOUR, error="Client.VcpuLimitExceeded"),
        api_event(
            "e5", "RunInstances", T0 - HOUR + 60, response=started(INSTANCE, INTERFACE, HOST)
        ),
        api_event(
            "e6",
            "CreateAccessKey",
            T0 - HOUR + 90,
            error="AccessDenied",
            request={"userName": "root-of-all"},
        ),
        api_event(
            "e7", "DescribeInstances", T0, read=True, request={"instanceId": INSTANCE}, **admin
        ),
        api_event("e8", "StopInstances", T0 + 7 * HOUR, request={"instanceId": INSTANCE}, **admin),
        api_event("e9", "RunInstances", T0, response=started("i-0bbbb2222", "eni-x", WEB), **admin),
    ]


def traffic() -> list[Record]:
    records: list[Record] = []
    for n in range(3):
        records += connect(
            HOST,
            POOL,
            3333,
            T0 + 2 * n * HOUR,
            source_port=40_001 + n,
            seconds=2 * HOUR - 300,
            out=60_000,
            back=80_000,
            interface_id=INTERFACE,
        )
    for n in range(72):
        records += connect(
            HOST, EXIT, 443, T0 + 300 * n + 90, source_port=41_000 + n, interface_id=INTERFACE
        )
    records += [
        reject(
            HOST, DATABASE, 3306, T0 + HOUR + 900 * n, source_port=50_000 + n, interface_id="eni-db"
        )
        for n in range(8)
    ]
    records += connect(WEB, DATABASE, 3306, T0 + 600, source_port=45_000, interface_id="eni-web")
    return records


def make_inventory() -> list[dict[str, Any]]:
    attached = {
        "AttachmentId": "a",
        "InstanceId": INSTANCE,
        "AttachTime": format_time(T0 - HOUR + 60),
    }
    place = {"SubnetId": "subnet-1", "VpcId": "vpc-1"}
    return [
        interface(
            HOST, "miner", Attachment=attached, TagSet=[{"Key": "Name", "Value": HOSTILE}], **place
        ),
        interface(
            DATABASE, "db", Description="RDSNetworkInterface", RequesterId="amazon-rds", **place
        ),
        interface(WEB, "web", SubnetId="subnet-2", VpcId="vpc-1"),
        interface("10.0.0.99", "idle", SubnetId="subnet-2", VpcId="vpc-1"),
    ]


def dns_query(at: int, name: str = "eu.pool.example.", host: str = HOST) -> dict[str, Any]:
    return {
        "version": "1.100000",
        "account_id": "111122223333",
        "region": "us-east-1",
        "vpc_id": "vpc-1",
        "query_timestamp": format_time(at),
        "query_name": name,
        "query_type": "A",
        "query_class": "IN",
        "rcode": "NOERROR",
        "srcaddr": host,
        "srcport": "43210",
        "answers": [{"Rdata": POOL, "Type": "A", "Class": "IN"}],
        "transport": "UDP",
        "srcids": {"instance": INSTANCE},
    }


def guardduty_finding() -> dict[str, Any]:
    return {
        "schemaVersion": "2.0",
        "accountId": "111122223333",
        "region": "us-east-1",
        "id": "a1",
        "type": "CryptoCurrency:EC2/BitcoinTool.B",
        "severity": 8,
        "title": "Mining",
        "createdAt": format_time(T0 + HOUR),
        "updatedAt": format_time(T0 + HOUR),
        "resource": {"resourceType": "Instance", "instanceDetails": {"instanceId": INSTANCE}},
        "service": {
            "count": 4,
            "archived": False,
            "eventFirstSeen": format_time(T0 + 60),
            "eventLastSeen": format_time(T0 + 6 * HOUR),
            "action": {
                "actionType": "NETWORK_CONNECTION",
                "networkConnectionAction": {
                    "connectionDirection": "OUTBOUND",
                    "blocked": False,
                    "protocol": "TCP",
                    "localIpDetails": {"ipAddressV4": HOST},
                    "localPortDetails": {"port": 40_001},
                    "remotePortDetails": {"port": 3333},
                    "remoteIpDetails": {"ipAddressV4": POOL},
                },
            },
        },
    }


def make_incident_case(folder: Path) -> Case:
    """Return the incident as a case: flows, inventory, CloudTrail, indicators, DNS, GuardDuty."""
    case = make_case(
        folder,
        traffic(),
        interfaces=make_inventory(),
        indicators=LIST,
        json_lines=make_api_events(),
    )
    (folder / "dns.log").write_text(
        "\n".join(json.dumps(dns_query(T0 + n * 2 * HOUR)) for n in range(3))
    )
    (folder / "guardduty.json").write_text(json.dumps({"Findings": [guardduty_finding()]}))
    case.ingest(folder / "dns.log", folder / "guardduty.json")
    return case
