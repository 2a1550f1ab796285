"""DNS queries and API events of generated intrusions, beside their flow logs.

Malicious: a tunnel in the names of a domain, look-ups of generated domains, and an operator who
calls the AWS API from the address of the session. Ordinary: names of services, per-host names of a
telemetry service and a content network, search suffixes, dead domains that a crawler meets,
employees who call the API from the office, instances that call it with their roles.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from flowbench.scenario import bulk, cloudtrail
from flowbench.scenario.network import JsonObject
from flowbench.scenario.random_network import HOUR, RandomNetwork
from flowbench.scenario.writer import format_time

_LETTERS = np.array(list("abcdefghijklmnopqrstuvwxyz"))
_WORDS = "river market stone window paper garden silver summer bridge candle forest winter".split()
_NAT, _OFFICE, _CLI = "192.0.2.53", "office-session", "aws-cli/2.27.0"
_OPERATOR_CALLS: tuple[tuple[str, str, JsonObject | None, bool], ...] = (
    ("sts", "GetCallerIdentity", None, True),
    ("ec2", "DescribeInstances", None, True),
    ("iam", "CreateAccessKey", {"userName": "alice"}, False),
    ("cloudtrail", "StopLogging", {"name": "trail"}, False),
)
_TOP = ("example", "test", "invalid")  # reserved, and looked up as if they were public


class DnsLog:
    """The Resolver query log of a network, and random names for it."""

    def __init__(self, network: RandomNetwork, vpc: str, seed: tuple[int, int]) -> None:
        self.network, self.vpc = network, vpc
        self.rng = np.random.default_rng([*seed, 23])
        self.rows: list[JsonObject] = []

    def letters(self, count: int) -> str:
        """Return random letters."""
        return "".join(self.rng.choice(_LETTERS, count))

    def add(
        self,
        host: int,
        time: float,
        name: str,
        answer: str | None = "192.0.2.200",
        kind: str = "A",
    ) -> None:
        """Add a query and its answer; without one the name does not exist."""
        answers = [{"Rdata": answer, "Type": kind, "Class": "IN"}] if answer else []
        self.rows.append(
            {
                "version": "1.100000",
                "account_id": str(bulk.ACCOUNT),
                "region": "us-east-1",
                "vpc_id": self.vpc,
                "query_timestamp": format_time(time),
                "query_name": f"{name}.",
                "query_type": kind,
                "query_class": "IN",
                "rcode": "NOERROR" if answer else "NXDOMAIN",
                "answers": answers,
                "srcaddr": self.network.traffic.addresses[host],
                "srcport": str(int(self.rng.integers(1_024, 65_000))),
                "transport": "UDP",
                "srcids": {"instance": f"i-{host:017x}"},
            }
        )

    def write(self, path: Path) -> None:
        """Write the queries as JSON lines, in the order of time."""
        rows = sorted(
            self.rows, key=lambda q: (q["query_timestamp"], q["srcaddr"], q["query_name"])
        )
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def add_ordinary_queries(log: DnsLog) -> None:
    """Add the queries of ordinary software."""
    network, rng = log.network, log.rng
    names = [f"{part}.vendor{n}.example" for n in range(12) for part in ("api", "cdn", "login")]
    telemetry = network.hosts[4:20]
    for host in network.hosts[4:]:
        device = log.letters(16)
        for time in _times(network, rng, 60):
            log.add(host, time, str(rng.choice(names)))
        for time in _times(network, rng, 8):  # a search suffix that does not apply
            log.add(host, time, f"{rng.choice(names)}.corp.vendor0.example", None)
        for time in _times(network, rng, 12):
            log.add(host, time, f"d{log.letters(13)}.cloudfront.net")
        for time in _times(network, rng, 12 if host in telemetry else 0):
            log.add(host, time, f"{device}.{rng.integers(1, 9)}.metrics.telemetry.example")
    crawler = network.app[0]
    for time in _times(network, rng, 200):
        is_dead = rng.random() < 0.2
        name = f"{rng.choice(_WORDS)}-{rng.choice(_WORDS)}{rng.integers(90)}.example"
        log.add(crawler, time, name, None if is_dead else "192.0.2.201")


def add_tunnel(log: DnsLog, host: int, length: tuple[float, float]) -> JsonObject:
    """Add a tunnel: data in base 32 below one domain, the answers in TXT, CNAME or A records."""
    network, rng = log.network, log.rng
    domain, kind = f"{log.letters(9)}.example", str(rng.choice(["TXT", "CNAME", "A"]))
    hours, count = rng.uniform(1, 12), int(rng.uniform(*length))
    begin = network.first + rng.uniform(HOUR, network.span - (hours + 1) * HOUR)
    size = int(rng.integers(15, 90))
    for time in begin + np.sort(rng.uniform(0, hours * HOUR, count)):
        data = base64.b32encode(rng.bytes(size)).decode().rstrip("=").lower()
        labels = ".".join(data[i : i + 60] for i in range(0, len(data), 60))
        answer = {"TXT": f'"{log.letters(60)}"', "CNAME": f"{log.letters(20)}.{domain}."}
        log.add(host, time, f"{labels}.{domain}", answer.get(kind, "192.0.2.7"), kind)
    return _fact(network, "dns-tunnel", host, domain=domain, queries=count, name_bytes=size)


def add_generated_domains(log: DnsLog, host: int) -> JsonObject:
    """Add bursts of look-ups of generated domains, of letters or of words, few of which exist."""
    network, rng = log.network, log.rng
    of_words, bursts = bool(rng.random() < 0.3), int(rng.integers(1, 5))
    count = int(rng.integers(25, 250))
    for begin in network.first + rng.uniform(HOUR, network.span - 2 * HOUR, bursts):
        for time in begin + np.sort(rng.uniform(0, 1_500, count)):
            name = log.letters(int(rng.integers(8, 20)))
            if of_words:
                name = f"{rng.choice(_WORDS)}{rng.choice(_WORDS)}{rng.choice(_WORDS)}"
            answer = "192.0.2.8" if rng.random() < 0.01 else None
            log.add(host, time, f"{name}.{rng.choice(_TOP)}", answer)
    return _fact(network, "dga", host, domains=count, bursts=bursts, words=of_words)


def write_api_events(
    out: Path, network: RandomNetwork, operator: str, began: float, seed: tuple[int, int]
) -> JsonObject:
    """Write ordinary API events and those of an operator, and return the fact.

    Args:
        out: The folder.
        network: The network.
        operator: The external address of the operator's session.
        began: Its start, in epoch seconds; the operator calls the API shortly before.
        seed: Of the random choices.
    """
    events = [*_ordinary_events(network, np.random.default_rng([*seed, 29]))]
    identity = cloudtrail.user("deploy", "AKIAEXAMPLEDEPLOY000")
    for i, (service, name, request, read_only) in enumerate(_OPERATOR_CALLS):
        time = began - 1_800 + 200 * i
        events.append(
            cloudtrail.event(
                time, identity, service, name, operator, _CLI, request, read_only=read_only
            )
        )
    events.sort(key=lambda event: (event["eventTime"], event["eventID"]))
    (out / "cloudtrail.json").write_text(json.dumps({"Records": events}), "utf-8")
    changes = [name for _service, name, _request, read_only in _OPERATOR_CALLS if not read_only]
    return {"kind": "api-abuse", "src": "deploy", "dst": [], "events": changes}


def _ordinary_events(network: RandomNetwork, rng: np.random.Generator) -> Iterator[JsonObject]:
    """Yield the calls of instances through a NAT gateway, and of employees in the office."""
    names = network.traffic.addresses
    office = next(names[src] for src, _dst, kind in network.traffic.pairs() if kind == _OFFICE)
    for host in network.hosts[4:14]:
        identity = cloudtrail.role("app", f"i-{host:017x}", network.first)
        for time in _times(network, rng, 6):
            yield cloudtrail.event(time, identity, "sts", "GetCallerIdentity", _NAT, "aws-sdk")
    for name in ("alice", "bob", "deploy"):
        identity = cloudtrail.user(name, f"AKIAEXAMPLE{name.upper():0<9}")
        for time in _times(network, rng, 20):
            call = str(rng.choice(["DescribeInstances", "DescribeVpcs", "DescribeSubnets"]))
            yield cloudtrail.event(time, identity, "ec2", call, office, _CLI)


def _times(network: RandomNetwork, rng: np.random.Generator, per_day: float) -> list[float]:
    count = rng.poisson(per_day * network.days)
    return list(network.first + np.sort(rng.uniform(0, network.span, count)))


def _fact(network: RandomNetwork, kind: str, host: int, **details: object) -> JsonObject:
    return {"kind": kind, "src": network.traffic.addresses[host], "dst": [], **details}
