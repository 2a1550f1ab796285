"""Contact: who spoke with an address that an indicator list names?

Question: did an inside host exchange packets with a listed address, in the period in which the
list says it was bad?

Method: join of connections with enrich.indicators.match; nothing statistical. Severity follows
what the contact would mean: an inside host that calls a Tor relay, a mining pool or a command
server and is answered is high; unanswered or refused, medium; a call to an address on a mere
reputation list, medium; anything outside the indicator's period is low and says so; what listed
addresses do to us from outside is low or, when answered, medium, because that is the weather.

Fires falsely: shared hosting and CDNs behind one address, an address that changed hands, a list
that names public resolvers. Cannot see: what was said; a listed host behind a proxy or relay; a
domain that was resolved elsewhere than at Amazon's resolver.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
from ibis import _

from flowbench.detect.detector import Detector
from flowbench.detect.finding import Finding, Traffic, make_finding
from flowbench.enrich.indicators import is_answer_valid, is_in_period
from flowbench.enrich.ports import label
from flowbench.schema import to_frame
from flowbench.text import format_bytes, format_count, format_duration

if TYPE_CHECKING:
    from flowbench.case import Case

# Kinds that no business host has a reason to call.
GRAVE = ("tor", "mining", "c2", "malware", "botnet", "ransomware", "phishing")

_TECHNIQUES = {"tor": "T1090.003", "mining": "T1496.001"}
_PAIR = ["subject", "peer", "service_port", "protocol", "outbound"]


DETECTOR = Detector(
    id="contact",
    title="Contact with a listed address",
    question="Who spoke with an address that an indicator list names, while it was bad?",
    technique="T1071",
    tables=frozenset({"indicators"}),
)


def find(case: Case, *, unknown_confidence: int = 70) -> list[Finding]:
    """One finding per inside host, listed peer and port; inbound contacts one per inside host.

    ``unknown_confidence`` (0 to 100) stands in where a list gives none. The score is confidence x
    how the indicator matched (address 1, network 0.9, domain 0.8, another port 0.7) x period (in 1,
    out 0.3) x answered (1, else 0.6).
    """
    listed = _listed(case)
    if listed.empty:
        return []
    listed["weight"] = listed.apply(_weight, axis=1, unknown=unknown_confidence)
    found = []
    for key, group in listed[listed["outbound"]].groupby(_PAIR, sort=True, dropna=False):
        found.append(_outbound(dict(zip(_PAIR, key, strict=True)), group))
    for (subject, kind), group in listed[~listed["outbound"]].groupby(["subject", "kind"]):
        found.append(_inbound(subject, kind, group))
    return found


def _listed(case: Case) -> pd.DataFrame:
    """Traffic with each listed peer: a row per pair, port and indicator, in and out of period."""
    c, matches = case.connections, case.indicator_matches
    keep = c.direction.isin(["inbound", "outbound"])
    c = c.filter(keep).mutate(outbound=_.direction == "outbound")
    c = c.mutate(
        subject=c.outbound.ifelse(c.initiator, c.responder),
        peer=c.outbound.ifelse(c.responder, c.initiator),
    )
    matches = matches.select(
        "indicator", "type", "kind", "feed", "confidence", "valid_from", "valid_until", "port",
        "resolved_from", "resolved_until", listed=matches.address,
    ).distinct()  # fmt: skip
    j = c.join(matches, c.peer == matches.listed)
    j = j.filter(is_answer_valid(j)).mutate(within=is_in_period(j))
    found = j.group_by(
        [*_PAIR, "intermediate", "indicator", "type", "kind", "feed", "confidence", "valid_from",
         "valid_until", "port"]
    ).aggregate(
        first_seen=j.first_seen.min(),
        last_seen=j.last_seen.max(),
        connections=j.count(),
        in_period=j.count(where=j.within),
        answered=j.count(where=j.answered),
        answered_in=j.count(where=j.answered & j.within),
        rejected=j.count(where=j.rejected),
        bytes_out=j.bytes_out.sum(),
        bytes_in=j.bytes_in.sum(),
    )  # fmt: skip
    frame = to_frame(found.order_by([*_PAIR, "indicator", "feed", "kind"]).to_pyarrow())
    # A NAT gateway's own row says nothing that its clients' rows, where they are logged, do not.
    behind = frame["peer"].isin(frame.loc[~frame["intermediate"], "peer"])
    return frame[~(frame["intermediate"] & behind)].reset_index(drop=True)


def _weight(row: pd.Series, unknown: int) -> float:
    confidence = unknown if pd.isna(row["confidence"]) else int(row["confidence"])
    weight = confidence / 100 * {"address": 1.0, "network": 0.9, "domain": 0.8}[row["type"]]
    if pd.notna(row["port"]) and row["port"] != row["service_port"]:
        weight *= 0.7
    return weight * (1.0 if row["in_period"] else 0.3) * (1.0 if row["answered_in"] else 0.6)


def _outbound(key: dict[str, Any], group: pd.DataFrame) -> Finding:
    best = group.sort_values("weight", ascending=False, kind="stable").iloc[0]
    live = group[group["in_period"] > 0]
    kinds = sorted(set((live if len(live) else group)["kind"]))
    grave = [kind for kind in kinds if kind in GRAVE]
    answered, count = int(best["answered"]), int(best["connections"])
    silent = not best["bytes_out"]
    if not len(live) or silent:
        severity = "low"
    elif grave and live["answered_in"].any():
        severity = "high"
    else:
        severity = "medium"
    port = label(key["service_port"], key["protocol"])
    span = best["last_seen"] - best["first_seen"]
    lists = "; ".join(
        _says(row) for _, row in group.drop_duplicates(["indicator", "feed"]).iterrows()
    )
    why = (
        f"{key['subject']} opened {format_count(count, 'connection')} to {key['peer']} on {port}"
        f" over {format_duration(span.total_seconds())} ({answered} answered,"
        f" {format_bytes(best['bytes_out'])} out, {format_bytes(best['bytes_in'])} in). Listed:"
        f" {lists}."
    )
    caveats = "A flow log does not say what was said; an address can be shared or change hands."
    inside = int(live["in_period"].max()) if len(live) else 0
    if 0 < inside < count:
        why += f" Only {inside} of them lie in the period for which an indicator was given."
    if silent:
        caveats = "Nothing that the subject sent was logged: perhaps it opened nothing. " + caveats
    if not len(live):
        caveats = "No contact lies in the period for which the indicator was given. " + caveats
    if best["intermediate"]:
        caveats = (
            "The subject is a NAT gateway: who stood behind it these logs do not say. " + caveats
        )
    return _finding(best, key, [key["peer"]], severity, best["weight"], why, caveats, kinds)


def _inbound(subject: str, kind: str, group: pd.DataFrame) -> Finding:
    rows = group.drop_duplicates(_PAIR)
    answered, count = int(rows["answered"].sum()), int(rows["connections"].sum())
    peers = sorted(set(rows["peer"]))
    severity = "medium" if rows["answered_in"].any() and kind in GRAVE else "low"
    feeds = ", ".join(sorted(set(group["feed"])))
    why = (
        f"{format_count(len(peers), 'address', 'addresses')} listed as {kind} ({feeds}) tried"
        f" {subject}"
        f" from outside {format_count(count, 'time')} on"
        f" {format_count(rows['service_port'].nunique(), 'port')};"
        f" {answered} answered."
    )
    caveats = (
        "Every public address is tried by listed hosts every day; answered is not broken into."
    )
    first = rows.assign(
        first_seen=rows["first_seen"].min(),
        last_seen=rows["last_seen"].max(),
        connections=count,
        bytes_out=rows["bytes_in"].sum(),  # seen from the subject, who did not open these
        bytes_in=rows["bytes_out"].sum(),
    ).iloc[0]
    ports = rows["service_port"].unique()
    key = {
        "subject": subject,
        "protocol": None,
        "service_port": ports[0] if len(ports) == 1 else None,
    }
    return _finding(first, key, peers, severity, group["weight"].max(), why, caveats, [kind])


def _says(row: pd.Series) -> str:
    text = f"{row['indicator']} as {row['kind']} in {row['feed']}"
    if pd.notna(row["port"]) and row["port"] != row["service_port"]:
        text += f" (for port {row['port']})"
    if not row["in_period"]:
        if pd.notna(row["valid_until"]) and row["first_seen"] > row["valid_until"]:
            text += f" (expired {row['valid_until']:%Y-%m-%d})"
        else:
            text += f" (from {row['valid_from']:%Y-%m-%d} only)"
    return text


def _finding(
    row: pd.Series,
    key: dict[str, Any],
    peers: list[str],
    severity: str,
    score: float,
    why: str,
    caveats: str,
    kinds: list[str],
) -> Finding:
    known = [kind for kind in kinds if kind in _TECHNIQUES]
    protocol = key["protocol"]
    return make_finding(
        DETECTOR,
        key["subject"],
        peers,
        Traffic(
            () if key["service_port"] is None else (int(key["service_port"]),),
            None if protocol is None or pd.isna(protocol) else int(protocol),
            *row[["first_seen", "last_seen", "connections", "bytes_out", "bytes_in"]],
        ),
        severity=severity,
        score=min(score, 1.0),
        summary=why,
        caveats=caveats,
        title=f"Contact with a listed address ({', '.join(kinds)})",
        technique=_TECHNIQUES[known[0]] if known else None,
    )
