"""Indicator match: which hosts communicated with an address that an indicator list names?

Question: did an internal host exchange packets with the address of an indicator, during the period
in which the list says that the indicator was valid?

Method: a join of connections with the matches of enrich.indicators; no statistics.

Severity, outbound: high if answered in the validity period and of a kind in HIGH_RISK_KINDS; medium
for others in the period; low out of the period, or if nothing was sent. Inbound: medium if answered
in the period and of such a kind, else low: every public address receives such connections.

False positives: shared hosting and CDNs behind one address, a reassigned address, a list
that names public resolvers.

Limitations: the content is unknown. An indicator behind a proxy or intermediate device is not seen,
nor a domain that was resolved by another resolver than Amazon's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd
from ibis import _

from flowbench.detect.detector import Detector
from flowbench.detect.finding import Finding, Traffic, make_finding
from flowbench.detect.indicators import HIGH_RISK_KINDS
from flowbench.enrich.indicators import is_answer_valid, is_in_period
from flowbench.enrich.ports import label
from flowbench.schema import to_frame
from flowbench.text import format_bytes, format_count, format_date, format_period, list_some

if TYPE_CHECKING:
    from flowbench.case import Case

DETECTOR = Detector(
    id="contact",
    title="Indicator match",
    question="Which hosts had connections with an address on an indicator list?",
    technique="T1071",
    tables=frozenset({"indicators"}),
)

_TECHNIQUES = {"tor": "T1090.003", "mining": "T1496.001"}
_TYPE_WEIGHTS = {"address": 1.0, "network": 0.9, "domain": 0.8}
_OTHER_PORT, _OUT_OF_PERIOD, _UNANSWERED = 0.7, 0.3, 0.6
_SHARED = "the content of the traffic is not recorded, and an address can be shared or reassigned"

_KEYS = ["subject", "peer", "service_port", "protocol", "outbound"]
_INDICATOR = [
    "indicator",
    "type",
    "kind",
    "feed",
    "confidence",
    "valid_from",
    "valid_until",
    "port",
]


class _Service(NamedTuple):
    """A port of the peer, or of the subject where the peer connected."""

    port: int | None
    protocol: int | None


def find(case: Case, *, unknown_confidence: int = 70) -> list[Finding]:
    """Return one finding per internal host, matched peer and port; inbound, one per host and kind.

    The score is the confidence times the weights of the indicator's type (address 1, network 0.9,
    domain 0.8), of another port (0.7), of the period (in it 1, else 0.3) and of the answer
    (answered 1, else 0.6).

    Args:
        case: The case.
        unknown_confidence: 0 to 100, for lists that give none.
    """
    matched = _matched_traffic(case)
    if matched.empty:
        return []
    scores = pd.DataFrame([_score(row, unknown_confidence) for row in matched.itertuples()])
    matched = matched.assign(score=scores.prod(axis=1), scores=scores.to_dict("records"))
    outbound = matched["outbound"]
    found = [
        _outbound(str(subject), str(peer), _Service(_number(port), _number(protocol)), group)
        for (subject, peer, port, protocol), group in matched[outbound].groupby(
            _KEYS[:4], sort=True, dropna=False
        )
    ]
    return found + [
        _inbound(str(subject), str(kind), group)
        for (subject, kind), group in matched[~outbound].groupby(["subject", "kind"])
    ]


def _matched_traffic(case: Case) -> pd.DataFrame:
    """Return a row per pair of addresses, port and indicator, in and out of its period."""
    c = case.connections
    c = c.filter(c.direction.isin(["inbound", "outbound"]))
    c = c.mutate(outbound=_.direction == "outbound")
    c = c.mutate(
        subject=c.outbound.ifelse(c.initiator, c.responder),
        peer=c.outbound.ifelse(c.responder, c.initiator),
    )
    matches = case.indicator_matches.rename(matched="address")
    matches = matches.select("matched", *_INDICATOR, "resolved_from", "resolved_until").distinct()
    j = c.join(matches, c.peer == matches.matched)
    j = j.filter(is_answer_valid(j)).mutate(valid=is_in_period(j))
    rows = j.group_by([*_KEYS, "intermediate", *_INDICATOR]).aggregate(
        first_seen=j.first_seen.min(),
        last_seen=j.last_seen.max(),
        connections=j.count(),
        in_period=j.count(where=j.valid),
        answered=j.count(where=j.answered),
        answered_in_period=j.count(where=j.answered & j.valid),
        rejected=j.count(where=j.rejected),
        bytes_out=j.bytes_out.sum(),
        bytes_in=j.bytes_in.sum(),
    )
    frame = to_frame(rows.order_by([*_KEYS, "indicator", "feed", "kind"]).to_pyarrow())
    # Where its clients are logged, the rows of a NAT gateway repeat theirs.
    repeated = frame["peer"].isin(frame.loc[~frame["intermediate"], "peer"])
    return frame[~(frame["intermediate"] & repeated)].reset_index(drop=True)


def _score(row: pd.Series, unknown_confidence: int) -> dict[str, float]:
    confidence = unknown_confidence if pd.isna(row.confidence) else int(row.confidence)
    return {
        "confidence": confidence / 100,
        "type": _TYPE_WEIGHTS[row.type],
        "port": _OTHER_PORT if _is_other_port(row) else 1.0,
        "period": 1.0 if row.in_period else _OUT_OF_PERIOD,
        "answer": 1.0 if row.answered_in_period else _UNANSWERED,
    }


def _outbound(subject: str, peer: str, service: _Service, group: pd.DataFrame) -> Finding:
    best = group.sort_values("score", ascending=False, kind="stable").iloc[0]
    valid = group[group["in_period"] > 0]
    kinds = sorted(set((valid if len(valid) else group)["kind"]))
    count, sent = int(best["connections"]), int(best["bytes_out"])
    caveats = [_SHARED]
    if best["intermediate"]:
        caveats.append("the subject is a NAT gateway: the logs do not show which host connected")
    if not len(valid):
        caveats.append("all connections are outside the indicator's validity period")
    if not sent:
        caveats.append("no record shows traffic sent by the subject")
    if not len(valid) or not sent:
        severity = "low"
    elif valid["answered_in_period"].any() and set(kinds) & set(HIGH_RISK_KINDS):
        severity = "high"
    else:
        severity = "medium"
    entries = group.drop_duplicates(["indicator", "feed"]).itertuples()
    in_period = int(valid["in_period"].max()) if len(valid) else 0
    partly = f" Only {in_period:,} of the connections are in its validity period." * (
        0 < in_period < count
    )
    answered, verb = int(best["answered"]), "opened" if best["answered"] else "attempted"
    port = label(0 if service.port is None else service.port, service.protocol)
    return _finding(
        subject,
        [peer],
        Traffic(
            () if service.port is None else (service.port,),
            service.protocol,
            *best[["first_seen", "last_seen", "connections", "bytes_out", "bytes_in"]],
        ),
        severity,
        best,
        kinds,
        f"{subject} {verb} {format_count(count, 'connection')} ({answered:,} answered,"
        f" {int(best['rejected']):,} rejected) to {peer} on {port} from"
        f" {format_period(best['first_seen'], best['last_seen'])}: {format_bytes(sent)} sent,"
        f" {format_bytes(best['bytes_in'])} received. Indicator match:"
        f" {'; '.join(map(_describe, entries))}.{partly}",
        _sentence(caveats),
    )


def _inbound(subject: str, kind: str, group: pd.DataFrame) -> Finding:
    rows = group.drop_duplicates(_KEYS)
    peers, ports = sorted(set(rows["peer"])), rows["service_port"].unique()
    answered, count = int(rows["answered"].sum()), int(rows["connections"].sum())
    first, last = rows["first_seen"].min(), rows["last_seen"].max()
    # The bytes are counted from the subject, which is the responder.
    sent, received = int(rows["bytes_in"].sum()), int(rows["bytes_out"].sum())
    outcome = f"{answered:,} {'was' if answered == 1 else 'were'}" if answered else "None was"
    high_risk = rows["answered_in_period"].any() and kind in HIGH_RISK_KINDS
    return _finding(
        subject,
        peers,
        Traffic(tuple(ports) if len(ports) == 1 else (), None, first, last, count, sent, received),
        "medium" if high_risk else "low",
        group.loc[group["score"].idxmax()],
        [kind],
        f"{format_count(len(peers), 'external address', 'external addresses')} listed as {kind}"
        f" ({list_some(sorted(set(group['feed'])))}) attempted"
        f" {format_count(count, 'connection')} to {format_count(len(ports), 'port')}"
        f" of {subject} from {format_period(first, last)}. {outcome} answered.",
        "Internet-wide scanning of public addresses is common. An answered connection is no"
        " evidence of compromise by itself.",
    )


def _finding(
    subject: str,
    peers: list[str],
    traffic: Traffic,
    severity: str,
    best: pd.Series,
    kinds: list[str],
    summary: str,
    caveats: str,
) -> Finding:
    techniques = [_TECHNIQUES[kind] for kind in kinds if kind in _TECHNIQUES]
    return make_finding(
        DETECTOR,
        subject,
        peers,
        traffic,
        severity=severity,
        score=min(best["score"], 1.0),
        scores=best["scores"],
        summary=summary,
        caveats=caveats,
        title=f"{DETECTOR.title} ({', '.join(kinds)})",
        technique=techniques[0] if techniques else None,
    )


def _describe(row: pd.Series) -> str:
    """Return an indicator with its list: 'pool.example (category mining, list pools)'."""
    parts = [f"category {row.kind}", f"list {row.feed}"]
    if _is_other_port(row):
        parts.append(f"for port {row.port}")
    if not row.in_period and pd.notna(row.valid_until) and row.first_seen > row.valid_until:
        parts.append(f"expired {format_date(row.valid_until)}")
    elif not row.in_period:
        parts.append(f"valid only from {format_date(row.valid_from)}")
    return f"{row.indicator} ({', '.join(parts)})"


def _is_other_port(row: pd.Series) -> bool:
    """Whether the indicator names another port than that of the connections."""
    return pd.notna(row.port) and row.port != row.service_port


def _number(value: Any) -> int | None:
    return None if pd.isna(value) else int(value)


def _sentence(parts: list[str]) -> str:
    return " ".join(f"{part[0].upper()}{part[1:]}." for part in parts)
