"""Mining: does a host hold the long, thin, steady sessions of a mining pool client?

Question: which inside hosts keep long connections to an outside address that exchange little,
evenly and in both directions, on a pool's port or with a listed pool?

Method: behaviour of the stratum protocol as described for flow data (a line a few times a minute
each way for hours: hundreds of bytes a minute, in and out near balance, no bursts); the thresholds
are this project's, to be judged by measurement. Parts in 0 to 1: length (full at 4 h), thinness,
balance, steadiness (1 - coefficient of variation of bytes a window), place (listed pool 1, pool
port 0.8, other port 0.2); weights 0.15, 0.2, 0.15, 0.2, 0.3.

Fires falsely: chat, push notifications and remote shells on a pool's port. Cannot see: pools on 443
without a list or name (reported low if nothing else calls them), a proxy that gathers many miners,
mining for less than half an hour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
from ibis import _

from flowbench.detect.base import detector, finding, many, port_name, spell, volume
from flowbench.schema import to_frame

if TYPE_CHECKING:
    import ibis

    from flowbench.case import Case

# Ports that public pools offer, web ports aside: supportxmr, hashvault, nanopool, MoneroOcean and
# NiceHash miners' public configurations.
POOL_PORTS = frozenset(
    {3333, 4444, 5555, 6666, 7777, 8888, 9999, 14433, 14444, 45560, 45700, 20128}
    | set(range(3334, 3341))
    | set(range(10300, 10344))
    | {10001, 10002, 10004, 10008, 10016, 10032, 10064, 10128}
)
_PAIR = ["initiator", "responder", "service_port", "protocol"]


@detector(
    id="mining",
    title="Sessions like a mining pool client's",
    question="Which hosts hold the long, thin, steady sessions of a miner?",
    technique="T1496.001",
    needs=("srcaddr", "dstaddr", "srcport", "dstport", "protocol", "bytes", "start", "end"),
)
def mining(
    case: Case,
    *,
    shortest: float = 1_800,
    thin: tuple[float, float] = (30, 3_000),
    score: float = 0.7,
) -> list[dict[str, Any]]:
    """One finding per inside host, outside peer and port.

    ``shortest``: seconds that a connection must last to count. ``thin``: bytes a minute, each way,
    between which an exchange is a miner's. ``score``: the least total (0 to 1) of a finding.
    """
    c = case.connections
    seconds = c["last_seen"].epoch_seconds() - c.first_seen.epoch_seconds()
    long = c.mutate(seconds=seconds).filter(
        c.direction == "outbound", ~c.relay, c.protocol == 6, c.answered, seconds >= shortest
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
        )
        .filter(
            # Ten times outside the range, no other part can make a finding of it.
            _.bytes_out / _.seconds * 60 < thin[1] * 10,
            _.bytes_in / _.seconds * 60 < thin[1] * 10,
        )
    )
    rows = to_frame(candidates.order_by(_PAIR).to_pyarrow())
    if rows.empty:
        return []
    unsteady = _unsteadiness(case.flows, candidates)
    listed = case.matches.filter(case.matches.kind == "mining").to_pandas()
    names = listed.groupby("address")["indicator"].agg(lambda s: ", ".join(sorted(set(s))))
    callers = rows.groupby(["responder", "service_port"])["initiator"].nunique()
    found = []
    for row in rows.to_dict("records"):
        parts = _rate(row, unsteady.get(tuple(row[name] for name in _PAIR), 1.0), names, thin)
        common = callers[row["responder"], row["service_port"]] > 2
        placed = parts["place"] > 0.5
        if parts["score"] >= score and (placed or not common):
            found.append(_finding(row, parts, names.get(row["responder"])))
    return found


def _rate(
    row: dict[str, Any], unsteadiness: float, names: pd.Series, thin: tuple[float, float]
) -> dict[str, float]:
    minutes = row["seconds"] / 60
    out, back = row["bytes_out"] / minutes, row["bytes_in"] / minutes
    fits = [min(1.0, rate / thin[0], thin[1] / rate) if rate else 0.0 for rate in (out, back)]
    place = 1.0 if row["responder"] in names else 0.8 if row["service_port"] in POOL_PORTS else 0.2
    parts = {
        "length": min(1.0, row["seconds"] / (4 * 3600)),
        "thinness": min(fits),
        "balance": min(1.0, 2 * min(out, back) / max(out, back)) if out and back else 0.0,
        "steadiness": max(0.0, 1 - unsteadiness),
        "place": place,
    }
    weights = {"length": 0.15, "thinness": 0.2, "balance": 0.15, "steadiness": 0.2, "place": 0.3}
    total = sum(weights[name] * value for name, value in parts.items())
    return parts | {"score": total, "out": out, "back": back}


def _unsteadiness(flows: ibis.Table, candidates: ibis.Table) -> dict[tuple[Any, ...], float]:
    """Coefficient of variation of the bytes that the initiator sent per window, by pair."""
    sent = flows.select(
        "start",
        "end",
        "bytes",
        "protocol",
        initiator=flows.pkt_srcaddr.coalesce(flows.srcaddr),
        responder=flows.pkt_dstaddr.coalesce(flows.dstaddr),
        service_port=flows.dstport,
    ).semi_join(candidates, _PAIR)
    # A whole window only: the first and the last of a session are as short as chance has it.
    whole = sent.filter((_["end"].epoch_seconds() - _.start.epoch_seconds()) >= 50)
    spread = whole.group_by(_PAIR).aggregate(mean=whole.bytes.mean(), deviation=whole.bytes.std())
    return {
        tuple(key): deviation / mean if mean and pd.notna(deviation) else 1.0
        for *key, mean, deviation in spread.to_pandas().itertuples(index=False)
    }


def _finding(row: dict[str, Any], parts: dict[str, float], name: str | None) -> dict[str, Any]:
    severity = "high" if parts["place"] > 0.5 else "low"
    known = f"listed as a mining pool ({name})" if name else "on no list"
    port = port_name(row["service_port"], row["protocol"])
    usual = (
        "a port that pools offer" if row["service_port"] in POOL_PORTS else "no pool's usual port"
    )
    why = (
        f"{row['initiator']} held {many(row['connections'], 'connection')} to"
        f" {row['responder']} on {port} ({usual}; {known}) for {spell(row['seconds'])} in all,"
        f" sending {parts['out']:.0f} and receiving {parts['back']:.0f} bytes a minute"
        f" ({volume(row['bytes_out'])} out, {volume(row['bytes_in'])} in; length"
        f" {parts['length']:.2f}, thinness {parts['thinness']:.2f}, balance {parts['balance']:.2f},"
        f" steadiness {parts['steadiness']:.2f})."
    )
    caveats = "The shape fits any quiet session that is kept alive; the logs hold no payload."
    return finding(
        "mining",
        severity=severity,
        score=parts["score"],
        subject=row["initiator"],
        peers=[row["responder"]],
        ports=[row["service_port"]],
        protocol=row["protocol"],
        first_seen=row["first_seen"],
        last_seen=row["last_seen"],
        connections=row["connections"],
        bytes_out=row["bytes_out"],
        bytes_in=row["bytes_in"],
        why=why,
        caveats=caveats,
    )
