"""A small invented incident with every kind of evidence, for what tells stories about a case."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flowbench.case import Case
from tests.traffic import T0, Record, interface, make_case, refused, talk

HOST, DATABASE, WEB = "10.0.0.5", "10.0.0.9", "10.0.0.7"
POOL, EXIT, CALLER, OFFICE = "203.0.113.50", "198.51.100.9", "192.0.2.66", "192.0.2.10"
INSTANCE, INTERFACE = "i-0aaaa1111", "eni-miner"
MAKER = "arn:aws:iam::111122223333:user/ada"
ROGUE = "arn:aws:iam::111122223333:user/eve"
KEY, MAKER_KEY = "AKIAEXAMPLEEVE", "AKIAEXAMPLEADA"
HOSTILE = "=cmd()|<script>alert(1)</script>\nnext"
HOUR = 3600
LIST = f"indicator,kind,feed\n{POOL},mining,pools\n{EXIT},tor,exits\n"


def stamp(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def call(
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
            "type": "IAMUser", "arn": arn, "accessKeyId": key, "userName": arn.rpartition("/")[2],
            "accountId": "111122223333",
        },
        "eventTime": stamp(at),
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
    }  # fmt: skip
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


def calls() -> list[dict[str, Any]]:
    maker = {"arn": MAKER, "key": MAKER_KEY}
    admin = {"arn": "arn:aws:iam::111122223333:user/bob", "key": "AKIABOB", "ip": OFFICE}
    user = {"userName": "eve"}
    return [
        call("e0", "DescribeInstances", T0 - 9 * HOUR, read=True, **(maker | {"ip": OFFICE})),
        call("e1", "CreateUser", T0 - 4 * HOUR, request=user, **maker),
        call("e2", "CreateAccessKey", T0 - 4 * HOUR + 30, request=user,
             response={"accessKey": {"userName": "eve", "accessKeyId": KEY}}, **maker),
        call("e3", "ListBuckets", T0 - 2 * HOUR, read=True),
        call("e4", "RunInstances", T0 - HOUR, error="Client.VcpuLimitExceeded"),
        call("e5", "RunInstances", T0 - HOUR + 60, response=started(INSTANCE, INTERFACE, HOST)),
        call("e6", "CreateAccessKey", T0 - HOUR + 90, error="AccessDenied",
             request={"userName": "root-of-all"}),
        call("e7", "DescribeInstances", T0, read=True, request={"instanceId": INSTANCE}, **admin),
        call("e8", "StopInstances", T0 + 7 * HOUR, request={"instanceId": INSTANCE}, **admin),
        call("e9", "RunInstances", T0, response=started("i-0bbbb2222", "eni-x", WEB), **admin),
    ]  # fmt: skip


def traffic() -> list[Record]:
    records: list[Record] = []
    for n in range(3):
        records += talk(HOST, POOL, 3333, T0 + 2 * n * HOUR, source_port=40_001 + n,
                        seconds=2 * HOUR - 300, out=60_000, back=80_000,
                        interface_id=INTERFACE)  # fmt: skip
    for n in range(72):
        records += talk(HOST, EXIT, 443, T0 + 300 * n + 90, source_port=41_000 + n,
                        interface_id=INTERFACE)  # fmt: skip
    records += [refused(HOST, DATABASE, 3306, T0 + HOUR + 900 * n, source_port=50_000 + n,
                        interface_id="eni-db") for n in range(8)]  # fmt: skip
    records += talk(WEB, DATABASE, 3306, T0 + 600, source_port=45_000, interface_id="eni-web")
    return records


def inventory() -> list[dict[str, Any]]:
    attached = {"AttachmentId": "a", "InstanceId": INSTANCE, "AttachTime": stamp(T0 - HOUR + 60)}
    place = {"SubnetId": "subnet-1", "VpcId": "vpc-1"}
    return [
        interface(HOST, "miner", Attachment=attached,
                  TagSet=[{"Key": "Name", "Value": HOSTILE}], **place),
        interface(DATABASE, "db", Description="RDSNetworkInterface", RequesterId="amazon-rds",
                  **place),
        interface(WEB, "web", SubnetId="subnet-2", VpcId="vpc-1"),
        interface("10.0.0.99", "idle", SubnetId="subnet-2", VpcId="vpc-1"),
    ]  # fmt: skip


def look_up(at: int, name: str = "eu.pool.example.", host: str = HOST) -> dict[str, Any]:
    return {
        "version": "1.100000", "account_id": "111122223333", "region": "us-east-1",
        "vpc_id": "vpc-1", "query_timestamp": stamp(at), "query_name": name, "query_type": "A",
        "query_class": "IN", "rcode": "NOERROR", "srcaddr": host, "srcport": "43210",
        "answers": [{"Rdata": POOL, "Type": "A", "Class": "IN"}], "transport": "UDP",
        "srcids": {"instance": INSTANCE},
    }  # fmt: skip


def alert() -> dict[str, Any]:
    return {
        "schemaVersion": "2.0", "accountId": "111122223333", "region": "us-east-1", "id": "a1",
        "type": "CryptoCurrency:EC2/BitcoinTool.B", "severity": 8, "title": "Mining",
        "createdAt": stamp(T0 + HOUR), "updatedAt": stamp(T0 + HOUR),
        "resource": {"resourceType": "Instance", "instanceDetails": {"instanceId": INSTANCE}},
        "service": {
            "count": 4, "archived": False, "eventFirstSeen": stamp(T0 + 60),
            "eventLastSeen": stamp(T0 + 6 * HOUR),
            "action": {"actionType": "NETWORK_CONNECTION", "networkConnectionAction": {
                "connectionDirection": "OUTBOUND", "blocked": False, "protocol": "TCP",
                "localIpDetails": {"ipAddressV4": HOST}, "localPortDetails": {"port": 40_001},
                "remotePortDetails": {"port": 3333},
                "remoteIpDetails": {"ipAddressV4": POOL}}},
        },
    }  # fmt: skip


def story(folder: Path) -> Case:
    """The incident as a case: flows, inventory, CloudTrail, an indicator list, DNS, GuardDuty."""
    case = make_case(folder, traffic(), interfaces=inventory(), indicators=LIST, json_lines=calls())
    (folder / "dns.log").write_text(
        "\n".join(json.dumps(look_up(T0 + n * 2 * HOUR)) for n in range(3))
    )
    (folder / "guardduty.json").write_text(json.dumps({"Findings": [alert()]}))
    case.ingest(folder / "dns.log", folder / "guardduty.json")
    return case
