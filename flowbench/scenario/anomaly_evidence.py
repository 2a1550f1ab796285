"""The evidence of generated anomalies beside their flow logs."""

from __future__ import annotations

import json
from pathlib import Path

from flowbench.scenario import bulk, cloudtrail
from flowbench.scenario.network import JsonObject
from flowbench.scenario.random_network import RandomNetwork
from flowbench.scenario.writer import format_time

# User-assigned country codes (ISO 3166-1), which no country has.
USUAL_COUNTRIES = ("XA", "XB", "XC")
RARE_COUNTRIES = ("QM", "QN", "QO", "QP", "QQ", "QR", "QS", "QT")
FIRST_RARE_NETWORK = 192  # of 256 /24 networks; each rare country has eight of the rest


def dns_query(network: RandomNetwork, host: int, service: str, time: float) -> JsonObject:
    """Return the Resolver query log record of a host's look-up of an AWS service."""
    return {
        "version": "1.100000",
        "account_id": str(bulk.ACCOUNT),
        "region": "us-east-1",
        "vpc_id": "vpc-0",
        "query_timestamp": format_time(time),
        "query_type": "A",
        "rcode": "NOERROR",
        "query_name": f"{service}.us-east-1.amazonaws.com.",
        "query_class": "IN",
        "answers": [{"Rdata": "192.0.2.200", "Type": "A", "Class": "IN"}],
        "srcaddr": network.traffic.addresses[host],
        "srcport": "40000",
        "transport": "UDP",
        "srcids": {"instance": _instance_id(host)},
    }


def api_event(host: int, time: float, source_address: str) -> JsonObject:
    """Return the CloudTrail event of an API call with the credentials of a host's role."""
    identity = cloudtrail.role("app", _instance_id(host), time)
    return cloudtrail.event(time, identity, "sts", "GetCallerIdentity", source_address, "aws-sdk")


def write_dns(folder: Path, queries: list[JsonObject]) -> None:
    """Write a Resolver query log."""
    queries = sorted(queries, key=lambda q: (q["query_timestamp"], q["srcaddr"], q["query_name"]))
    lines = "".join(json.dumps(query) + "\n" for query in queries)
    (folder / "dns.jsonl").write_text(lines, "utf-8")


def write_cloudtrail(folder: Path, events: list[JsonObject]) -> None:
    """Write CloudTrail events."""
    events = sorted(events, key=lambda event: (event["eventTime"], event["eventID"]))
    (folder / "cloudtrail.json").write_text(json.dumps({"Records": events}), "utf-8")


def write_inventory(folder: Path, network: RandomNetwork) -> None:
    """Write the hosts as describe-network-interfaces prints them."""
    addresses = network.traffic.addresses
    interfaces = [
        {
            "NetworkInterfaceId": bulk.interface(host),
            "PrivateIpAddress": addresses[host],
            "VpcId": "vpc-0",
            "SubnetId": "subnet-0",
            "Status": "in-use",
            "InterfaceType": "interface",
            "OwnerId": str(bulk.ACCOUNT),
            "PrivateIpAddresses": [{"PrivateIpAddress": addresses[host], "Primary": True}],
            "Attachment": {"InstanceId": _instance_id(host), "Status": "attached"},
        }
        for host in network.hosts
    ]
    (folder / "interfaces.json").write_text(json.dumps({"NetworkInterfaces": interfaces}), "utf-8")


def write_cloud_ranges(folder: Path, network: RandomNetwork) -> None:
    """Write AWS's address ranges, with the addresses of agent channels in them."""
    traffic = network.traffic
    channels = {
        traffic.addresses[dst] for _, dst, kind in traffic.pairs() if kind == "agent-channel"
    }
    prefixes = [
        {
            "ip_prefix": f"{address}/32",
            "region": "us-east-1",
            "service": service,
            "network_border_group": "us-east-1",
        }
        for address in sorted(channels)
        for service in ("AMAZON", "SSM")
    ]
    head = {"syncToken": str(network.first), "createDate": "2026-09-01-00-00-00"}
    document = head | {"prefixes": prefixes, "ipv6_prefixes": []}
    (folder / "ip-ranges.json").write_text(json.dumps(document), "utf-8")


def write_countries(folder: Path, usual_prefix: str, new_prefix: str) -> None:
    """Write the country of each /24 network; those of ``new_prefix`` from 192 on are rare."""
    rows = [f"{usual_prefix}.{n}.0/24,{USUAL_COUNTRIES[n % 3]}" for n in range(256)]
    countries = [USUAL_COUNTRIES[n % 3] for n in range(FIRST_RARE_NETWORK)]
    countries += [country for country in RARE_COUNTRIES for _ in range(8)]
    rows += [f"{new_prefix}.{n}.0/24,{country}" for n, country in enumerate(countries)]
    text = "network,country_code\n" + "\n".join(rows) + "\n"
    (folder / "countries.csv").write_text(text, "utf-8")


def _instance_id(host: int) -> str:
    return f"i-{host:017x}"
