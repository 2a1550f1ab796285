"""Route 53 Resolver query log records as AWS writes them."""

from __future__ import annotations

import hashlib

from flowbench.scenario.network import ACCOUNT, REGION, Host, JsonObject
from flowbench.scenario.writer import format_time


def query(
    at: float, host: Host, name: str, answers: list[str], rcode: str = "NOERROR"
) -> JsonObject:
    """Return a Resolver query log record."""
    digits = int(hashlib.sha256(f"{at}{name}{host.name}".encode()).hexdigest()[:6], 16)
    return {
        "version": "1.100000",
        "account_id": ACCOUNT,
        "region": REGION,
        "vpc_id": host.vpc_id,
        "query_timestamp": format_time(at),
        "query_name": name + ".",
        "query_type": "A",
        "query_class": "IN",
        "rcode": rcode,
        "answers": [{"Rdata": address, "Type": "A", "Class": "IN"} for address in answers],
        "srcaddr": host.address,
        "srcport": str(1_024 + digits % 60_000),
        "transport": "UDP",
        "srcids": {"instance": host.instance} if host.instance else {},
    }
