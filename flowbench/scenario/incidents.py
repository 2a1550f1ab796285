"""Random labelled incidents to measure detectors with: estates by seed, with known answers.

Two sets of parameters. DEVELOPMENT is what detectors are made and tuned on; JUDGED is what they are
measured on, and differs in more than its seeds: larger and differently addressed estates, other
periods and shares of agents, services spread over more addresses, and incidents drawn from other
distributions and ports. Nobody tunes on JUDGED.

Every pair of addresses that ever talks is labelled: malicious (what was planted), background (the
internet's noise) or benign (all else, under the name of what it is).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from flowbench.scenario import bulk
from flowbench.scenario.background import HOUR, Estate, Settings, build, fill
from flowbench.scenario.bulk import ANSWERED, REFUSED, SILENT, Talks

FIRST = 1_788_220_800  # 2026-09-01 00:00:00 UTC
WINDOWS = (60, 600)

DEVELOPMENT = Settings(
    net="10.20",
    world="198.18",
    hosts=(25, 40),
    days=(1, 2, 3),
    agents=(3, 5),
    agent_minutes=(4, 15),
    agent_share=(0.3, 1.0),
    pool=(1, 4),
    own_services=(0, 0, 1),
    browsing=(8, 20),
    noise=(1_500, 3_000),
    probes=(1, 3),
    beacons=(3, 5),
    beacon_minutes=(2, 60),
    beacon_hours=(24, 72),
    jitter=(0.0, 0.3),
    jitter_kinds=("grid", "sleep"),
    beacon_ports=(443, 80, 8080),
    miners=(1, 2),
    mining_hours=(4, 30),
    mining_bytes=(100, 600),
    mining_ratio=(0.7, 2.0),
    mining_lumps=(3, 10),
    mining_ports=(443, 3333, 14444),
    exfiltrations=(1, 2),
    exfiltration_days=(5, 20),
    exfiltration_ports=(443, 22),
    scans_inside=(1, 2),
    scans_inbound=(1, 2),
    scan_targets=(12, 40),
    scan_ports=(15, 200),
    scan_minutes=(1, 60),
    brute_forces=(1, 2),
    brute_attempts=(100, 1_500),
    brute_gap=(1, 20),
    brute_ports=(22, 3389),
)

JUDGED = replace(
    DEVELOPMENT,
    net="172.21",
    world="198.19",
    hosts=(30, 55),
    days=(1, 3),
    agents=(2, 7),
    agent_minutes=(2, 30),
    agent_share=(0.15, 0.9),
    pool=(1, 8),
    own_services=(0, 0, 0, 1),
    browsing=(5, 25),
    noise=(2_000, 4_000),
    probes=(1, 4),
    beacons=(3, 6),
    jitter_kinds=("grid", "sleep", "early"),
    beacon_ports=(443, 80, 8443, 53, 4443),
    mining_hours=(3, 40),
    mining_bytes=(100, 1_000),
    mining_ratio=(0.5, 2.0),
    mining_lumps=(2, 14),
    mining_ports=(443, 80, 4444, 5555, 45700, 20535),
    exfiltrations=(1, 3),
    exfiltration_days=(5, 40),
    exfiltration_ports=(443, 22, 21, 8443),
    scan_targets=(15, 60),
    scan_ports=(15, 1_000),
    scan_minutes=(0.2, 600),
    brute_attempts=(60, 3_000),
    brute_gap=(0.3, 45),
    brute_ports=(22, 3389, 21, 5900),
)

SETS = {"development": DEVELOPMENT, "judged": JUDGED}


def write(out: Path, seed: int, *, settings: str = "development", window: int = 60) -> int:
    """Write an incident's flow logs, labels.csv and answers.json into ``out``.

    ``settings`` is a name in SETS, ``window`` the length of the capture windows in seconds (60 or
    600). Records are of version 2 alone for every other seed, else with flags and direction; their
    times are those of the windows for two seeds of three, else of the packets. The same seed gives
    the same bytes, and with another window the same talks. Returns the number of records.

    Raises KeyError for a name that is not in SETS.
    """
    chosen = SETS[settings]
    rng = np.random.default_rng([seed, sorted(SETS).index(settings)])
    talks = Talks(rng)
    estate = Estate(chosen, rng, talks, FIRST, int(rng.choice(chosen.days)))
    build(estate)
    fill(estate)
    planted = [*_beacons(estate), *_miners(estate), *_exfiltrations(estate)]
    planted += [*_scans(estate), *_brute_forces(estate)]
    out.mkdir(parents=True, exist_ok=True)
    count = bulk.write(
        talks, out, first=FIRST, last=FIRST + estate.span, window=window, flags=seed % 2 == 1,
        whole=seed % 3 != 2,
    )  # fmt: skip
    labels(talks, planted, out / "labels.csv")
    answers = {
        "scenario": f"incidents, {settings}", "seed": seed, "window": window, "days": estate.days,
        "flow_records": count, "planted": planted,
    }  # fmt: skip
    text = json.dumps(answers, indent=1) + "\n"
    (out / "answers.json").write_text(text, encoding="utf-8")
    return count


def _named(e: Estate, kind: str, src: int, peers: Iterable[int], **more: Any) -> dict[str, Any]:
    names = e.talks.addresses
    return {"kind": kind, "src": names[src], "dst": sorted({names[p] for p in peers}), **more}


def _beacons(e: Estate) -> Iterable[dict[str, Any]]:
    s = e.settings
    for _ in range(e.count(s.beacons)):
        period = 60 * float(np.exp(e.rng.uniform(*np.log(s.beacon_minutes))))
        jitter, how = e.between(s.jitter), str(e.rng.choice(s.jitter_kinds))
        hours = min(e.between(s.beacon_hours), 24 * e.days)
        begin = FIRST + e.rng.uniform(0, 24 * e.days - hours) * HOUR
        peer, port = e.outside(), int(e.rng.choice(s.beacon_ports))
        for host in e.pick(e.hosts[4:], int(e.rng.choice([1, 1, 1, 2]))):
            count = int(hours * HOUR / period)
            if how == "grid":
                at = np.arange(count) * period + e.rng.uniform(-0.5, 0.5, count) * jitter * period
            else:
                least = 1 - jitter
                most = 1 + jitter if how == "sleep" else 1
                at = np.cumsum(e.rng.uniform(least, most, count)) * period
            at = at[at < hours * HOUR]
            out = e.sizes(e.between((300, 2_000)), len(at), 0.1)
            tasked = e.rng.random(len(at)) < 0.03
            e.talks.add(
                "beacon", host, peer, port, begin + at, out=np.where(tasked, out * 20, out),
                back=e.sizes(900, len(at), 0.1),
            )  # fmt: skip
            more = {"minutes": round(period / 60, 2), "jitter": round(jitter, 3), "how": how}
            yield _named(e, "beacon", host, [peer], port=port, **more)


def _miners(e: Estate) -> Iterable[dict[str, Any]]:
    s = e.settings
    for _ in range(e.count(s.miners)):
        (host,) = e.pick(e.hosts[4:])
        peer, port = e.outside(), int(e.rng.choice(s.mining_ports))
        hours = min(e.between(s.mining_hours), 24 * e.days - 1)
        begin = FIRST + e.rng.uniform(0, 24 * e.days - hours) * HOUR
        cuts = np.sort(e.rng.uniform(0, hours, e.count((0, 2)))) * HOUR  # the session drops
        starts = np.concatenate([[0], cuts + 20])
        seconds = np.concatenate([cuts, [hours * HOUR]]) - starts
        kept = seconds > 60
        rate, ratio = e.between(s.mining_bytes), e.between(s.mining_ratio)
        e.talks.add(
            "mining", host, peer, port, begin + starts[kept], seconds=seconds[kept],
            out=seconds[kept] / 60 * rate, back=seconds[kept] / 60 * rate * ratio,
            lumps=e.between(s.mining_lumps), packet=(120, 160),
        )  # fmt: skip
        more = {"hours": round(hours, 1), "out": round(rate), "ratio": round(ratio, 2)}
        yield _named(e, "mining", host, [peer], port=port, **more)


def _exfiltrations(e: Estate) -> Iterable[dict[str, Any]]:
    s = e.settings
    c, inside = e.talks.columns(), np.asarray(e.talks.inside)
    left = np.bincount(c["src"], c["out"] * ~inside[c["dst"]], len(inside)) + np.bincount(
        c["dst"], c["back"] * ~inside[c["src"]], len(inside)
    )
    for _ in range(e.count(s.exfiltrations)):
        (host,) = e.pick(e.data + e.desks)
        usual = max(left[host] / e.days, 1e6)
        size = usual * e.between(s.exfiltration_days)
        slowly = e.days == 3 and e.rng.random() < 0.5
        at: np.ndarray
        if slowly:
            at = np.sort(e.rng.uniform(0, e.span - HOUR, e.count((12, 60))))
        else:
            at = e.rng.uniform(0.3, 0.9) * e.span + np.arange(e.count((1, 6))) * 400.0
        peer, port = e.outside(), int(e.rng.choice(s.exfiltration_ports))
        shares = e.rng.dirichlet(np.full(len(at), 20.0))
        e.talks.add(
            "exfiltration", host, peer, port, FIRST + at, seconds=e.between((60, 390)),
            out=size * shares, back=size * shares * 0.01, packet=(1_400, 60),
        )  # fmt: skip
        more = {"bytes": int(size), "usual_day": int(usual), "slowly": bool(slowly)}
        yield _named(e, "exfiltration", host, [peer], port=port, **more)


def _scans(e: Estate) -> Iterable[dict[str, Any]]:
    s = e.settings
    ways = ["scan-inside"] * e.count(s.scans_inside) + ["scan-inbound"] * e.count(s.scans_inbound)
    for kind in ways:
        host = e.pick(e.hosts[4:])[0] if kind == "scan-inside" else e.outside()
        others = [one for one in e.hosts if one != host]
        if e.rng.random() < 0.5:  # many hosts, few ports
            hosts = e.pick(others, e.count(s.scan_targets))
            ports = e.rng.choice([22, 445, 3389, 5432, 6379, 8080], e.count((1, 3)), replace=False)
        else:  # few hosts, many ports
            hosts = e.pick(others, e.count((1, 3)))
            ports = e.rng.choice(np.arange(1, 10_000), e.count(s.scan_ports), replace=False)
        dst, port = (a.ravel() for a in np.meshgrid(hosts, ports))
        order = e.rng.permutation(len(dst))
        dst, port = dst[order], port[order]
        seconds = e.between(s.scan_minutes) * 60
        begin = FIRST + e.rng.uniform(0, e.span - seconds - HOUR)
        at = begin + np.sort(e.rng.uniform(0, seconds, len(dst)))
        open_here = e.rng.random(len(dst)) < 0.05
        state = np.where(
            open_here, ANSWERED, e.rng.choice([REFUSED, SILENT], len(dst), p=[0.8, 0.2])
        )
        e.talks.add(
            kind, host, dst, port, at, seconds=0, out=np.where(open_here, 104, 60), back=60,
            state=state, packet=(60, 60),
        )  # fmt: skip
        yield _named(e, kind, host, hosts, ports=len(ports), seconds=round(seconds))


def _brute_forces(e: Estate) -> Iterable[dict[str, Any]]:
    s = e.settings
    for _ in range(e.count(s.brute_forces)):
        source = e.outside() if e.rng.random() < 0.6 else e.pick(e.desks)[0]
        targets = [one for one in e.pick(e.hosts[4:], e.count((1, 4))) if one != source]
        port = int(e.rng.choice(s.brute_ports))
        attempts, gap = e.count(s.brute_attempts), e.between(s.brute_gap)
        gap = min(gap, (e.span - 2 * HOUR) / attempts)
        begin = FIRST + e.rng.uniform(0, e.span - HOUR - attempts * gap)
        size, back = e.between((1_200, 3_000)), e.between((1_500, 4_000))
        for target in targets:
            at = begin + np.cumsum(e.rng.exponential(gap, attempts))
            e.talks.add(
                "brute-force", source, target, port, at, seconds=e.between((1, 4)),
                out=e.sizes(size, attempts, 0.08), back=e.sizes(back, attempts, 0.08),
                packet=(150, 180),
            )  # fmt: skip
        more = {"attempts": attempts, "gap": round(gap, 1)}
        yield _named(e, "brute-force", source, targets, port=port, **more)


def labels(talks: Talks, planted: list[dict[str, Any]], path: Path) -> None:
    """Write who talks to whom, and what each pair is: malicious (planted), background, benign."""
    bad = {fact["kind"] for fact in planted}
    names = talks.addresses
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(["src", "dst", "label", "kind"])
        for src, dst, kind in talks.pairs():
            label = "malicious" if kind in bad else "background" if kind == "noise" else "benign"
            lines.writerow([names[src], names[dst], label, kind])
