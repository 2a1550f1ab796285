"""A small intrusion: one host opens administrative sessions to others that have findings too."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from flowbench.case import Case
from flowbench.detect import Finding
from tests.detect.examples import example_finding
from tests.traffic import T0, Record, connect, interface, make_case

FIRST, SECOND, THIRD = "10.0.0.5", "10.0.0.6", "10.0.0.7"
PEER = "203.0.113.5"
HOUR = 3600


def at(seconds: int) -> pd.Timestamp:
    return pd.Timestamp(T0 + seconds, unit="s", tz="UTC")


def session(source: str, target: str, port: int, seconds: int, **more: Any) -> list[Record]:
    """Return the records of a session that is longer than a login."""
    given = {"packets": 40, "interface_id": f"eni-{source[-1]}"} | more
    return list(connect(source, target, port, T0 + seconds, **given))


def finding(
    subject: str, seconds: int, peers: Iterable[str] = ("203.0.113.99",), **more: Any
) -> Finding:
    given = {"first_seen": at(seconds), "last_seen": at(seconds + HOUR)} | more
    return example_finding(list(peers), subject=subject, **given)


def linked_case(
    folder: Path, records: Iterable[Record], events: Iterable[dict[str, Any]] = ()
) -> Case:
    hosts = {"5": FIRST, "6": SECOND, "7": THIRD}
    interfaces = [
        interface(
            host,
            name,
            Attachment={"InstanceId": f"i-{name * 8}", "AttachTime": at(-HOUR).isoformat()},
            VpcId="vpc-1",
        )
        for name, host in hosts.items()
    ]
    lines = [json.loads(json.dumps(event)) for event in events]
    return make_case(folder, records, interfaces=interfaces, json_lines=lines)
