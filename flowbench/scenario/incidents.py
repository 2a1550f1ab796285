"""Generated incidents with labels, for measuring detectors: beacons, miners, scans and others.

Each pair of addresses with a connection has a label: malicious (the incident), background (internet
scans) or benign (the rest), and a kind. ``incident_settings`` has the parameters.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from flowbench.scenario import bulk
from flowbench.scenario.background import add_background
from flowbench.scenario.bulk import ANSWERED, REJECTED, UNANSWERED, Traffic
from flowbench.scenario.incident_settings import SETTINGS
from flowbench.scenario.network import JsonObject
from flowbench.scenario.random_network import HOUR, RandomNetwork, add_hosts

FIRST = 1_788_220_800  # 2026-09-01 00:00:00 UTC
WINDOWS = (60, 600)


def write(out: Path, seed: int, *, settings: str = "development", window: int = 60) -> int:
    """Write an incident's flow logs, labels.csv and answers.json, and return the record count.

    Records have TCP flags and direction for odd seeds, version 2 alone for even ones; they have the
    times of their windows for two seeds of three, else those of their packets. The same seed gives
    the same bytes, and the same connections with another window.

    Args:
        out: The folder; it is created.
        seed: Of all random choices.
        settings: A name in ``SETTINGS``.
        window: The length of the capture windows in seconds, 60 or 600.

    Raises:
        KeyError: There are no such settings.
    """
    parameters = SETTINGS[settings]
    rng = np.random.default_rng([seed, sorted(SETTINGS).index(settings)])
    traffic = Traffic(rng)
    network = RandomNetwork(parameters, rng, traffic, FIRST, int(rng.choice(parameters.days)))
    add_hosts(network)
    add_background(network)
    planted = [*_beacons(network), *_miners(network), *_exfiltrations(network)]
    planted += [*_scans(network), *_brute_forces(network)]
    out.mkdir(parents=True, exist_ok=True)
    count = bulk.write(
        traffic,
        out,
        first=FIRST,
        last=FIRST + network.span,
        window=window,
        flags=seed % 2 == 1,
        window_times=seed % 3 != 2,
    )
    write_labels(traffic, planted, out / "labels.csv")
    answers = {
        "scenario": f"incidents, {settings}",
        "seed": seed,
        "window": window,
        "days": network.days,
        "flow_records": count,
        "planted": planted,
    }
    text = json.dumps(answers, indent=1) + "\n"
    (out / "answers.json").write_text(text, encoding="utf-8")
    return count


def _to_fact(
    network: RandomNetwork, kind: str, src: int, peers: Iterable[int], **more: Any
) -> JsonObject:
    names = network.traffic.addresses
    return {"kind": kind, "src": names[src], "dst": sorted({names[p] for p in peers}), **more}


def _beacons(network: RandomNetwork) -> Iterable[JsonObject]:
    settings = network.settings
    for _ in range(network.draw_count(settings.beacons)):
        period = 60 * float(np.exp(network.rng.uniform(*np.log(settings.beacon_minutes))))
        jitter, how = network.draw(settings.jitter), str(network.rng.choice(settings.jitter_kinds))
        hours = min(network.draw(settings.beacon_hours), 24 * network.days)
        begin = FIRST + network.rng.uniform(0, 24 * network.days - hours) * HOUR
        peer, port = network.external_address(), int(network.rng.choice(settings.beacon_ports))
        for host in network.pick(network.hosts[4:], int(network.rng.choice([1, 1, 1, 2]))):
            count = int(hours * HOUR / period)
            if how == "grid":
                at = (
                    np.arange(count) * period
                    + network.rng.uniform(-0.5, 0.5, count) * jitter * period
                )
            else:
                shortest = 1 - jitter
                longest = 1 + jitter if how == "sleep" else 1
                at = np.cumsum(network.rng.uniform(shortest, longest, count)) * period
            at = at[at < hours * HOUR]
            out = network.sizes(network.draw((300, 2_000)), len(at), 0.1)
            has_task = network.rng.random(len(at)) < 0.03
            network.traffic.add(
                "beacon",
                host,
                peer,
                port,
                begin + at,
                np.where(has_task, out * 20, out),
                network.sizes(900, len(at), 0.1),
            )
            more = {"minutes": round(period / 60, 2), "jitter": round(jitter, 3), "how": how}
            yield _to_fact(network, "beacon", host, [peer], port=port, **more)


def _miners(network: RandomNetwork) -> Iterable[JsonObject]:
    settings = network.settings
    for _ in range(network.draw_count(settings.miners)):
        (host,) = network.pick(network.hosts[4:])
        peer, port = network.external_address(), int(network.rng.choice(settings.mining_ports))
        hours = min(network.draw(settings.mining_hours), 24 * network.days - 1)
        begin = FIRST + network.rng.uniform(0, 24 * network.days - hours) * HOUR
        cuts = (
            np.sort(network.rng.uniform(0, hours, network.draw_count((0, 2)))) * HOUR
        )  # the session is interrupted
        starts = np.concatenate([[0], cuts + 20])
        seconds = np.concatenate([cuts, [hours * HOUR]]) - starts
        kept = seconds > 60
        rate, ratio = network.draw(settings.mining_bytes), network.draw(settings.mining_ratio)
        network.traffic.add(
            "mining",
            host,
            peer,
            port,
            begin + starts[kept],
            seconds=seconds[kept],
            bytes_out=seconds[kept] / 60 * rate,
            bytes_in=seconds[kept] / 60 * rate * ratio,
            message_rate=network.draw(settings.mining_messages),
            packet=(120, 160),
        )
        more = {"hours": round(hours, 1), "out": round(rate), "ratio": round(ratio, 2)}
        yield _to_fact(network, "mining", host, [peer], port=port, **more)


def _exfiltrations(network: RandomNetwork) -> Iterable[JsonObject]:
    settings = network.settings
    traffic, internal = network.traffic.columns(), np.asarray(network.traffic.internal)
    src, dst = traffic["src"], traffic["dst"]
    bytes_left = np.bincount(src, traffic["bytes_out"] * ~internal[dst], len(internal))
    bytes_left += np.bincount(dst, traffic["bytes_in"] * ~internal[src], len(internal))
    for _ in range(network.draw_count(settings.exfiltrations)):
        (host,) = network.pick(network.data + network.workstations)
        usual = max(bytes_left[host] / network.days, 1e6)
        size = usual * network.draw(settings.exfiltration_days)
        slowly = network.days == 3 and network.rng.random() < 0.5
        at: np.ndarray
        if slowly:
            at = np.sort(network.rng.uniform(0, network.span - HOUR, network.draw_count((12, 60))))
        else:
            at = (
                network.rng.uniform(0.3, 0.9) * network.span
                + np.arange(network.draw_count((1, 6))) * 400.0
            )
        peer, port = (
            network.external_address(),
            int(network.rng.choice(settings.exfiltration_ports)),
        )
        shares = network.rng.dirichlet(np.full(len(at), 20.0))
        network.traffic.add(
            "exfiltration",
            host,
            peer,
            port,
            FIRST + at,
            seconds=network.draw((60, 390)),
            bytes_out=size * shares,
            bytes_in=size * shares * 0.01,
            packet=(1_400, 60),
        )
        more = {"bytes": int(size), "usual_day": int(usual), "slowly": bool(slowly)}
        yield _to_fact(network, "exfiltration", host, [peer], port=port, **more)


def _scans(network: RandomNetwork) -> Iterable[JsonObject]:
    settings = network.settings
    kinds = ["scan-internal"] * network.draw_count(settings.internal_scans) + [
        "scan-inbound"
    ] * network.draw_count(settings.inbound_scans)
    for kind in kinds:
        host = (
            network.pick(network.hosts[4:])[0]
            if kind == "scan-internal"
            else network.external_address()
        )
        others = [other for other in network.hosts if other != host]
        if network.rng.random() < 0.5:  # many hosts, few ports
            hosts = network.pick(others, network.draw_count(settings.scan_targets))
            ports = network.rng.choice(
                [22, 445, 3389, 5432, 6379, 8080], network.draw_count((1, 3)), replace=False
            )
        else:  # few hosts, many ports
            hosts = network.pick(others, network.draw_count((1, 3)))
            ports = network.rng.choice(
                np.arange(1, 10_000), network.draw_count(settings.scan_ports), replace=False
            )
        dst, port = (a.ravel() for a in np.meshgrid(hosts, ports))
        order = network.rng.permutation(len(dst))
        dst, port = dst[order], port[order]
        seconds = network.draw(settings.scan_minutes) * 60
        begin = FIRST + network.rng.uniform(0, network.span - seconds - HOUR)
        at = begin + np.sort(network.rng.uniform(0, seconds, len(dst)))
        is_open = network.rng.random(len(dst)) < 0.05
        state = np.where(
            is_open, ANSWERED, network.rng.choice([REJECTED, UNANSWERED], len(dst), p=[0.8, 0.2])
        )
        network.traffic.add(
            kind,
            host,
            dst,
            port,
            at,
            seconds=0,
            bytes_out=np.where(is_open, 104, 60),
            bytes_in=60,
            state=state,
            packet=(60, 60),
        )
        yield _to_fact(network, kind, host, hosts, ports=len(ports), seconds=round(seconds))


def _brute_forces(network: RandomNetwork) -> Iterable[JsonObject]:
    settings = network.settings
    for _ in range(network.draw_count(settings.brute_forces)):
        source = (
            network.external_address()
            if network.rng.random() < 0.6
            else network.pick(network.workstations)[0]
        )
        targets = [
            target
            for target in network.pick(network.hosts[4:], network.draw_count((1, 4)))
            if target != source
        ]
        port = int(network.rng.choice(settings.brute_ports))
        attempts, gap = (
            network.draw_count(settings.brute_attempts),
            network.draw(settings.brute_gap),
        )
        gap = min(gap, (network.span - 2 * HOUR) / attempts)
        begin = FIRST + network.rng.uniform(0, network.span - HOUR - attempts * gap)
        size, back = network.draw((1_200, 3_000)), network.draw((1_500, 4_000))
        for target in targets:
            at = begin + np.cumsum(network.rng.exponential(gap, attempts))
            network.traffic.add(
                "brute-force",
                source,
                target,
                port,
                at,
                seconds=network.draw((1, 4)),
                bytes_out=network.sizes(size, attempts, 0.08),
                bytes_in=network.sizes(back, attempts, 0.08),
                packet=(150, 180),
            )
        more = {"attempts": attempts, "gap": round(gap, 1)}
        yield _to_fact(network, "brute-force", source, targets, port=port, **more)


def write_labels(traffic: Traffic, planted: list[JsonObject], path: Path) -> None:
    """Write the label and kind of each pair of addresses with a connection."""
    malicious = {fact["kind"] for fact in planted}
    names = traffic.addresses
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(["src", "dst", "label", "kind"])
        for src, dst, kind in traffic.pairs():
            label = (
                "malicious" if kind in malicious else "background" if kind == "noise" else "benign"
            )
            lines.writerow([names[src], names[dst], label, kind])
