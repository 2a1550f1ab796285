"""Segmentation: which connections does the case's segmentation policy deny?

Question: which connections does the policy kept with the case (see segmentation.policy) deny, and
which of those were attempted and rejected?

Method: compare the declared groups and rules with the recorded connections (see
flowbench.segmentation). The first rule that matches decides, else the policy's default.

Severity: high if a denied connection was accepted and answered, medium if it was accepted and not
answered, low for an attempt whose connections were all rejected (action REJECT).

False positives: a responder taken for the initiator (the initiator is an inference), a policy that
lacks a rule, an address whose assignment the inventory does not have.

Limitations: not detected are the clients behind a NAT gateway if no flow log covers their side, and
traffic that no flow log covers. Who may write tags decides who is in a group that is defined by
tags.
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
_MOST_LISTED = 5  # addresses and ports in a summary
_SERVICE = ["service_port", "protocol"]
_HOST = ["rule", "all_rejected", "direction", "subject"]
# What is one finding. A host with many ports has one for all of them: UNKNOWN stands for each.
_FINDING = [*_HOST, "finding_port", "finding_protocol"]
_TYPES = {"all_rejected": pa.bool_(), "direction": pa.string(), "subject": pa.string()}
_SUMS = ["connections", "rejected", "answered", "bytes_out", "bytes_in"]


DETECTOR = Detector(
    id=_ID,
    title="Segmentation violation",
    question="Which connections does the case's policy forbid?",
    technique="T1021",
    needs=frozenset(REQUIRED_FIELDS),
    tables=frozenset({"policy"}),
)


def find(case: Case) -> list[Finding]:
    """Detect connections that the case's policy denies.

    Returns:
        One finding per rule, internal host, service and outcome (accepted, or always rejected).
    """
    policy = parse_policy(case.policy or "", "the case's policy")
    return _build_findings(evaluate(case, policy))


def findings(evaluation: Evaluation) -> Findings:
    """Return the findings of an evaluated policy, as ``find`` does for the case's own."""
    return Findings(_build_findings(evaluation))


def _build_findings(
    evaluation: Evaluation,
    *,
    most_hosts: int = 500,
    most_peers: int = 1_000,
    most_ports: int = 20,
) -> list[Finding]:
    """Build the findings of an evaluated policy.

    Args:
        evaluation: The evaluated policy.
        most_hosts: Most findings of each rule and outcome: those with most connections.
        most_peers: Most addresses, and most services, of a finding that select its records.
        most_ports: A host with more services under one rule has one finding for all of them.
    """
    if evaluation.classes["allowed"].all():
        return []
    summaries = _summarize_denied(evaluation.denied_traffic, most_ports)
    totals = summaries.group_by(_FINDING).aggregate(
        **{name: _[name].sum().cast("int64") for name in _SUMS},
        first_seen=_.first_seen.min(),
        last_seen=_.last_seen.max(),
        peer_count=_.peer.nunique(),
        service_count=_.service_count.max(),
    )
    outcome = ["rule", "all_rejected"]
    by_size = ibis.window(
        group_by=outcome, order_by=[totals.connections.desc(), *_FINDING[len(outcome) :]]
    )
    totals = totals.mutate(
        rank=ibis.row_number().over(by_size),
        similar_count=totals.count().over(ibis.window(group_by=outcome)),
    )
    rows = to_frame(totals.filter(_.rank < most_hosts).order_by(_FINDING).to_pyarrow())
    keys = {name: pa.array(rows[name], _TYPES.get(name, pa.int32())) for name in _FINDING}
    listed = summaries.semi_join(ibis.memtable(pa.table(keys)), _FINDING)
    peers = _select_largest(listed, ["peer"], most_peers)
    services = _select_largest(listed, _SERVICE, most_peers)
    return [
        _build_finding(evaluation, row, peers[key], services[key], most_hosts)
        for row in rows.to_dict("records")
        for key in [tuple(row[name] for name in _FINDING)]
    ]


def _summarize_denied(denied: ibis.Table, most_ports: int) -> ibis.Table:
    """Summarise denied connections by rule, internal host, peer and service.

    Args:
        denied: ``Evaluation.denied_traffic``.
        most_ports: See ``_build_findings``.

    Returns:
        One row each, with the columns of ``_FINDING``, peer, service_port, protocol, ``_SUMS``
        (bytes_out: sent by the subject), first_seen, last_seen and service_count (of the host,
        under this rule).
    """
    is_inbound = denied.direction == "inbound"
    ends = denied.mutate(
        subject=is_inbound.ifelse(denied.responder, denied.initiator),
        peer=is_inbound.ifelse(denied.initiator, denied.responder),
        bytes_out=is_inbound.ifelse(denied.bytes_in, denied.bytes_out),
        bytes_in=is_inbound.ifelse(denied.bytes_out, denied.bytes_in),
    )
    summaries = ends.group_by("rule", "direction", "subject", "peer", *_SERVICE).aggregate(
        **{name: _[name].sum().cast("int64") for name in _SUMS},
        first_seen=_.first_seen.min(),
        last_seen=_.last_seen.max(),
    )
    summaries = summaries.mutate(all_rejected=summaries.connections == summaries.rejected)
    services = summaries.select(*_HOST, *_SERVICE).distinct()
    counts = services.group_by(_HOST).aggregate(service_count=_.count())
    summaries = summaries.inner_join(counts, _HOST)
    has_few = summaries.service_count <= most_ports
    return summaries.mutate(
        finding_port=has_few.ifelse(summaries.service_port, UNKNOWN).cast("int32"),
        finding_protocol=has_few.ifelse(summaries.protocol, UNKNOWN).cast("int32"),
    )


