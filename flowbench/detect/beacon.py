"""Beacon: who calls home on a schedule?

Question: does an inside host open connections to one outside address at regular intervals?

Method: after RITA v5 (activecm/rita, analysis/beacons.go): scores in 0 to 1 for the regularity of
the gaps between connections, for the sameness of bytes sent, for an even count an hour, and for how
long it went on; here weighted 0.4, 0.2, 0.2, 0.2. Two changes for flow logs: what counts are
connections, not records (a long benign session gives one record a window and would look perfect);
and spread within half a capture window is not held against it, because windows blur every start.

Fires falsely: monitoring agents, licence checks, updaters, time servers on odd ports: periodic is
not malicious. So without a listed peer this is at most medium, and low when several hosts call the
same peer. Cannot see: periods under two windows (they merge into what looks like one long
connection), jitter near the period itself, a beacon inside one long connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from flowbench.detect.base import capture_window, detector, finding, port_name, spell, volume
from flowbench.schema import to_frame

if TYPE_CHECKING:
    import ibis

    from flowbench.case import Case

# Protocols that keep a beat by design and carry no session: time and name service.
_CLOCKS = ((17, 123), (17, 53), (6, 53))
_PAIR = ["initiator", "responder", "service_port", "protocol"]


@detector(
    id="beacon",
    title="Regular calls to one address",
    question="Who opens connections to one outside address on a schedule?",
    technique="T1071",
    needs=("srcaddr", "dstaddr", "srcport", "dstport", "start", "end"),
)
def beacon(
    case: Case,
    *,
    fewest: int = 8,
    most: int = 50_000,
    score: float = 0.75,
    regularity: float = 0.7,
    shared_by: int = 3,
) -> list[dict[str, Any]]:
    """One finding per inside host, outside peer and port that keeps a beat.

    ``fewest`` and ``most``: connections of a pair that is judged. ``score`` and ``regularity``: the
    least total and the least regularity (0 to 1) that make a finding. ``shared_by``: from so many
    inside hosts on, the peer is a common service and the finding low.
    """
    window = capture_window(case)
    pairs = case.pairs
    candidates = pairs.filter(
        pairs.direction == "outbound",
        ~pairs.relay,
        pairs.connections.between(fewest, most),
        (pairs["last_seen"].epoch_seconds() - pairs.first_seen.epoch_seconds())
        >= 2 * window * (fewest - 1),
    )
    for protocol, port in _CLOCKS:
        candidates = candidates.filter(
            (candidates.protocol != protocol).fill_null(True) | (candidates.service_port != port)
        )
    callers = to_frame(
        pairs.filter(pairs.direction == "outbound")
        .group_by("responder", "service_port")
        .aggregate(callers=pairs.initiator.nunique())
        .to_pyarrow()
    ).set_index(["responder", "service_port"])["callers"]
    kinds = _listed_kinds(case)
    found = []
    for key, starts in _starts(case.connections, candidates).groupby(
        _PAIR, sort=True, dropna=False
    ):
        parts = rate(starts["first_seen"], starts["bytes_out"], window)
        if not parts or parts["score"] < score or parts["regularity"] < regularity:
            continue
        named = dict(zip(_PAIR, key, strict=True))
        hosts = int(callers[named["responder"], named["service_port"]])
        listed = kinds.get(named["responder"], [])
        found.append(_finding(named, starts, parts, hosts, listed, window, shared_by))
    return found


def rate(starts: pd.Series, sizes: pd.Series, window: float) -> dict[str, float]:
    """Score the beat of connection starts (UTC, in order) and bytes sent; {} if there is none.

    Returns score, regularity, sizes, evenness, persistence (0 to 1), period and spread (seconds).
    The period is the mean of the gaps around the median: single gaps are blurred by the window,
    their mean is not.
    """
    at = np.unique(starts.dt.floor("s").astype("int64").to_numpy() // 1_000_000)
    gaps = np.diff(at).astype(float)
    if len(gaps) < 3:
        return {}
    middle = float(np.median(gaps))
    if middle < 2 * window:
        return {}
    near = gaps[np.abs(gaps - middle) <= max(0.5 * middle, window)]
    spread = float(np.median(np.abs(gaps - middle)))
    low, high = np.quantile(gaps, [0.25, 0.75])
    skew = (low + high - 2 * middle) / (high - low) if high - low > 2 * window else 0.0
    tight = 1 - max(0.0, spread - window / 2) / middle
    regularity = max(0.0, (max(0.0, tight) * 2 + (1 - abs(skew)) + len(near) / len(gaps)) / 4)
    typical = float(np.median(sizes))
    odd = float(np.median(np.abs(sizes - typical)))
    same = max(0.0, 1 - odd / typical) if typical else 0.0
    hours = np.bincount((at - at[0]) // 3600)
    steady = hours[1:-1] if len(hours) > 3 else hours
    evenness = max(0.0, 1 - float(steady.std() / steady.mean())) if steady.mean() else 0.0
    persistence = min(1.0, float((hours > 0).sum()) / max(6, len(hours)))
    total = 0.4 * regularity + 0.2 * same + 0.2 * evenness + 0.2 * persistence
    return {
        "score": total,
        "regularity": regularity,
        "sizes": same,
        "evenness": evenness,
        "persistence": persistence,
        "period": float(near.mean()),
        "spread": spread,
    }


def _starts(connections: ibis.Table, candidates: ibis.Table) -> pd.DataFrame:
    starts = connections.semi_join(candidates, _PAIR)
    columns = [*_PAIR, "first_seen", "last_seen", "bytes_out", "bytes_in", "answered", "refused"]
    return to_frame(
        starts.select(columns).order_by([*_PAIR, "first_seen", "bytes_out"]).to_pyarrow()
    )


def _listed_kinds(case: Case) -> dict[str, list[str]]:
    """Listed addresses with the kinds that held at some time while the case's records run."""
    first, last = case.span
    rows = to_frame(case.matches.to_pyarrow())
    live = (rows["valid_from"].isna() | (rows["valid_from"] <= last)) & (
        rows["valid_until"].isna() | (rows["valid_until"] >= first)
    )
    return {a: sorted(set(g["kind"])) for a, g in rows[live].groupby("address")}


