"""The Winterday incident: a rogue user's miner in a bank's dev network, with everything around it.

Day 1, evening: with the leaked key of a developer, somebody makes an IAM user and a key for it.
Day 2, night: that user looks around, starts a large instance in dev, and mines. The instance calls
a Tor exit every few minutes and tries the databases and file shares beside it, which refuse.
Day 3, afternoon: security stops the instance.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flowbench.scenario import winterday_companions as papers
from flowbench.scenario import writer
from flowbench.scenario.daily_traffic import DAY, HOUR, SERVICES, Ordinary
from flowbench.scenario.network import ACCOUNT, Estate, Host, build
from flowbench.scenario.traffic import Exchange, Line, Logger
from flowbench.scenario.winterday_api_events import events
from flowbench.scenario.winterday_facts import (
    ATTACKER,
    CALLING,
    CREATED,
    FIRST,
    LAST,
    LEAKED,
    MINER,
    MINING,
    POOL,
    POOL_NAMES,
    POOL_PORT,
    ROGUE,
    ROGUE_KEY,
    SEED,
    STARTED,
    STOPPED,
    TOR,
    TOR_MINUTES,
    TOR_PORT,
)
from flowbench.scenario.writer import stamp


def write(out: Path, seed: int = SEED) -> None:
    """Write the incident: ``out``/evidence, and ``out``/answers.json which no investigator sees."""
    word = f"winterday/{seed}"
    before = build()
    estate = Estate([*before.hosts, MINER])
    logger = Logger(estate, FIRST)
    ordinary = Ordinary(before, logger, FIRST, LAST, word)
    story = list(_story(estate, logger, random.Random(f"{word}/story")))
    exchanges = [*ordinary.exchanges(), *story]
    lines = [line for exchange in exchanges for line in logger.records(exchange)]
    lines += _quiet(estate, logger, lines, random.Random(f"{word}/quiet"))
    root = out / "evidence"
    count = writer.flow_logs(root, lines, word)
    writer.cloudtrail(root, events(estate, random.Random(f"{word}/api")))
    pool_names = papers.pool_lookups(story)
    alerts = papers.alerts(estate, exchanges, pool_names)
    papers.write_alerts(root, alerts)
    papers.write_names(root, estate, ordinary.looked_up, pool_names, random.Random(f"{word}/names"))
    papers.write_inventory(root, estate)
    papers.write_feeds(root)
    writer.write_json(out / "answers.json", _answers(estate, story, alerts, seed, count))


def _story(estate: Estate, logger: Logger, chance: random.Random) -> Iterator[Exchange]:
    """Everything the rogue instance did on the network, in order of kind."""

    def from_miner(there: str, port: int, at: float, **more: Any) -> Exchange:
        source = logger.source_port(MINER.address)
        return Exchange(MINER.address, there, port, source, at, **more)

    mirror = SERVICES["mirror.packages.example.org"]
    yield from_miner(mirror, 443, STARTED + 70, seconds=40, out=30_000, back=88_000_000)
    yield Exchange(
        ATTACKER, MINER.address, 22, 51_514, STARTED + 240, 700, 42_000, 190_000, packet=130
    )
    for _ in range(500):  # the internet finds every public address within minutes
        source = f"198.19.{chance.randrange(256)}.{chance.randrange(1, 255)}"
        port, at = (
            chance.choice([22, 23, 80, 443, 3389, 8080]),
            chance.uniform(STARTED + 60, STOPPED),
        )
        yield Exchange(
            source, MINER.address, port, 40_000 + chance.randrange(900), at, refused=True
        )
    at = float(MINING)
    while at < STOPPED:  # the pool drops its clients a few times a day
        length = min(chance.uniform(3.5, 7) * HOUR, STOPPED - at)
        minutes = length / 60
        yield from_miner(
            POOL, POOL_PORT, at, seconds=length, out=int(minutes * 410), back=int(minutes * 530),
            packet=130,
        )  # fmt: skip
        at += length + chance.uniform(8, 25)
    beat = float(CALLING)
    while beat < STOPPED:
        at = beat + chance.uniform(-15, 15)
        if at < STOPPED - 5:
            size = 1_480 + chance.randrange(60)
            yield from_miner(
                TOR, TOR_PORT, at, seconds=3, out=size, back=4_100 + chance.randrange(400)
            )
        beat += TOR_MINUTES * 60
    for start in (STARTED + 3_900, STARTED + DAY + 9 * HOUR):
        at = float(start)
        for _ in range(4):
            for host, port in _doors(estate):
                yield from_miner(host.address, port, at, refused=True, syns=3)
                at += chance.uniform(4, 70)


def _doors(estate: Estate) -> list[tuple[Host, int]]:
    """The inside doors that it tried: databases and file shares of dev, a database of prod."""
    mysql, postgres = estate.with_role("rds", env="dev")
    shares = estate.with_role("efs", env="dev")
    production = estate.with_role("rds", env="prod")[0]
    return [
        (mysql, 3306),
        (postgres, 5432),
        *((share, 2049) for share in shares),
        (production, 3306),
    ]


def _quiet(
    estate: Estate, logger: Logger, lines: list[Line], chance: random.Random
) -> Iterator[Line]:
    """NODATA for windows in which an interface saw nothing, and a few SKIPDATA.

    Real logs write NODATA for every silent window; here one in fourteen, to keep the files small.
    """
    busy = {(columns[2], columns[10]) for columns in (line.text.split(" ", 12) for line in lines)}
    for host in estate.hosts:
        begin = logger.window(host.interface, STARTED + 30 if host is MINER else FIRST) + 1
        end = logger.window(host.interface, STOPPED if host is MINER else LAST)
        for window in range(begin, end):
            start, _ = logger.bounds(host.interface, window)
            drawn = chance.random()
            if (host.interface, str(start)) not in busy and drawn < 0.07:
                yield logger.silence(host, window)
            elif host.role == "alb" and drawn > 0.9998:
                yield logger.silence(host, window, skipped=True)


def _answers(
    estate: Estate, story: list[Exchange], alerts: list[dict[str, Any]], seed: int, count: int
) -> dict[str, Any]:
    def span(xs: list[Exchange]) -> dict[str, Any]:
        return {
            "first": stamp(xs[0].start),
            "last": stamp(xs[-1].start + xs[-1].seconds),
            "connections": len(xs),
        }

    mined = [x for x in story if x.responder == POOL]
    called = [x for x in story if x.responder == TOR]
    refused = [x for x in story if x.refused and x.initiator == MINER.address]
    run = next(
        e for e in events(estate, random.Random(0))
        if e["eventName"] == "RunInstances" and e["userIdentity"].get("userName") == ROGUE
        and "errorCode" not in e
    )  # fmt: skip
    return {
        "scenario": "winterday",
        "seed": seed,
        "flow_records": count,
        "account": ACCOUNT,
        "instance": MINER.instance,
        "interface": MINER.interface,
        "address": MINER.address,
        "public_address": MINER.public,
        "pool": {"address": POOL, "port": POOL_PORT, "names": list(POOL_NAMES), **span(mined)},
        "tor": {"address": TOR, "port": TOR_PORT, "period_minutes": TOR_MINUTES, **span(called)},
        "refused": {
            "doors": [
                {"address": h.address, "port": p, "service": h.role, "name": h.name}
                for h, p in _doors(estate)
            ],
            **span(refused),
        },
        "user": {
            "name": ROGUE,
            "arn": f"arn:aws:iam::{ACCOUNT}:user/{ROGUE}",
            "access_key": ROGUE_KEY,
            "created_by": LEAKED,
            "created_at": stamp(CREATED),
            "source_address": ATTACKER,
        },
        "run_instances_event": run["eventID"],
        "started": stamp(STARTED),
        "stopped": stamp(STOPPED),
        "alerts": sorted({a["id"] for a in alerts if a["severity"] > 4}),
        "suspicious_but_benign": {
            estate["prod-batch-2"].address: "alone calls a licence server every 30 minutes",
            estate["prod-batch-1"].address: "keeps a session open all day",
            estate["dev-devbox-4"].address: "is refused at a cache that was moved",
            estate["dev-ci-1"].address: "polls an endpoint every minute",
            SERVICES["cdn.widgets.example.com"]: "was listed as c2 until 2025-09-30",
        },
        "labels": [
            {"src": MINER.address, "dst": POOL, "label": "malicious", "kind": "mining"},
            {"src": MINER.address, "dst": TOR, "label": "malicious", "kind": "beacon"},
            *(
                {
                    "src": MINER.address,
                    "dst": h.address,
                    "label": "malicious",
                    "kind": "lateral-movement",
                }
                for h in {h.address: h for h, _ in _doors(estate)}.values()
            ),
        ],
    }
