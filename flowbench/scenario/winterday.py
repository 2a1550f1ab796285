"""The Winterday scenario: a mining instance in a bank's dev network, and the daily traffic.

Day 1, evening: an attacker with a developer's leaked key creates an IAM user and an access key.
Day 2, night: that user lists resources, launches a large instance in dev and logs in to it by SSH
from the address of its API calls. Twenty minutes after the login the instance begins to mine. It
beacons to a Tor exit every few minutes and attempts connections to databases and file shares, which
are rejected. Day 3, afternoon: the security team stops the instance.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flowbench.scenario import winterday_companions as evidence
from flowbench.scenario import writer
from flowbench.scenario.daily_traffic import DAY, HOUR, DailyTraffic
from flowbench.scenario.network import ACCOUNT, SERVICES, Host, JsonObject, Network, build
from flowbench.scenario.traffic import Connection, FlowLogger, Record
from flowbench.scenario.winterday_api_events import events
from flowbench.scenario.winterday_facts import (
    ATTACKER,
    BEACON_MINUTES,
    BEACON_START,
    DEVELOPER,
    FIRST,
    INSTANCE_STARTED,
    INSTANCE_STOPPED,
    LAST,
    MINER,
    MINING_START,
    POOL,
    POOL_NAMES,
    POOL_PORT,
    ROGUE_KEY,
    ROGUE_USER,
    SEED,
    SESSION_PORT,
    SESSION_START,
    TOR,
    TOR_PORT,
    USER_CREATED,
)
from flowbench.scenario.writer import format_time


def write(out: Path, seed: int = SEED, *, version: int = 5, window: int = 60) -> None:
    """Write ``out``/evidence, and the answers apart from it in ``out``/answers.json.

    Args:
        out: A folder.
        seed: Of all random choices.
        version: Version of the flow log records, one of record_format.FIELD_COUNTS.
        window: Aggregation interval in seconds, one of record_format.INTERVALS.
    """
    seed_text = f"winterday/{seed}"
    initial_network = build()
    network = Network([*initial_network.hosts, MINER])
    logger = FlowLogger(network, FIRST, version=version, interval=window)
    daily = DailyTraffic(initial_network, logger, FIRST, LAST, seed_text)
    rng = random.Random(f"{seed_text}/story")  # the name is part of the seed
    incident = list(_incident(network, logger, rng))
    connections = [*daily.connections(), *incident]
    records = [record for connection in connections for record in logger.records(connection)]
    records += _empty_records(network, logger, records, random.Random(f"{seed_text}/quiet"))
    root = out / "evidence"
    count = writer.write_flow_logs(root, records, seed_text, version=version)
    writer.write_cloudtrail(root, events(network, random.Random(f"{seed_text}/api")))
    pool_lookups = evidence.pool_lookup_times(incident)
    findings = evidence.guardduty_findings(network, connections, pool_lookups)
    evidence.write_guardduty(root, findings)
    rng = random.Random(f"{seed_text}/names")
    evidence.write_dns(root, network, daily.dns_lookups, pool_lookups, rng)
    evidence.write_inventory(root, network)
    evidence.write_feeds(root)
    writer.write_json(out / "answers.json", _answers(network, incident, findings, seed, count))


def _incident(network: Network, logger: FlowLogger, rng: random.Random) -> Iterator[Connection]:
    """Yield the connections of the attacker's instance, kind by kind."""

    def from_miner(responder: str, port: int, at: float, **more: Any) -> Connection:
        source = logger.source_port(MINER.address)
        return Connection(MINER.address, responder, port, source, at, **more)

    mirror = SERVICES["mirror.packages.example.org"]
    yield from_miner(
        mirror, 443, INSTANCE_STARTED + 70, seconds=40, bytes_out=30_000, bytes_in=88_000_000
    )
    yield Connection(
        ATTACKER,
        MINER.address,
        SESSION_PORT,
        51_514,
        SESSION_START,
        700,
        42_000,
        190_000,
        packet_bytes=130,
    )
    for _ in range(500):  # scanners reach a new public address within minutes
        source = f"198.19.{rng.randrange(256)}.{rng.randrange(1, 255)}"
        port, at = (
            rng.choice([22, 23, 80, 443, 3389, 8080]),
            rng.uniform(INSTANCE_STARTED + 60, INSTANCE_STOPPED),
        )
        yield Connection(
            source, MINER.address, port, 40_000 + rng.randrange(900), at, rejected=True
        )
    at, clock = float(MINING_START), FlowLogger(network, FIRST)
    while at < INSTANCE_STOPPED:  # the pool disconnects its clients a few times a day
        length = min(rng.uniform(3.5, 7) * HOUR, INSTANCE_STOPPED - at)
        minutes = length / 60
        yield from_miner(
            POOL,
            POOL_PORT,
            at,
            seconds=length,
            bytes_out=int(minutes * 410),
            bytes_in=int(minutes * 530),
            packet_bytes=130,
        )
        at = clock.next_window(MINER.interface, at + length + rng.uniform(8, 25)) + 1
    scheduled = float(BEACON_START)
    while scheduled < INSTANCE_STOPPED:
        at = scheduled + rng.uniform(-15, 15)
        if at < INSTANCE_STOPPED - 5:
            size = 1_480 + rng.randrange(60)
            yield from_miner(
                TOR, TOR_PORT, at, seconds=3, bytes_out=size, bytes_in=4_100 + rng.randrange(400)
            )
        scheduled += BEACON_MINUTES * 60
    for start in (INSTANCE_STARTED + 3_900, INSTANCE_STARTED + DAY + 9 * HOUR):
        at = float(start)
        for _ in range(4):
            for host, port in _attempted_services(network):
                yield from_miner(host.address, port, at, rejected=True, attempts=3)
                at += rng.uniform(4, 70)


