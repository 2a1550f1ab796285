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
import pyarrow as pa
from ibis import _

from flowbench.detect.detector import Detector
from flowbench.detect.finding import Finding, Traffic, make_finding
from flowbench.detect.indicators import match_peers
from flowbench.detect.traffic import capture_window
from flowbench.engine import seconds
from flowbench.enrich.ports import label
from flowbench.schema import to_frame
from flowbench.text import format_bytes, format_duration

if TYPE_CHECKING:
    from flowbench.case import Case

# What keeps a beat by design and carries no session: time and name service.
_CLOCKS = ((17, 123), (17, 53))
_BURST = 30  # seconds: starts closer than that are one call
_WEIGHTS = {"regularity": 0.4, "sizes": 0.2, "evenness": 0.2, "persistence": 0.2}
_PAIR = ["initiator", "responder", "service_port", "protocol"]


DETECTOR = Detector(
    id="beacon",
    title="Regular calls to one address",
    question="Who opens connections to one outside address on a schedule?",
    technique="T1071",
    needs=frozenset({"srcaddr", "dstaddr", "srcport", "dstport", "start", "end"}),
)


def find(
    case: Case,
    *,
    fewest: int = 10,
    most: int = 50_000,
    score: float = 0.7,
    regularity: float = 0.58,
    shared_by: int = 4,
) -> list[Finding]:
    """One finding per inside host, outside peer and port that keeps a beat.

    ``fewest`` and ``most``: connections of a pair that is judged. ``score`` and ``regularity``: the
    least total and the least regularity (0 to 1) that make a finding. ``shared_by``: what so many
    inside hosts call three times or more is a service of the house.
    """
    window = capture_window(case)
    pairs = case.connection_summaries
    often = pairs.filter(
        pairs.direction == "outbound",
        ~pairs.intermediate,
        pairs.connections.between(fewest, most),
        (seconds(pairs["last_seen"]) - seconds(pairs.first_seen)) >= 1.4 * window * (fewest - 1),
    )
    for protocol, port in _CLOCKS:
        often = often.filter(
            (often.protocol != protocol).fill_null(True) | (often.service_port != port)
        )
    place = ["responder", "service_port"]
    customers = pairs.filter(pairs.direction == "outbound", pairs.connections >= 3)
    callers = customers.group_by(place).aggregate(callers=customers.initiator.nunique())
    named = case.indicator_matches.filter(case.indicator_matches.in_period.fill_null(True)).address
    rare = callers.filter((callers.callers < shared_by) | callers.responder.isin(named))
    inorder = ibis.window(order_by=_PAIR)
    candidates = often.join(rare, place).select(*_PAIR, "callers")
    candidates = candidates.mutate(pair=ibis.row_number().over(inorder)).to_pyarrow()
    calls = _calls(case.connections, candidates)
    beats = _beats(calls, window, regularity).to_pandas().set_index("pair")
    beating = candidates.take(pa.array(beats.index))
    starts = to_frame(
        _calls(case.connections, beating).order_by("pair", "first_seen", "bytes_out").to_pyarrow()
    )
    rows = {row["pair"]: row for row in to_frame(beating).to_dict("records")}
    on_lists = {
        key: sorted(set(group["kind"]))
        for key, group in match_peers(case, beating["responder"].to_pylist()).groupby(
            ["subject", "peer", "service_port"]
        )
    }
    found = []
    for pair, group in starts.groupby("pair"):
        row = rows[pair] | beats.loc[pair].to_dict()
        kinds = on_lists.get((row["initiator"], row["responder"], row["service_port"]), [])
        if row["callers"] >= shared_by and not kinds:
            continue
        parts = row | _shape(group, row["period"])
        parts["score"] = sum(weight * parts[name] for name, weight in _WEIGHTS.items())
        if parts["score"] >= score:
            found.append(_finding(parts, group, kinds, window))
    return found


def _calls(connections: ibis.Table, pairs: pa.Table) -> ibis.Table:
    """The connections of numbered pairs, and which begin a call (``call``, bool) at what second."""
    c, numbered = connections, ibis.memtable(pairs)
    same = [c[name] == numbered[name] for name in _PAIR[:3]]
    same.append(c.protocol.identical_to(numbered.protocol))  # null: not known, and one pair too
    facts = ["first_seen", "last_seen", "bytes_out", "bytes_in", "answered", "rejected"]
    mine = c.join(numbered, same).select(numbered.pair, *(c[name] for name in facts))
    mine = mine.mutate(at=seconds(mine.first_seen))
    before = mine["at"].lag().over(ibis.window(group_by="pair", order_by="at"))
    return mine.mutate(call=before.isnull() | (mine["at"] - before >= _BURST))