def _finding(
    key: dict[str, Any],
    starts: pd.DataFrame,
    parts: dict[str, float],
    hosts: int,
    listed: list[str],
    window: float,
    shared_by: int,
) -> dict[str, Any]:
    first, last = starts["first_seen"].min(), starts["last_seen"].max()
    answered = int(starts["answered"].sum())
    blocked = answered == 0
    if listed and not blocked:
        severity = "high"
    elif hosts >= shared_by and not listed:
        severity = "low"
    else:
        severity = "medium"
    size = volume(float(starts["bytes_out"].median()))
    why = (
        f"{key['initiator']} opened {len(starts)} connections to {key['responder']} on"
        f" {port_name(key['service_port'], key['protocol'])} over"
        f" {spell((last - first).total_seconds())}, one every {parts['period'] / 60:.1f} min"
        f" (half of the gaps within {parts['spread']:.0f} s of the median, {size} sent each time;"
        f" regularity {parts['regularity']:.2f}, sizes {parts['sizes']:.2f}, evenness"
        f" {parts['evenness']:.2f}, persistence {parts['persistence']:.2f})."
    )
    if listed:
        why += f" The peer is listed as {', '.join(listed)}."
    if blocked:
        why += f" None was answered ({int(starts['refused'].sum())} were refused)."
    others = "no other inside host calls it" if hosts == 1 else f"{hosts} inside hosts call it"
    caveats = (
        f"Agents and updaters keep a beat too; {others}. Each start is blurred by up to"
        f" {window:.0f} s; the mean period is not."
    )
    return finding(
        "beacon",
        severity=severity,
        score=parts["score"],
        subject=key["initiator"],
        peers=[key["responder"]],
        ports=[key["service_port"]],
        protocol=key["protocol"],
        first_seen=first,
        last_seen=last,
        connections=len(starts),
        bytes_out=starts["bytes_out"].sum(),
        bytes_in=starts["bytes_in"].sum(),
        why=why,
        caveats=caveats,
        title="Regular calls that are blocked" if blocked else None,
        technique="T1090.003" if "tor" in listed else None,
    )
