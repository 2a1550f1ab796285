"""Segmentation: does what was seen keep to the policy?

Question: which connections does the policy kept with the case (see segmentation.policy) forbid, and
which of those were tried and refused?

Method: declared groups and rules against what was seen (see flowbench.segmentation): the first rule
that fits decides, else the policy's default. What passed and was answered is high, what passed
without an answer medium, what was refused every time an attempt, and low.

Fires falsely: a responder taken for the initiator (who opened is an inference); a policy that
forgot something; an address whose holder the inventory does not know. Cannot see: who a NAT gateway
spoke for, if its clients' side is not logged; traffic that no flow log covers. Whoever may write
tags chooses who is in the groups that are made by tags.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ibis
import pyarrow as pa
from ibis import _

from flowbench.detect.detector import Detector
from flowbench.detect.finding import Finding, Traffic, make_finding
from flowbench.detect.findings import Findings
from flowbench.schema import to_frame
from flowbench.segmentation import Evaluation, evaluate, parse_policy
from flowbench.segmentation.evaluation import REQUIRED_FIELDS
from flowbench.segmentation.results import DEFAULT, UNKNOWN, service_label
from flowbench.text import format_count

if TYPE_CHECKING:
    from flowbench.case import Case

_ID = "segmentation"
_TECHNIQUES = {"inbound": "T1133", "outbound": "T1071"}
_NAMED = 5  # addresses and ports told in a sentence
_DOOR = ["service_port", "protocol"]
_HOST = ["rule", "tried", "direction", "subject"]
_ONE = [*_HOST, "at_port", "by_protocol"]  # what is one finding
_TYPES = {"tried": pa.bool_(), "direction": pa.string(), "subject": pa.string()}
_COUNTS = ["connections", "rejected", "answered", "sent", "got"]


DETECTOR = Detector(
    id=_ID,
    title="Segmentation violation",
    question="Which connections does the case's policy forbid?",
    technique="T1021",
    needs=frozenset(REQUIRED_FIELDS),
    tables=frozenset({"policy"}),
)


def find(case: Case) -> list[Finding]:
    """One finding per rule, inside host, port and outcome (passed, or refused every time)."""
    policy = parse_policy(case.policy or "", "the case's policy")
    return _against(evaluate(case, policy))


def findings(judged: Evaluation) -> Findings:
    """Return the findings of an evaluated policy; see the detector."""
    return Findings(_against(judged))


def _against(
    judged: Evaluation, *, most_hosts: int = 500, most_peers: int = 1_000, most_ports: int = 20
) -> list[Finding]:
    """The findings.

    ``most_hosts``: so many of each rule and outcome are told, those with most connections.
    ``most_peers``: so many addresses and ports of a finding lead to records. ``most_ports``: a host
    with more ports under one rule is one finding for all of them.
    """
    if judged.classes["allowed"].all():
        return []
    pairs = _pairs(judged.denied_traffic, most_ports)
    totals = pairs.group_by(_ONE).aggregate(
        **{name: _[name].sum().cast("int64") for name in _COUNTS},
        first_seen=_.first_seen.min(),
        last_seen=_.last_seen.max(),
        peers=_.peer.nunique(),
        doors=_.doors.max(),
    )
    alike = ibis.window(group_by=["rule", "tried"])
    most = ibis.window(group_by=["rule", "tried"], order_by=[totals.connections.desc(), *_ONE[2:]])
    totals = totals.mutate(place=ibis.row_number().over(most), of=totals.count().over(alike))
    rows = to_frame(totals.filter(_.place < most_hosts).order_by(_ONE).to_pyarrow())
    told = {name: pa.array(rows[name], _TYPES.get(name, pa.int32())) for name in _ONE}
    shown = pairs.semi_join(ibis.memtable(pa.table(told)), _ONE)
    peers, doors = (_most(shown, what, most_peers) for what in (["peer"], _DOOR))
    return [
        _finding(judged, row, peers[key], doors[key], most_hosts)
        for row in rows.to_dict("records")
        for key in [tuple(row[name] for name in _ONE)]
    ]


def _pairs(against: ibis.Table, most_ports: int) -> ibis.Table:
    """Forbidden connections by rule, ends and port, seen from the inside, each with its outcome."""
    inbound = against.direction == "inbound"
    seen = against.mutate(
        subject=inbound.ifelse(against.responder, against.initiator),
        peer=inbound.ifelse(against.initiator, against.responder),
        sent=inbound.ifelse(against.bytes_in, against.bytes_out),
        got=inbound.ifelse(against.bytes_out, against.bytes_in),
    )
    pairs = seen.group_by("rule", "direction", "subject", "peer", *_DOOR).aggregate(
        **{name: _[name].sum().cast("int64") for name in _COUNTS},
        first_seen=_.first_seen.min(),
        last_seen=_.last_seen.max(),
    )
    pairs = pairs.mutate(tried=pairs.connections == pairs.rejected)
    doors = pairs.select(*_HOST, *_DOOR).distinct().group_by(_HOST).aggregate(doors=_.count())
    pairs = pairs.inner_join(doors, _HOST)
    few = pairs.doors <= most_ports
    return pairs.mutate(
        at_port=few.ifelse(pairs.service_port, UNKNOWN).cast("int32"),
        by_protocol=few.ifelse(pairs.protocol, UNKNOWN).cast("int32"),
    )


def _most(pairs: ibis.Table, what: list[str], most: int) -> dict[tuple, list[tuple]]:
    """Of each finding the ``what`` with most connections, at most so many."""
    counted = pairs.group_by([*_ONE, *what]).aggregate(n=_.connections.sum())
    rank = ibis.window(group_by=_ONE, order_by=[counted.n.desc(), *what])
    kept = counted.mutate(place=ibis.row_number().over(rank)).filter(_.place < most)
    found: dict[tuple, list[tuple]] = {}
    for row in kept.order_by(*_ONE, "place").select(*_ONE, *what).to_pyarrow().to_pylist():
        key = tuple(row[name] for name in _ONE)
        found.setdefault(key, []).append(tuple(row[name] for name in what))
    return found


def _finding(
    judged: Evaluation, row: dict[str, Any], peers: list[tuple], doors: list[tuple], most: int
) -> Finding:
    rules = judged.policy.rules
    rule = rules[row["rule"]] if row["rule"] < len(rules) else None
    names = [peer for (peer,) in peers]
    whom, on = ", ".join(names[:_NAMED]), ", ".join(service_label(*one) for one in doors[:_NAMED])
    if row["peers"] > _NAMED:
        whom = f"{row['peers']:,} addresses ({whom}, …)"
    wide = row["doors"] > 1 and row["at_port"] == UNKNOWN and len(doors) > 1
    if wide and row["doors"] > _NAMED:
        on = f"{row['doors']:,} ports ({on}, …)"
    first, second = (
        (whom, row["subject"]) if row["direction"] == "inbound" else (row["subject"], whom)
    )
    law = (
        f"the rule '{rule.name}' (line {rule.line} of the policy) forbids it"
        if rule
        else "no rule of the policy allows it"
    )
    times = format_count(row["connections"], "time")
    if row["tried"]:
        why = f"{first} attempted {times} to connect to {second} on {on}, always rejected; {law}."
    else:
        why = (
            f"{first} connected to {second} {times} on {on}, {row['answered']:,} answered and"
            f" {row['rejected']:,} rejected; {law}."
        )
    caveats = (
        "The initiator of a connection is inferred; group membership comes from inventory, logs and"
        " policy."
    )
    if "action" not in judged.case.fields:
        caveats += " The logs do not record the action: all connections count as accepted."
    if row["peers"] > len(peers):
        caveats += f" Only the {len(peers):,} addresses with most connections select records."
    if wide:
        caveats += " The records are all traffic between these addresses on any of these ports."
    if row["of"] > most:
        caveats += f" {row['of']:,} findings are like this one; the {most:,} largest are listed."
    protocols = {protocol for _port, protocol in doors}
    return make_finding(
        DETECTOR,
        row["subject"],
        names,
        Traffic(
            tuple(port for port, _protocol in doors if port != UNKNOWN),
            protocols.pop() if len(protocols) == 1 and UNKNOWN not in protocols else None,
            row["first_seen"],
            row["last_seen"],
            row["connections"],
            row["sent"],
            row["got"],
        ),
        severity="low" if row["tried"] else "high" if row["answered"] else "medium",
        score=1.0 if row["tried"] or row["answered"] else 0.7,
        summary=why,
        caveats=caveats,
        title="Segmentation violation attempt, rejected" if row["tried"] else None,
        technique=_TECHNIQUES.get(row["direction"]),
        about=f"{rule.name if rule else DEFAULT}|{row['tried']}|{row['direction']}",
        peers_complete=row["peers"] <= len(peers),
    )