def _attempted_services(network: Network) -> list[tuple[Host, int]]:
    """Return the services it attempted: databases and file shares of dev, a database of prod."""
    mysql, postgres = network.with_role("rds", env="dev")
    shares = network.with_role("efs", env="dev")
    production = network.with_role("rds", env="prod")[0]
    return [
        (mysql, 3306),
        (postgres, 5432),
        *((share, 2049) for share in shares),
        (production, 3306),
    ]


def _empty_records(
    network: Network, logger: FlowLogger, records: list[Record], rng: random.Random
) -> Iterator[Record]:
    """Yield NODATA records for windows without traffic, and a few SKIPDATA records.

    AWS writes NODATA for every such window; here one in fourteen, to keep the files small.
    """
    with_traffic = {tuple(record.text.split(" ", 11)[2:11:8]) for record in records}
    for host in network.hosts:
        begin = logger.window(host.interface, INSTANCE_STARTED + 30 if host is MINER else FIRST) + 1
        end = logger.window(host.interface, INSTANCE_STOPPED if host is MINER else LAST)
        for window in range(begin, end):
            start, _ = logger.bounds(host.interface, window)
            drawn = rng.random()
            if (host.interface, str(start)) not in with_traffic and drawn < 0.07:
                yield logger.empty_record(host, window)
            elif host.role == "alb" and drawn > 0.9998:
                yield logger.empty_record(host, window, skipped=True)


def _answers(
    network: Network,
    incident: list[Connection],
    findings: list[JsonObject],
    seed: int,
    count: int,
) -> JsonObject:
    """Return what happened, for answers.json."""

    def summarize(xs: list[Connection]) -> JsonObject:
        return {
            "first_seen": format_time(xs[0].start),
            "last_seen": format_time(xs[-1].start + xs[-1].seconds),
            "connections": len(xs),
        }

    mining = [x for x in incident if x.responder == POOL]
    beacon = [x for x in incident if x.responder == TOR]
    rejected = [x for x in incident if x.rejected and x.initiator == MINER.address]
    sessions = [x for x in incident if x.initiator == ATTACKER]
    launch = next(
        event
        for event in events(network, random.Random(0))
        if event["eventName"] == "RunInstances"
        and event["userIdentity"].get("userName") == ROGUE_USER
        and "errorCode" not in event
    )
    return {
        "scenario": "winterday",
        "seed": seed,
        "flow_records": count,
        "account": ACCOUNT,
        "instance": MINER.instance,
        "interface": MINER.interface,
        "address": MINER.address,
        "public_address": MINER.public,
        "pool": {
            "address": POOL,
            "port": POOL_PORT,
            "names": list(POOL_NAMES),
            **summarize(mining),
        },
        "tor": {
            "address": TOR,
            "port": TOR_PORT,
            "interval_minutes": BEACON_MINUTES,
            **summarize(beacon),
        },
        "rejected": {
            "services": [
                {"address": h.address, "port": p, "service": h.role, "name": h.name}
                for h, p in _attempted_services(network)
            ],
            **summarize(rejected),
        },
        "session": {
            "address": ATTACKER,
            "port": SESSION_PORT,
            **summarize(sessions),
        },
        "user": {
            "name": ROGUE_USER,
            "arn": f"arn:aws:iam::{ACCOUNT}:user/{ROGUE_USER}",
            "access_key": ROGUE_KEY,
            "created_by": DEVELOPER,
            "created_at": format_time(USER_CREATED),
            "source_address": ATTACKER,
        },
        "run_instances_event": launch["eventID"],
        "started": format_time(INSTANCE_STARTED),
        "stopped": format_time(INSTANCE_STOPPED),
        "guardduty_findings": sorted({f["id"] for f in findings if f["severity"] > 4}),
        "suspicious_but_benign": {
            network[
                "prod-batch-2"
            ].address: "the only client of a licence server, every 30 minutes",
            network["prod-batch-1"].address: "has a session open all day",
            network["dev-devbox-4"].address: "is rejected by a cache that moved",
            network["dev-bastion-1"].address: "has SSH sessions from the office every day",
            network["dev-ci-1"].address: "polls an endpoint every minute",
            SERVICES["cdn.widgets.example.com"]: "was a C2 indicator until 2025-09-30",
        },
        "labels": [
            {
                "src": ATTACKER,
                "dst": MINER.address,
                "label": "malicious",
                "kind": "remote-access",
            },
            {"src": MINER.address, "dst": POOL, "label": "malicious", "kind": "mining"},
            {"src": MINER.address, "dst": TOR, "label": "malicious", "kind": "beacon"},
            *(
                {
                    "src": MINER.address,
                    "dst": h.address,
                    "label": "malicious",
                    "kind": "lateral-movement",
                }
                for h in {h.address: h for h, _ in _attempted_services(network)}.values()
            ),
        ],
    }
