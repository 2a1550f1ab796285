"""The evidence of the Winterday scenario beside its flow logs and CloudTrail."""

from __future__ import annotations

import json
import random
from pathlib import Path

from flowbench.scenario import cloudtrail, guardduty, resolver, writer
from flowbench.scenario.daily_traffic import DAY, HOUR
from flowbench.scenario.network import ACCOUNT, SERVICES, Host, JsonObject, Network, make_id
from flowbench.scenario.traffic import Connection
from flowbench.scenario.winterday_facts import (
    FIRST,
    INSTANCE_STARTED,
    INSTANCE_STOPPED,
    LAST,
    MINER,
    POOL,
    POOL_NAMES,
    TOR,
)
from flowbench.scenario.writer import format_time


def pool_lookup_times(incident: list[Connection]) -> list[float]:
    """Return when the instance resolved the pool's name: before each session but the fourth.

    There the pool had named the address itself (stratum's client.reconnect): a connection without
    a look-up is normal.
    """
    starts = [x.start for x in incident if x.responder == POOL]
    return [at - 2 for i, at in enumerate(starts) if i != 3]


def guardduty_findings(
    network: Network, connections: list[Connection], pool_lookups: list[float]
) -> list[JsonObject]:
    """Return the findings, one of them with an update; they agree with the connections."""
    incident = [x for x in connections if x.initiator == MINER.address]
    mining = [x for x in incident if x.responder == POOL]
    beacon = [x for x in incident if x.responder == TOR]
    half = FIRST + 2 * DAY

    def finding(
        kind: str, xs: list[Connection], until: float, count: int, title: str
    ) -> JsonObject:
        reported = [x for x in xs if x.start <= until]
        action = guardduty.connection_action(MINER, xs[0].responder, xs[0].port, xs[0].source_port)
        last = min(until, reported[-1].start + reported[-1].seconds)
        return guardduty.guardduty_finding(
            MINER,
            kind,
            8.0,
            xs[0].start,
            last,
            count,
            action,
            updated=until + 600,
            title=title,
            lists=("Winterday custom list",),
            resource_role="ACTOR",
        )

    lookups = [at for at in pool_lookups if at <= half]
    dns_finding = guardduty.guardduty_finding(
        MINER,
        "CryptoCurrency:EC2/BitcoinTool.B!DNS",
        8.0,
        lookups[0],
        lookups[-1],
        len(lookups),
        {
            "actionType": "DNS_REQUEST",
            "dnsRequestAction": {"domain": POOL_NAMES[0], "protocol": "UDP", "blocked": False},
        },
        updated=half + 600,
        title="The instance looked up the name of a mining pool.",
        resource_role="ACTOR",
    )
    bastion = network["dev-bastion-1"]
    probes = sorted(
        (x.start, x.initiator)
        for x in connections
        if (x.responder, x.port, x.answered) == (bastion.address, 22, False)
        and x.start <= FIRST + 30 * HOUR
    )
    probe = {
        "actionType": "PORT_PROBE",
        "portProbeAction": {
            "blocked": False,
            "portProbeDetails": [
                {
                    "localPortDetails": {"port": 22, "portName": "SSH"},
                    "localIpDetails": {"ipAddressV4": bastion.address},
                    "remoteIpDetails": {"ipAddressV4": source},
                }
                for source in dict.fromkeys(source for _, source in probes)
            ],
        },
    }
    pool_title = "The instance communicates with a mining pool."
    tor_title = "The instance communicates with a Tor entry or exit node."
    return [
        finding(
            "CryptoCurrency:EC2/BitcoinTool.B", mining, INSTANCE_STARTED + 3 * HOUR, 2, pool_title
        ),
        finding("CryptoCurrency:EC2/BitcoinTool.B", mining, INSTANCE_STOPPED, 9, pool_title),
        finding("UnauthorizedAccess:EC2/TorClient", beacon, INSTANCE_STOPPED, 31, tor_title),
        dns_finding,
        guardduty.guardduty_finding(
            bastion,
            "Recon:EC2/PortProbeUnprotectedPort",
            2.0,
            probes[0][0],
            probes[-1][0],
            len(probes),
            probe,
            updated=FIRST + 31 * HOUR,
            title="An unprotected port is being probed.",
        ),
    ]


def write_guardduty(root: Path, findings: list[JsonObject]) -> None:
    """Write four findings as an S3 export, the newest two as get-findings prints them."""
    folder = root / f"AWSLogs/{ACCOUNT}/GuardDuty/us-east-1/2026/09/03"
    text = "".join(json.dumps(finding, separators=(",", ":")) + "\n" for finding in findings[:4])
    writer.write_gzip(folder / f"{cloudtrail.event_id('guardduty export')}.jsonl.gz", text)
    writer.write_json(
        root / "guardduty" / "get-findings.json",
        {"Findings": [guardduty.capitalize_keys(finding) for finding in findings[3:]]},
    )


def write_dns(
    root: Path,
    network: Network,
    lookups: list[tuple[float, Host, str]],
    pool_lookups: list[float],
    rng: random.Random,
) -> None:
    """Write the Resolver query logs of both VPCs: daily look-ups, failed ones, the incident's."""
    rows = [resolver.query(at, host, name, [SERVICES[name]]) for at, host, name in lookups]
    rows += [
        resolver.query(rng.uniform(FIRST, LAST), host, "old-db.internal.example", [], "NXDOMAIN")
        for host in network.with_role("app", "devbox")
        for _ in range(6)
    ]
    rows.append(
        resolver.query(
            INSTANCE_STARTED + 69,
            MINER,
            "mirror.packages.example.org",
            [SERVICES["mirror.packages.example.org"]],
        )
    )
    rows += [resolver.query(at, MINER, POOL_NAMES[0], [POOL]) for at in pool_lookups]
    for vpc in ("prod", "dev"):
        vpc_id = make_id("vpc", vpc)
        writer.write_resolver_logs(root, vpc_id, [row for row in rows if row["vpc_id"] == vpc_id])


def write_inventory(root: Path, network: Network) -> None:
    """Write the inventory of interfaces while the instance ran."""
    described = [
        host.describe(
            format_time(
                INSTANCE_STARTED if host is MINER else FIRST - 40 * DAY, "%Y-%m-%dT%H:%M:%S+00:00"
            )
        )
        for host in network.hosts
    ]
    described.sort(key=lambda interface: interface["NetworkInterfaceId"])
    writer.write_json(
        root / "inventory" / "describe-network-interfaces.json", {"NetworkInterfaces": described}
    )


def write_feeds(root: Path) -> None:
    """Write two plain lists and a CSV of indicators, one of which has expired."""
    folder = root / "feeds"
    rng = random.Random("feeds")
    others = sorted({f"192.0.2.{rng.randrange(215, 255)}" for _ in range(25)})
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
        # A C2 address of a year ago, which is now a web service that developers use.
        (SERVICES["cdn.widgets.example.com"], "c2", 75, "2025-02-01", "2025-09-30", "taken down"),
        ("198.19.44.0/24", "scanner", 60, "2026-08-01", "", "scans the internet for research"),
    ]
    lines = ["indicator,kind,feed,confidence,valid_from,valid_until,description"]
    lines += [
        f"{indicator},{kind},winterday-intel,{confidence},{begin}T00:00:00Z,"
        f"{f'{end}T00:00:00Z' if end else ''},{text}"
        for indicator, kind, confidence, begin, end, text in rows
    ]
    writer.write_text(folder / "indicators.csv", "\n".join(lines) + "\n")
