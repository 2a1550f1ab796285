"""What everybody else wrote down of the Winterday incident: alerts, names, inventory, feeds."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from flowbench.scenario import companions as say
from flowbench.scenario import writer
from flowbench.scenario.daily_traffic import DAY, HOUR, SERVICES
from flowbench.scenario.network import ACCOUNT, Estate, Host, identifier
from flowbench.scenario.traffic import Exchange
from flowbench.scenario.winterday_facts import (
    FIRST,
    LAST,
    MINER,
    POOL,
    POOL_NAMES,
    STARTED,
    STOPPED,
    TOR,
)
from flowbench.scenario.writer import stamp


def pool_lookups(story: list[Exchange]) -> list[float]:
    """When the rogue instance asked for the pool's name: two seconds before each session but one.

    Before the fourth the pool itself had said where to go on (stratum's client.reconnect names an
    address), so nothing was asked: a connection with no look-up is normal.
    """
    starts = [x.start for x in story if x.responder == POOL]
    return [at - 2 for place, at in enumerate(starts) if place != 3]


def alerts(
    estate: Estate, exchanges: list[Exchange], pool_names: list[float]
) -> list[dict[str, Any]]:
    """The findings, an update of one included, with times and ports as the exchanges have them."""
    story = [x for x in exchanges if x.initiator == MINER.address]
    mined = [x for x in story if x.responder == POOL]
    called = [x for x in story if x.responder == TOR]
    half = FIRST + 2 * DAY

    def about(
        kind: str, xs: list[Exchange], until: float, count: int, title: str
    ) -> dict[str, Any]:
        seen = [x for x in xs if x.start <= until]
        action = say.connection_action(MINER, xs[0].responder, xs[0].port, xs[0].source_port)
        last = min(until, seen[-1].start + seen[-1].seconds)
        return say.alert(
            MINER, kind, 8.0, xs[0].start, last, count, action, updated=until + 600, title=title,
            lists=("Winterday custom list",), role_="ACTOR",
        )  # fmt: skip

    asked = [at for at in pool_names if at <= half]
    name = say.alert(
        MINER, "CryptoCurrency:EC2/BitcoinTool.B!DNS", 8.0, asked[0], asked[-1], len(asked),
        {"actionType": "DNS_REQUEST",
         "dnsRequestAction": {"domain": POOL_NAMES[0], "protocol": "UDP", "blocked": False}},
        updated=half + 600, title="The instance looked up the name of a mining pool.",
        role_="ACTOR",
    )  # fmt: skip
    bastion = estate["dev-bastion-1"]
    probes = sorted(
        (x.start, x.initiator)
        for x in exchanges
        if (x.responder, x.port, x.answered) == (bastion.address, 22, False)
        and x.start <= FIRST + 30 * HOUR
    )
    probe = {
        "actionType": "PORT_PROBE",
        "portProbeAction": {
            "blocked": False,
            "portProbeDetails": [{
                "localPortDetails": {"port": 22, "portName": "SSH"},
                "localIpDetails": {"ipAddressV4": bastion.address},
                "remoteIpDetails": {"ipAddressV4": source},
            } for source in dict.fromkeys(source for _, source in probes)],
        },
    }  # fmt: skip
    pool_title = "The instance communicates with a mining pool."
    tor_title = "The instance communicates with a Tor entry or exit node."
    return [
        about("CryptoCurrency:EC2/BitcoinTool.B", mined, STARTED + 3 * HOUR, 2, pool_title),
        about("CryptoCurrency:EC2/BitcoinTool.B", mined, STOPPED, 9, pool_title),
        about("UnauthorizedAccess:EC2/TorClient", called, STOPPED, 31, tor_title),
        name,
        say.alert(bastion, "Recon:EC2/PortProbeUnprotectedPort", 2.0, probes[0][0],
                  probes[-1][0], len(probes), probe, updated=FIRST + 31 * HOUR,
                  title="An unprotected port is being probed."),
    ]  # fmt: skip


def write_alerts(root: Path, alerts: list[dict[str, Any]]) -> None:
    """The S3 export with both updates of one finding; the newest of two as get-findings prints."""
    folder = root / f"AWSLogs/{ACCOUNT}/GuardDuty/us-east-1/2026/09/03"
    text = "".join(json.dumps(one, separators=(",", ":")) + "\n" for one in alerts[:4])
    writer.pack(folder / f"{say.event_id('guardduty export')}.jsonl.gz", text)
    writer.write_json(
        root / "guardduty" / "get-findings.json",
        {"Findings": [say.pascal(one) for one in alerts[3:]]},
    )


def write_names(
    root: Path,
    estate: Estate,
    looked_up: list[tuple[float, Host, str]],
    pool_names: list[float],
    chance: random.Random,
) -> None:
    """The resolver query logs of both VPCs: ordinary look-ups, a few failed ones, the miner's."""
    rows = [say.query(at, host, name, [SERVICES[name]]) for at, host, name in looked_up]
    rows += [
        say.query(chance.uniform(FIRST, LAST), host, "old-db.internal.example", [], "NXDOMAIN")
        for host in estate.with_role("app", "devbox")
        for _ in range(6)
    ]
    rows.append(say.query(STARTED + 69, MINER, "mirror.packages.example.org",
                          [SERVICES["mirror.packages.example.org"]]))  # fmt: skip
    rows += [say.query(at, MINER, POOL_NAMES[0], [POOL]) for at in pool_names]
    for vpc in ("prod", "dev"):
        vpc_id = identifier("vpc", vpc)
        writer.resolver(root, vpc_id, [row for row in rows if row["vpc_id"] == vpc_id])


