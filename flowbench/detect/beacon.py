"""Beacon: who calls home on a schedule?

Question: does an inside host open connections to one outside address at regular intervals?

Method: after RITA v5 (activecm/rita, analysis/beacons.go): scores in 0 to 1 for the regularity of
the gaps between connections, for the sameness of bytes sent, for an even count over time, and for
how long it went on; here weighted 0.4, 0.2, 0.2, 0.2. What flow logs ask for is different:

* What counts are connections, not records: a long benign session gives one record a window and
  would look perfect. Starts within half a minute of each other are one call.
* Windows blur every start by up to their length w, which alone gives gaps a variance of w²/6 (two
  uniform errors). It is taken off before the coefficient of variation is, so that a beat of one and
  a half windows is still told from chance. Regularity is 1 less that coefficient, times the share
  of gaps near the mean, less 0.5/√n for how little n gaps prove.
* Many agents keep a beat. They are told by their company: what at least ``shared_by`` inside hosts
  call time and again is a service of the house and reported only if it is listed.

Fires falsely: the licence check, the updater, the partner's interface that one host alone calls:
periodic is not malicious. So without a listed peer this is at most medium. Cannot see: periods
under one and a half windows (they merge into what looks like one long connection), jitter near the
period itself, a beacon inside one long connection, a command server on an address that several
hosts call regularly, beats inside the estate (only calls to outside are judged), UDP to the ports
of time and name service.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ibis
import numpy as np
import pandas as pd

from flowbench.detect.base import capture_window, detector, finding, port_name, spell, volume
from flowbench.schema import to_frame

if TYPE_CHECKING:
    from flowbench.case import Case

# What keeps a beat by design and carries no session: time and name service.
_CLOCKS = ((17, 123), (17, 53))
_BURST = 30  # seconds: starts closer than that are one call
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
    fewest: int = 10,
    most: int = 50_000,
    score: float = 0.7,
    regularity: float = 0.58,
    shared_by: int = 4,
) -> list[dict[str, Any]]:
    """One finding per inside host, outside peer and port that keeps a beat.

    ``fewest`` and ``most``: connections of a pair that is judged. ``score`` and ``regularity``: the
    least total and the least regularity (0 to 1) that make a finding. ``shared_by``: what so many
    inside hosts call three times or more is a service of the house.
    """
    window = capture_window(case)
    pairs = case.pairs
    often = pairs.filter(
        pairs.direction == "outbound",
        ~pairs.relay,
        pairs.connections.between(fewest, most),
        (pairs["last_seen"].epoch_seconds() - pairs.first_seen.epoch_seconds())
        >= 1.4 * window * (fewest - 1),
    )
    for protocol, port in _CLOCKS:
        often = often.filter(
            (often.protocol != protocol).fill_null(True) | (often.service_port != port)
        )
    place = ["responder", "service_port"]
    customers = pairs.filter(pairs.direction == "outbound", pairs.connections >= 3)
    callers = customers.group_by(place).aggregate(callers=customers.initiator.nunique())
    kinds = _listed_kinds(case)
    rare = callers.filter((callers.callers < shared_by) | callers.responder.isin(list(kinds)))
    candidates = often.semi_join(rare, place)
    hosts = to_frame(rare.to_pyarrow()).set_index(place)["callers"]
    found = []
    for key, starts in _starts(case.connections, candidates, window).groupby(
        _PAIR, sort=True, dropna=False
    ):
        parts = rate(starts["first_seen"], starts["bytes_out"], window)
        if not parts or parts["score"] < score or parts["regularity"] < regularity:
            continue
        named = dict(zip(_PAIR, key, strict=True))
        count = int(hosts[named["responder"], named["service_port"]])
        listed = kinds.get(named["responder"], [])
        found.append(_finding(named, starts, parts, count, listed, window))
    return found


def rate(starts: pd.Series, sizes: pd.Series, window: float) -> dict[str, float]:
    """Score the beat of connection starts (UTC, in order) and bytes sent; {} if there is none.

    Returns score, regularity, sizes, evenness, persistence (0 to 1), period and spread (seconds).
    The period is the mean of the gaps near the usual one: single gaps are blurred by the window,
    their mean is not.
    """
    at = np.unique(starts.dt.floor("s").astype("int64").to_numpy() // 1_000_000)
    at = at[np.concatenate([[True], np.diff(at) >= _BURST])]
    gaps = np.diff(at).astype(float)
    if len(gaps) < 3:
        return {}
    usual = gaps[gaps <= 2.5 * max(float(np.median(gaps)), window)].mean()  # no pauses
    if usual < 1.4 * window:
        return {}
    near = gaps[np.abs(gaps - usual) <= max(0.75 * usual, window)]
    period = float(near.mean())
    variation = np.sqrt(max(0.0, float(near.var()) - window**2 / 6)) / period
    proven = len(near) / len(gaps) * max(0.0, 1 - variation) - 0.5 / np.sqrt(len(gaps))
    typical = float(np.median(sizes))
    odd = float(np.median(np.abs(sizes - typical)))
    same = max(0.0, 1 - odd / typical) if typical else 0.0
    bars = np.bincount(((at - at[0]) // max(3_600, 4 * period)).astype(int))
    steady = bars[1:-1] if len(bars) > 3 else bars
    evenness = max(0.0, 1 - float(steady.std() / steady.mean())) if steady.mean() else 0.0
    lasted = min(1.0, float(at[-1] - at[0]) / (6 * 3_600))
    persistence = lasted * float((bars > 0).mean())
    regularity = max(0.0, float(proven))
    total = 0.4 * regularity + 0.2 * same + 0.2 * evenness + 0.2 * persistence
    return {
        "score": total,
        "regularity": regularity,
        "sizes": same,
        "evenness": evenness,
        "persistence": persistence,
        "period": period,
        "spread": float(np.median(np.abs(gaps - np.median(gaps)))),
    }


def _starts(connections: ibis.Table, candidates: ibis.Table, window: float) -> pd.DataFrame:
    """The connections of those candidates whose gaps are not plainly those of chance."""
    c = connections.semi_join(candidates, _PAIR)
    before = c.first_seen.lag().over(ibis.window(group_by=_PAIR, order_by="first_seen"))
    gaps = c.mutate(gap=c.first_seen.epoch_seconds() - before.epoch_seconds())
    gaps = gaps.filter(gaps.gap >= _BURST)
    # Of gaps by chance, the quartiles lie 1.1 means apart; of a beat with 30 % jitter, 0.4 at most.
    even = gaps.group_by(_PAIR).aggregate(
        low=gaps.gap.quantile(0.25), middle=gaps.gap.median(), high=gaps.gap.quantile(0.75)
    )
    even = even.filter(even.high - even.low - window <= 0.7 * even.middle)
    columns = [*_PAIR, "first_seen", "last_seen", "bytes_out", "bytes_in", "answered", "refused"]
    return to_frame(
        c.semi_join(even, _PAIR)
        .select(columns)
        .order_by([*_PAIR, "first_seen", "bytes_out"])
        .to_pyarrow()
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
) -> dict[str, Any]:
    first, last = starts["first_seen"].min(), starts["last_seen"].max()
    answered = int(starts["answered"].sum())
    blocked = answered == 0
    severity = "high" if listed and not blocked else "medium"
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
        f"Agents and updaters keep a beat too; {others} as often. Each start is blurred by up to"
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