def _beats(calls: ibis.Table, window: float, least: float) -> ibis.Table:
    """Those pairs whose calls are at least so regular: pair, regularity, period, spread (seconds).

    The period is the mean of the gaps near the usual one: single gaps are blurred by the window,
    their mean is not.
    """
    calls = calls.filter("call").select("pair", "at")
    before = calls["at"].lag().over(ibis.window(group_by="pair", order_by="at"))
    gaps = calls.select("pair", gap=calls["at"] - before).filter(_.gap.notnull())
    typical = gaps.group_by("pair").aggregate(
        low=_.gap.quantile(0.25), middle=_.gap.median(), high=_.gap.quantile(0.75), count=_.count()
    )
    # Of gaps by chance, the quartiles lie 1.1 means apart; of a beat with 30 % jitter, 0.4 at most.
    typical = typical.filter(
        typical["count"] >= 3, typical.high - typical.low - window <= 0.7 * typical.middle
    )
    gaps = gaps.join(typical, "pair")
    unbroken = gaps.filter(gaps.gap <= 2.5 * ibis.greatest(gaps.middle, window))  # no pauses
    usual = unbroken.group_by("pair").aggregate(usual=unbroken.gap.mean())
    gaps = gaps.join(usual.filter(usual.usual >= 1.4 * window), "pair")
    near = (gaps.gap - gaps.usual).abs() <= ibis.greatest(0.75 * gaps.usual, window)
    rated = gaps.group_by("pair", "count").aggregate(
        near=gaps.count(where=near),
        period=gaps.gap.mean(where=near),
        # Of whole numbers, and so the same in whatever order they are added.
        squares=(gaps.gap * gaps.gap).mean(where=near),
        spread=(gaps.gap - gaps.middle).abs().median(),
    )
    variance = rated.squares - rated.period**2 - window**2 / 6
    variation = ibis.greatest(0.0, variance).sqrt() / rated.period
    even = ibis.greatest(0.0, 1 - variation) * rated.near / rated["count"]
    rated = rated.mutate(regularity=even - 0.5 / rated["count"].sqrt())
    beating = rated.filter(rated.regularity >= least)
    return beating.select("pair", "regularity", "period", "spread").order_by("pair")


def _shape(starts: pd.DataFrame, period: float) -> dict[str, float]:
    """Sameness of bytes sent, evenness over time and persistence of a pair's calls (0 to 1)."""
    at = starts.loc[starts["call"], "at"].to_numpy()
    typical = float(starts["bytes_out"].median())
    odd = float((starts["bytes_out"] - typical).abs().median())
    bars = np.bincount(((at - at[0]) // max(3_600, 4 * period)).astype(int))
    steady = bars[1:-1] if len(bars) > 3 else bars
    lasted = min(1.0, float(at[-1] - at[0]) / (6 * 3_600))
    return {
        "sizes": max(0.0, 1 - odd / typical) if typical else 0.0,
        "evenness": max(0.0, 1 - steady.std() / steady.mean()) if steady.mean() else 0.0,
        "persistence": lasted * float((bars > 0).mean()),
    }


def _finding(
    parts: dict[str, Any], starts: pd.DataFrame, kinds: list[str], window: float
) -> Finding:
    first, last = starts["first_seen"].min(), starts["last_seen"].max()
    answered = int(starts["answered"].sum())
    blocked = answered == 0
    severity = "high" if kinds and not blocked else "medium"
    size = format_bytes(float(starts["bytes_out"].median()))
    why = (
        f"{parts['initiator']} opened {len(starts)} connections to {parts['responder']} on"
        f" {label(parts['service_port'], parts['protocol'])} over"
        f" {format_duration((last - first).total_seconds())}, one every"
        f" {parts['period'] / 60:.1f} min"
        f" (half of the gaps within {parts['spread']:.0f} s of the median, {size} sent each time;"
        f" regularity {parts['regularity']:.2f}, sizes {parts['sizes']:.2f}, evenness"
        f" {parts['evenness']:.2f}, persistence {parts['persistence']:.2f})."
    )
    if kinds:
        why += f" The peer is listed as {', '.join(kinds)}."
    if blocked:
        why += f" None was answered ({int(starts['refused'].sum())} were refused)."
    hosts = parts["callers"]
    others = "no other inside host calls it" if hosts == 1 else f"{hosts} inside hosts call it"
    caveats = (
        f"Agents and updaters keep a beat too; {others} as often. Each start is blurred by up to"
        f" {window:.0f} s; the mean period is not."
    )
    return make_finding(
        DETECTOR,
        parts["initiator"],
        [parts["responder"]],
        Traffic(
            (parts["service_port"],),
            parts["protocol"],
            first,
            last,
            len(starts),
            starts["bytes_out"].sum(),
            starts["bytes_in"].sum(),
        ),
        severity=severity,
        score=parts["score"],
        scores={name: parts[name] for name in _WEIGHTS},
        summary=why,
        caveats=caveats,
        title="Regular calls that are blocked" if blocked else None,
        technique="T1090.003" if "tor" in kinds else None,
    )