def write_inventory(root: Path, estate: Estate) -> None:
    """The interfaces as they were while the instance ran."""
    described = [
        host.describe(
            stamp(STARTED if host is MINER else FIRST - 40 * DAY, "%Y-%m-%dT%H:%M:%S+00:00")
        )
        for host in estate.hosts
    ]
    described.sort(key=lambda one: one["NetworkInterfaceId"])
    writer.write_json(
        root / "inventory" / "describe-network-interfaces.json", {"NetworkInterfaces": described}
    )


def write_feeds(root: Path) -> None:
    """Two plain lists and a CSV, with an entry that has expired."""
    folder = root / "feeds"
    chance = random.Random("feeds")
    others = sorted({f"192.0.2.{chance.randrange(215, 255)}" for _ in range(25)})
    head = "# feed: {}\n# kind: {}\n# confidence: {}\n# valid_from: {}\n"
    writer.write_text(
        folder / "tor-exits.txt",
        head.format("tor-exits", "tor", 95, "2026-08-20T00:00:00Z")
        + "\n".join(sorted([*others, TOR]))
        + "\n",
    )
    writer.write_text(
        folder / "mining-pools.txt",
        head.format("mining-pools", "mining", 90, "2026-06-01T00:00:00Z")
        + "\n".join(
            [POOL, "198.51.100.78", "198.51.100.79", POOL_NAMES[1], "frostbyte-pool.example"]
        )
        + "\n",
    )
    rows = [
        ("198.51.100.90", "c2", 80, "2026-07-01", "2026-12-01", "never contacted here"),
        # An address that was bad a year ago and is a web service that developers use today.
        (SERVICES["cdn.widgets.example.com"], "c2", 75, "2025-02-01", "2025-09-30", "taken down"),
        ("198.19.44.0/24", "scanner", 60, "2026-08-01", "", "scans the internet for research"),
    ]
    lines = ["indicator,kind,feed,confidence,valid_from,valid_until,description"]
    lines += [
        f"{what},{kind},winterday-intel,{sure},{begin}T00:00:00Z,"
        f"{f'{end}T00:00:00Z' if end else ''},{text}"
        for what, kind, sure, begin, end, text in rows
    ]
    writer.write_text(folder / "indicators.csv", "\n".join(lines) + "\n")