def _select_largest(
    summaries: ibis.Table, columns: list[str], most: int
) -> dict[tuple, list[tuple]]:
    """Select, for each finding, the values of ``columns`` with most connections, ``most`` each."""
    sums = summaries.group_by([*_FINDING, *columns]).aggregate(connections=_.connections.sum())
    by_size = ibis.window(group_by=_FINDING, order_by=[sums.connections.desc(), *columns])
    largest = sums.mutate(rank=ibis.row_number().over(by_size)).filter(_.rank < most)
    values: dict[tuple, list[tuple]] = {}
    ordered = largest.order_by(*_FINDING, "rank").select(*_FINDING, *columns)
    for row in ordered.to_pyarrow().to_pylist():
        key = tuple(row[name] for name in _FINDING)
        values.setdefault(key, []).append(tuple(row[name] for name in columns))
    return values


def _build_finding(
    evaluation: Evaluation,
    row: dict[str, Any],
    peers: list[tuple],
    services: list[tuple],
    most_hosts: int,
) -> Finding:
    """Build one finding of a row of totals, with its largest peers and services."""
    rules = evaluation.policy.rules
    rule = rules[row["rule"]] if row["rule"] < len(rules) else None
    addresses = [address for (address,) in peers]
    is_combined = row["service_count"] > 1 and row["finding_port"] == UNKNOWN and len(services) > 1
    summary = _summarize(
        row,
        _list_largest(addresses, row["peer_count"], "addresses"),
        _list_largest(
            [service_label(*service) for service in services],
            row["service_count"] if is_combined else 0,
            "ports",
        ),
        f"the rule '{rule.name}' (line {rule.line} of the policy) forbids it"
        if rule
        else "no rule of the policy allows it",
    )
    caveats = (
        "The initiator of a connection is inferred; group membership comes from inventory, logs and"
        " policy."
    )
    if "action" not in evaluation.case.fields:
        caveats += (
            " The flow log format lacks `action`: whether these connections were accepted is"
            " unknown; they are evaluated as accepted."
        )
    if row["peer_count"] > len(peers):
        caveats += f" Only the {len(peers):,} addresses with most connections select records."
    if is_combined:
        caveats += " The records are all traffic between these addresses on any of these ports."
    if row["similar_count"] > most_hosts:
        caveats += (
            f" {row['similar_count']:,} findings are like this one; the {most_hosts:,} largest are"
            " listed."
        )
    protocols = {protocol for _port, protocol in services}
    return make_finding(
        DETECTOR,
        row["subject"],
        addresses,
        Traffic(
            tuple(port for port, _protocol in services if port != UNKNOWN),
            protocols.pop() if len(protocols) == 1 and UNKNOWN not in protocols else None,
            row["first_seen"],
            row["last_seen"],
            row["connections"],
            row["bytes_out"],
            row["bytes_in"],
        ),
        severity="low" if row["all_rejected"] else "high" if row["answered"] else "medium",
        score=1.0 if row["all_rejected"] or row["answered"] else 0.7,
        summary=summary,
        caveats=caveats,
        title="Segmentation violation attempt, rejected" if row["all_rejected"] else None,
        technique=_TECHNIQUES.get(row["direction"]),
        about=f"{rule.name if rule else DEFAULT}|{row['all_rejected']}|{row['direction']}",
        peers_complete=row["peer_count"] <= len(peers),
    )


def _summarize(row: dict[str, Any], peers: str, services: str, decision: str) -> str:
    """Write a finding's summary, from the initiator's side."""
    ends = [row["subject"], peers]
    initiator, responder = reversed(ends) if row["direction"] == "inbound" else ends
    times = format_count(row["connections"], "time")
    if row["all_rejected"]:
        return (
            f"{initiator} attempted {times} to connect to {responder} on {services}, always"
            f" rejected; {decision}."
        )
    return (
        f"{initiator} connected to {responder} {times} on {services}, {row['answered']:,} answered"
        f" and {row['rejected']:,} rejected; {decision}."
    )


def _list_largest(names: list[str], count: int, noun: str) -> str:
    """List the first names, and how many there are if there are more than are listed."""
    listed = ", ".join(names[:_MOST_LISTED])
    return f"{count:,} {noun} ({listed}, …)" if count > _MOST_LISTED else listed
