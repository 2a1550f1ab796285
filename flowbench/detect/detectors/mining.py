"""Mining: does a host hold the long, thin, steady sessions of a mining pool client?

Question: which inside hosts keep long connections to an outside address that exchange little,
evenly and in both directions, on a pool's port or with a listed pool?

Method: behaviour of the stratum protocol as described for flow data (a line a few times a minute
each way for hours: 100 to 1,000 bytes a minute, in and out near balance, no bursts); the thresholds
are this project's, set by measurement (benchmarks/detection.md). Parts in 0 to 1: length (full at
4 h), thinness, balance, steadiness (1 - coefficient of variation of the bytes sent in ten minutes:
in one minute chance rules), place (listed pool 1, pool port 0.8, other port 0.4); weights 0.15,
0.2, 0.2, 0.25, 0.2. Packets must carry something: a session that is only kept alive has none larger
than ``smallest``. On other ports than a pool's, what ``shared_by`` hosts call is a service.

Severity: high for a listed pool or a pool's port, medium for a port of no known use, low for one
where long sessions are common.

Fires falsely: chat, push notifications and remote shells that happen to be even. Cannot see: a
proxy that gathers many miners, mining for less than half an hour, a pool on a web port that several
hosts mine at and no list names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ibis
import pandas as pd
import pyarrow as pa
from ibis import _

from flowbench.detect.detector import Detector
from flowbench.detect.finding import Finding, Traffic, make_finding
from flowbench.detect.indicators import match_peers
from flowbench.engine import seconds
from flowbench.enrich.ports import label
from flowbench.schema import to_frame
from flowbench.text import format_bytes, format_count, format_duration

if TYPE_CHECKING:
    from flowbench.case import Case

# Ports that public pools offer, web ports aside: supportxmr, hashvault, nanopool, MoneroOcean and
# NiceHash miners' public configurations.
POOL_PORTS = frozenset(
    {3333, 4444, 5555, 6666, 7777, 8888, 9999, 14433, 14444, 45560, 45700, 20128}
    | set(range(3334, 3341))
    | set(range(10300, 10344))
    | {10001, 10002, 10004, 10008, 10016, 10032, 10064, 10128}
)
_LONG_SESSIONS = (22, 80, 443, 1883, 3389, 5222, 5228, 8443, 8883)  # shells, web, push and chat
_SLOT = 600  # seconds
_TCP = 6
_PAIR = ["initiator", "responder", "service_port", "protocol"]

_WEIGHTS = {"length": 0.15, "thinness": 0.2, "balance": 0.2, "steadiness": 0.25, "place": 0.2}


DETECTOR = Detector(
    id="mining",
    title="Sessions like a mining pool client's",
    question="Which hosts hold the long, thin, steady sessions of a miner?",
    technique="T1496.001",
    needs=frozenset(
        {"srcaddr", "dstaddr", "srcport", "dstport", "protocol", "bytes", "start", "end"}
    ),
)


def find(
    case: Case,
    *,
    shortest: float = 1_800,
    thin: tuple[float, float] = (30, 3_000),
    smallest: float = 80,
    shared_by: int = 4,
    steady: float = 0.62,
    score: float = 0.72,
) -> list[Finding]:
    """One finding per inside host, outside peer and port.

    ``shortest``: seconds that a connection must last to count. ``thin``: bytes a minute, each way,
    between which an exchange is a miner's. ``smallest``: bytes of a packet, on the average of the
    direction that has more. ``shared_by``: hosts. ``steady``: the least steadiness (0 to 1) where
    neither list nor port speaks for a pool. ``score``: the least total (0 to 1).
    """
    c = case.connections
    lasted = seconds(c["last_seen"]) - seconds(c.first_seen)
    long = c.mutate(seconds=lasted).filter(
        c.direction == "outbound",
        ~c.intermediate,
        c.protocol == _TCP,
        c.answered,
        lasted >= shortest,
    )
    candidates = (
        long.group_by(_PAIR)
        .aggregate(
            first_seen=_.first_seen.min(),
            last_seen=_.last_seen.max(),
            connections=_.count(),
            seconds=_.seconds.sum(),
            bytes_out=_.bytes_out.sum(),
            bytes_in=_.bytes_in.sum(),
            packets_out=_.packets_out.sum(),
            packets_in=_.packets_in.sum(),
        )
        .filter(
            (_.bytes_out >= smallest * _.packets_out) | (_.bytes_in >= smallest * _.packets_in),
            # Ten times outside the range, no other part can make a finding of it.
            _.bytes_out / _.seconds * 60 < thin[1] * 10,
            _.bytes_in / _.seconds * 60 < thin[1] * 10,
        )
    )
    rows = to_frame(candidates.order_by(_PAIR).to_pyarrow())
    lists = match_peers(case, rows["responder"])
    pools = {
        key: ", ".join(sorted(set(group["indicator"])))
        for key, group in lists[lists["kind"] == "mining"].groupby(
            ["subject", "peer", "service_port"]
        )
    }
    names = [pools.get(key) for key in rows[_PAIR[:3]].itertuples(index=False, name=None)]
    rows["name"] = pd.Series(names, index=rows.index, dtype=object)
    # However steady they were, the others would not do: their records need not be read.
    best = [(row, _rate(row, 0.0, thin)) for row in rows.to_dict("records")]
    best = [(row, parts) for row, parts in best if parts["score"] >= score]
    elsewhere = {row["responder"] for row, parts in best if parts["place"] <= 0.5}
    common = _called_by(case.connection_summaries, elsewhere, shared_by)
    able = [row for row, parts in best if parts["place"] > 0.5 or row["responder"] not in common]
    if not able:
        return []
    unsteady = _unsteadiness(case.flows, able)
    found = []
    for row in able:
        parts = _rate(row, unsteady.get(tuple(row[name] for name in _PAIR), 1.0), thin)
        placed = parts["place"] > 0.5
        if parts["score"] >= score and (placed or parts["steadiness"] >= steady):
            found.append(_finding(row, parts, row["name"]))
    return found


def _called_by(p: ibis.Table, responders: set[str], hosts: int) -> set[str]:
    """Which of these outside addresses so many hosts call, or more."""
    if not responders:
        return set()
    wanted = ibis.memtable({"responder": pa.array(sorted(responders), pa.string())})
    calls = p.filter(p.direction == "outbound").semi_join(wanted, "responder")
    many_hosts = calls.group_by("responder").having(_.initiator.nunique() >= hosts).aggregate()
    return set(many_hosts.to_pyarrow()["responder"].to_pylist())


def _rate(row: dict[str, Any], unsteadiness: float, thin: tuple[float, float]) -> dict[str, float]:
    minutes = row["seconds"] / 60
    out, back = row["bytes_out"] / minutes, row["bytes_in"] / minutes
    fits = [min(1.0, rate / thin[0], thin[1] / rate) if rate else 0.0 for rate in (out, back)]
    place = 1.0 if row["name"] else 0.8 if row["service_port"] in POOL_PORTS else 0.4
    parts = {
        "length": min(1.0, row["seconds"] / (4 * 3600)),
        "thinness": min(fits),
        "balance": min(1.0, 2 * min(out, back) / max(out, back)) if out and back else 0.0,
        "steadiness": max(0.0, 1 - unsteadiness),
        "place": place,
    }
    total = sum(_WEIGHTS[name] * value for name, value in parts.items())
    return parts | {"score": total, "out": out, "back": back}


def _unsteadiness(flows: ibis.Table, rows: list[dict[str, Any]]) -> dict[tuple[Any, ...], float]:
    """Coefficient of variation of the bytes that the initiator sent in ten minutes, by pair.

    Ten minutes in which it sent nothing count, as far as its connections lasted; the first and the
    last do not, which are as short as chance has it.
    """
    columns = {name: [row[name] for row in rows] for name in [*_PAIR, "seconds"]}
    wanted = ibis.memtable(pa.table(columns))
    responders = ibis.memtable({"responder": sorted(set(columns["responder"]))})
    f = flows.filter(flows.protocol == _TCP)
    # A column alone against few addresses spares the engine most of the others; coalesced it
    # would read them all.
    sent, rest = (
        some.select(
            "interface_id",
            "bytes",
            "protocol",
            initiator=some.pkt_srcaddr.coalesce(some.srcaddr),
            responder=some[responder],
            service_port=some.dstport,
            slot=seconds(some.start) // _SLOT,
        ).semi_join(responders, "responder")
        for some, responder in ((f, "pkt_dstaddr"), (f.filter(f.pkt_dstaddr.isnull()), "dstaddr"))
    )
    sent = sent.union(rest).semi_join(wanted, _PAIR)
    # Logged at two interfaces (a gateway's too): the one that saw most.
    seen = sent.group_by(*_PAIR, "slot", "interface_id").aggregate(sum=sent.bytes.sum())
    slots = seen.group_by(*_PAIR, "slot").aggregate(sum=seen["sum"].max().cast("float64"))
    ends = ibis.window(group_by=_PAIR)
    slots = slots.mutate(first=slots.slot.min().over(ends), last=slots.slot.max().over(ends))
    inner = slots.filter((slots.slot > slots["first"]) & (slots.slot < slots["last"]))
    sums = inner.group_by(_PAIR).aggregate(
        count=inner.count(), total=inner["sum"].sum(), squares=(inner["sum"] ** 2).sum()
    )
    found = {}
    for row in sums.join(wanted, _PAIR).to_pandas().to_dict("records"):
        count = max(row["count"], row["seconds"] / _SLOT - 2)
        mean = row["total"] / count
        spread = max(0.0, row["squares"] / count - mean**2) ** 0.5
        found[tuple(row[name] for name in _PAIR)] = spread / mean if mean else 1.0
    return found


def _finding(row: dict[str, Any], parts: dict[str, float], name: str | None) -> Finding:
    quiet = "low" if row["service_port"] in _LONG_SESSIONS else "medium"
    severity = "high" if parts["place"] > 0.5 else quiet
    known = f"listed as a mining pool ({name})" if name else "on no list"
    port = label(row["service_port"], row["protocol"])
    usual = (
        "a port that pools offer" if row["service_port"] in POOL_PORTS else "no pool's usual port"
    )
    why = (
        f"{row['initiator']} held {format_count(row['connections'], 'connection')} to"
        f" {row['responder']} on {port} ({usual}; {known}) for {format_duration(row['seconds'])}"
        f" in all,"
        f" sending {parts['out']:.0f} and receiving {parts['back']:.0f} bytes a minute"
        f" ({format_bytes(row['bytes_out'])} out, {format_bytes(row['bytes_in'])} in; length"
        f" {parts['length']:.2f}, thinness {parts['thinness']:.2f}, balance {parts['balance']:.2f},"
        f" steadiness {parts['steadiness']:.2f})."
    )
    caveats = "The shape fits any quiet session that is kept alive; the logs hold no payload."
    sums = ("first_seen", "last_seen", "connections", "bytes_out", "bytes_in")
    return make_finding(
        DETECTOR,
        row["initiator"],
        [row["responder"]],
        Traffic((row["service_port"],), row["protocol"], *(row[name] for name in sums)),
        severity=severity,
        score=parts["score"],
        scores={name: parts[name] for name in _WEIGHTS},
        summary=why,
        caveats=caveats,
    )
