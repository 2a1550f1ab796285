"""Resolver query log records of small invented look-ups, and names that look like data."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

BASE32, HEX = "abcdefghijklmnopqrstuvwxyz234567", "0123456789abcdef"
CLIENT, OTHER = "10.0.0.5", "10.0.0.6"


def dns_query(
    at: float,
    name: str,
    *,
    host: str = CLIENT,
    kind: str = "A",
    rcode: str = "NOERROR",
    answers: Iterable[tuple[str, str]] = (),
    **more: Any,
) -> dict[str, Any]:
    """Return a query log record; ``answers`` are record types and their data."""
    return {
        "version": "1.100000",
        "account_id": "111122223333",
        "region": "us-east-1",
        "vpc_id": "vpc-1",
        "query_timestamp": datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "query_name": f"{name}.",
        "query_type": kind,
        "query_class": "IN",
        "rcode": rcode,
        "answers": [{"Rdata": data, "Type": type_, "Class": "IN"} for type_, data in answers],
        "srcaddr": host,
        "srcport": "43210",
        "transport": "UDP",
        "srcids": {},
    } | more


def data_labels(count: int, length: int, alphabet: str = BASE32, *, seed: int = 1) -> list[str]:
    """Return labels that encode random data: ``length`` characters, in labels of at most 60."""
    rng = random.Random(seed)
    texts = ("".join(rng.choices(alphabet, k=length)) for _ in range(count))
    return [".".join(text[i : i + 60] for i in range(0, length, 60)) for text in texts]
