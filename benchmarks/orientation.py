"""Initiator rules on difficult traffic: how often each is wrong, and on what.

    python benchmarks/orientation.py [--seed N]

Winterday, which connections.py measures, is easy: its services have known ports, its clients
ephemeral ones. Here each difficult kind of connection is equally frequent, so that the shares do
not describe a real network, but the errors do. The generator knows the initiators.

The records are written with flags and without (version 2), complete, incomplete (every other record
is lost) and one-sided (only one direction is logged, as where request and reply cross different
transit gateway interfaces).

Prints two tables: the rules in their order, with the share that each decides and how much of it is
wrong; and the errors for each kind of connection, all rules together.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import ibis
import pandas as pd

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.connections import with_both_ends
from flowbench.connections.initiator import choose_initiator

FIRST = 1_788_220_800  # 2026-09-01 00:00:00 UTC
RULES = ("flags", "ports", "rejected", "one-way", "higher-port", "internal", "order")
EACH = 300  # connections of a kind
V2 = (
    "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start"
    " end action log-status"
)

Port = Callable[[random.Random], int]


def between(low: int, high: int) -> Port:
    """Return a function that draws a port from low to high."""
    return lambda rng: rng.randint(low, high)


def one_of(*ports: int) -> Port:
    """Return a function that draws one of the ports."""
    return lambda rng: rng.choice(ports)


LINUX, WINDOWS = between(32_768, 60_999), between(49_152, 65_535)
ANY = between(1_024, 65_535)  # NAT gateways, carriers' NAT, masscan
RESERVED = between(665, 1_023)  # nfs(5): what Linux gives to NFS clients
KNOWN = one_of(22, 53, 80, 443, 3306, 3389, 5432, 6379, 8080, 8443, 9092)
UNLISTED = one_of(1883, 5044, 6000, 7000, 7946, 8125, 8200, 8500, 9100, 15_672, 25_565, 26_257)
NODE = between(30_000, 32_767)  # Kubernetes NodePort
IN, OUT = "10.0", "198.18"


@dataclass(frozen=True)
class Kind:
    """A kind of connection: ports and networks of client and server, and the outcome."""

    name: str
    client: Port
    server: Port | None  # None: the client's own
    here: str = IN
    there: str = IN
    protocol: int = 6
    state: str = "answered"  # or rejected, unanswered


KINDS = (
    Kind("known port from an ephemeral one", LINUX, KNOWN),
    Kind("known port from any port", ANY, KNOWN, here=OUT),
    Kind("unlisted port from an ephemeral one", LINUX, UNLISTED),
    Kind("unlisted port from any port", ANY, UNLISTED, here=OUT),
    Kind("NodePort from an ephemeral one", LINUX, NODE),
    Kind("NodePort from any port", ANY, NODE, here=OUT),
    Kind("Windows RPC (49152 and up, both)", WINDOWS, WINDOWS),
    Kind("passive FTP", LINUX, ANY, there=OUT),
    Kind("peer to peer, UDP", ANY, ANY, there=OUT, protocol=17),
    Kind("WireGuard (51820) from an ephemeral one", LINUX, one_of(51_820), protocol=17),
    Kind("NFS from a reserved port", RESERVED, one_of(2049, 20_048)),
    Kind("rsh from a reserved port", between(512, 1_023), one_of(514)),
    Kind("equal ports, external (NTP, IKE)", one_of(123, 500, 4500), None, there=OUT,
         protocol=17),
    Kind("equal ports, internal", one_of(137, 123, 7946), None, protocol=17),
    Kind("unanswered metrics, UDP", LINUX, one_of(8125, 6343, 2055), protocol=17,
         state="unanswered"),
    Kind("scan of all ports, rejected", LINUX, between(1, 65_535), here=OUT, state="rejected"),
    Kind("scan of all ports, masscan, rejected", ANY, between(1, 65_535), here=OUT,
         state="rejected"),
    Kind("scan of all ports, unanswered", LINUX, between(1, 65_535), here=OUT, state="unanswered"),
    Kind("scan of all ports, answered by RST", LINUX, between(1, 65_535), here=OUT),
    Kind("SIP scan (5060 to 5060), rejected", one_of(5060), None, here=OUT, protocol=17,
         state="rejected"),
    Kind("SIP scan (5060 to 5060), unanswered", one_of(5060), None, here=OUT, protocol=17,
         state="unanswered"),
    Kind("scan from port 53 or 80, rejected", one_of(53, 80), between(1_024, 65_535), here=OUT,
         state="rejected"),
)  # fmt: skip


@dataclass(frozen=True)
class Log:
    """A way of logging: its fields, and which records are lost."""

    name: str
    flags: bool
    kept: str  # complete, incomplete, one-sided


LOGS = tuple(
    Log(f"{'v3' if flags else 'v2'} {kept}", flags, kept)
    for flags in (False, True)
    for kept in ("complete", "incomplete", "one-sided")
)


def main() -> None:
    """Measure, and print the tables as Markdown."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seed", type=int, default=1)
    seed = options.parse_args().seed
    frames = {log.name: measure(log, seed) for log in LOGS}
    print("In their order: share decided, share wrong\n")
    _print({name: _in_order(frame) for name, frame in frames.items()})
    print("\nShare wrong of each kind\n")
    _print({name: _by_kind(frame) for name, frame in frames.items()})


def measure(log: Log, seed: int) -> pd.DataFrame:
    """Return a row per connection: kind, the deciding rule, and whether it was wrong."""
    lines, truth = [], {}
    rng = random.Random(seed)
    for number, kind in enumerate(KINDS):
        for n in range(EACH):
            here, there = (f"{net}.{number}.{n % 200 + 1}" for net in (kind.here, kind.there))
            if kind.here == kind.there:
                there = f"{kind.there}.{number + 100}.{rng.randrange(1, 250)}"
                if rng.random() < 0.5:  # the order of the addresses must not matter
                    here, there = there, here
            port = kind.client(rng)
            to = port if kind.server is None else kind.server(rng)
            ends = frozenset(((here, port), (there, to)))
            if len(ends) < 2 or ends in truth:
                continue
            truth[ends] = (kind.name, here, port)
            records = list(_records(kind, (here, port), (there, to), log.flags, rng))
            if log.kept == "incomplete":
                records = [record for record in records if rng.random() < 0.5]
            elif log.kept == "one-sided":
                way = rng.choice((True, False))
                records = [record for record in records if record[0] is way]
            lines += [text for _, text in records]
    return _decided(lines, log.flags, truth)


def _records(
    kind: Kind, client: tuple[str, int], server: tuple[str, int], flags: bool, rng: random.Random
) -> Iterator[tuple[bool, str]]:
    """Yield an internal interface's records of a connection: (is from the client, text)."""
    start = FIRST + 60 * rng.randrange(1_000)
    windows = rng.choice((1, 1, 1, 3)) if kind.state == "answered" else 1
    internal = server if kind.there == IN else client
    action = "REJECT" if kind.state == "rejected" else "ACCEPT"
    for window in range(windows):
        for out in (True, False) if kind.state == "answered" else (True,):
            (src, sport), (dst, dport) = (client, server) if out else (server, client)
            size = rng.randint(60, 9_000)
            begin = start + 60 * window
            words = [2, 111122223333, f"eni-{internal[0]}", src, dst, sport, dport]
            words += [kind.protocol, 5, size, begin, begin + 59, action, "OK"]
            if flags:
                opens = kind.protocol == 6 and window == 0
                words.append((2 if out else 18) if opens else 0)
            yield out, " ".join(map(str, words))


def _decided(
    lines: list[str], flags: bool, truth: dict[frozenset[tuple[str, int]], tuple[str, str, int]]
) -> pd.DataFrame:
    def apply_rules(rows: ibis.Table) -> dict[str, ibis.Value]:
        return dict(zip(("low_opened", "rule"), choose_initiator(rows), strict=True))

    frame = with_both_ends([f"{V2} tcp-flags" if flags else V2, *lines], apply_rules)
    judgements = []
    for r in frame.itertuples():
        low, high = (r.low_address, r.low_port), (r.high_address, r.high_port)
        kind, *opener = truth[frozenset((low, high))]
        judgements.append((kind, r.rule, r.low_opened != (tuple(opener) == low)))
    return pd.DataFrame(judgements, columns=["kind", "rule", "wrong"])


def _in_order(frame: pd.DataFrame) -> dict[str, str]:
    """Return, for each rule, the share that it decides and how much of it is wrong."""
    found = {}
    for name in RULES:
        decided = frame[frame["rule"] == name]
        if len(decided):
            found[name] = f"{len(decided) / len(frame):.1%}, {decided['wrong'].mean():.1%}"
    return found | {"all": f"{1:.0%}, {frame['wrong'].mean():.1%}"}


def _by_kind(frame: pd.DataFrame) -> dict[str, str]:
    shares = frame.groupby("kind")["wrong"].mean()
    return {kind.name: f"{shares[kind.name]:.0%}" for kind in KINDS if kind.name in shares}


def _print(columns: dict[str, dict[str, str]]) -> None:
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    print(f"| | {' | '.join(columns)} |")
    print("|---|" + "---|" * len(columns))
    for name in names:
        print(f"| {name} | {' | '.join(column.get(name, '–') for column in columns.values())} |")


if __name__ == "__main__":
    main()
