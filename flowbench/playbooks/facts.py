"""The last table of a playbook: what to report about the hosts or principals that it examined.

The rows are the connections of what was examined with the peers that were examined, and the
timeline of the related findings: those of its finding groups, and of the groups that are linked to
these (see detect.group_links) or whose subject is a peer in one of these, directly or through
groups of medium severity or above. A link shows that a path existed, not that it was used.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import ibis
import numpy as np
import pandas as pd

from flowbench.detect import Finding, Findings, link_groups
from flowbench.detect.grouping import findings_by_group
from flowbench.enrich import ports
from flowbench.investigate import timeline
from flowbench.investigate.timeline.build import finding_rows
from flowbench.investigate.timeline.traffic import FIRST_ACCEPTED, FIRST_REJECTED, LAST
from flowbench.schema import Table, to_frame
from flowbench.text import format_count, is_address, list_some

if TYPE_CHECKING:
    from flowbench.case import Case

FACTS = Table.of(
    "facts",
    ("first_seen", "time", "when it happened or began"),
    ("last_seen", "time", "when it ended; null for a moment"),
    ("actor", "string", "who acted: an address or a principal"),
    ("activity", "string", "what was done: connections, title of a finding, an API call, an alert"),
    ("object", "string", "what it was done to: an address, instance, user, domain, …"),
    ("count", "int64", "number of connections, API events or queries; null for one"),
    ("bytes_out", "int64", "bytes that the actor sent: of connections and findings"),
    ("bytes_in", "int64", "bytes that it received"),
    ("severity", "string", "of a finding or an alert"),
    ("detail", "string", "the same in one sentence"),
    ("record", "string", "finding id, event id or alert id, else the first record: file and line"),
)

_MOST_PEERS = 20  # of a finding that relate it to one of them: a scan has thousands
_TURNS = (FIRST_ACCEPTED, FIRST_REJECTED, LAST)
_ANSWERED, _REJECTED, _SILENT = "", "rejected", "unanswered"  # outcomes, as activities name them
_ORDER = ["first_seen", "last_seen", "actor", "activity", "object", "detail", "record"]


def list_facts(
    case: Case, findings: Findings, about: str, peers: Sequence[str] = ()
) -> pd.DataFrame:
    """Return what to report about a host, external address or principal, from the evidence.

    Args:
        case: The case.
        findings: The findings of all detectors.
        about: What a playbook examined: an address or the name of a principal.
        peers: The addresses whose connections with it the playbook examined; the first 20 count.

    Returns:
        Rows of FACTS, in order of time. Without related findings, only the connections with
        ``peers``, and for a principal its timeline.

    Raises:
        InputError: ``about`` is a principal that the case does not have, or an address that several
            hosts have.
    """
    about = case.check_host(about) if is_address(about) else about
    related = _related_findings(case, findings, about)
    events = timeline.TABLE.frame([])
    if related:
        events = _related_events(case, related, about)
    elif not is_address(about):
        events = timeline.build(case, about=about, findings=findings)
    turns = events[events["activity"].isin(_TURNS)]
    pairs = {frozenset((about, peer)) for peer in peers[:_MOST_PEERS]}
    pairs |= {frozenset(pair) for pair in zip(turns["actor"], turns["object"], strict=True)}
    connections = _sum_connections(case, pairs)
    events = events.drop(index=_find_covered(turns, connections))
    rows = [*_connection_rows(connections), *_timeline_rows(case, events, findings)]
    return FACTS.frame(rows).sort_values(_ORDER, ignore_index=True, kind="stable")


def _related_findings(case: Case, findings: Findings, about: str) -> Findings:
    """The findings that concern something; from medium severity on, also those linked to it."""
    own = [f for f in findings if f.subject == about or about in _peers_of([f])]
    if all(finding.severity == "low" for finding in own):
        return Findings(own)
    groups = findings_by_group(findings)
    found = {name for name, group in groups.items() if not set(own).isdisjoint(group)}
    links = link_groups(case, findings)
    pairs = {*zip(links["from_group"], links["to_group"], strict=True)}
    named = ((name, peer) for name, group in groups.items() for peer in _peers_of(group))
    pairs |= {(name, peer) for name, peer in named if peer in groups}
    passed = found
    while passed:
        linked = {end for pair in pairs if not passed.isdisjoint(pair) for end in pair} - found
        found = found | linked
        passed = {name for name in linked if groups[name][0].severity != "low"}
    return Findings(finding for name in found for finding in groups[name])


def _peers_of(group: Iterable[Finding]) -> Iterator[str]:
    for finding in group:
        if finding.severity != "low" and len(finding.peers) <= _MOST_PEERS:
            yield from finding.peers


def _related_events(case: Case, related: Findings, about: str) -> pd.DataFrame:
    """The timeline of related findings, without hosts that only alerts lead to."""
    shown = Findings(f for f in related if f.severity != "low" or about in (f.subject, *f.peers))
    own = timeline.TABLE.frame(vars(event) for event in finding_rows(case, shown))
    if not related.at_least("medium"):
        return own
    events = timeline.build(case, findings=related)
    names = {about}
    for finding in related:
        names.update((finding.subject, *finding.peers, *finding.evidence.targets))
    is_named = events["actor"].isin(names) | events["object"].isin(names)
    is_own = events["data_source"].isin(("CloudTrail", "notes"))
    others = events[(is_named | is_own) & (events["data_source"] != "flowbench")]
    return pd.concat([own, others], ignore_index=True)


def _sum_connections(case: Case, pairs: Collection[frozenset[str]]) -> pd.DataFrame:
    """The connections of each pair of addresses by initiator and outcome, with their services."""
    ends = sorted(set().union(*pairs)) if pairs else []
    table = case.connection_summaries
    own = table.filter(table.initiator.isin(ends) & table.responder.isin(ends))
    is_rejected = own.rejected == own.connections
    own = own.mutate(
        outcome=ibis.cases((own.answered > 0, _ANSWERED), (is_rejected, _REJECTED), else_=_SILENT)
    )
    key = ["initiator", "responder", "direction", "outcome"]
    rows = own.group_by(key).aggregate(
        first_seen=own.first_seen.min(),
        last_seen=own.last_seen.max(),
        connections=own.connections.sum(),
        bytes_out=own.bytes_out.sum(),
        bytes_in=own.bytes_in.sum(),
        services=ibis.struct({"port": own.service_port, "protocol": own.protocol}).collect(
            order_by=[own.connections.desc(), own.service_port, own.protocol]
        ),
    )
    frame = to_frame(rows.order_by(key).to_pyarrow())
    found = zip(frame["initiator"], frame["responder"], strict=True)
    return frame[np.array([frozenset(pair) in pairs for pair in found], dtype=bool)]


def _find_covered(turns: pd.DataFrame, connections: pd.DataFrame) -> list[int]:
    """Return the index of first and last connections at which a row of connections begins or ends.

    A host may have used a service before: a turning point within a row of connections stays.
    """
    bounds = {
        (row.initiator, row.responder, moment)
        for row in connections.itertuples()
        for moment in (row.first_seen, row.last_seen)
    }
    return [row.Index for row in turns.itertuples() if (row.actor, row.object, row.time) in bounds]


def _connection_rows(connections: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for row in connections.to_dict("records"):
        labels = [ports.label(each["port"], each["protocol"]) for each in row["services"]]
        services = list_some(dict.fromkeys(labels), 3)
        yield {
            "actor": row["initiator"],
            "activity": _name_activity(row),
            "object": row["responder"],
            "count": row["connections"],
            "detail": f"{format_count(row['connections'], 'connection')} to {services}.",
            **{name: row[name] for name in ("first_seen", "last_seen", "bytes_out", "bytes_in")},
        }


def _name_activity(row: Mapping[str, Any]) -> str:
    """Name connections: 'Connections', 'Rejected internal connections'."""
    internal = "internal " if row["direction"] == "internal" else ""
    return f"{row['outcome']} {internal}connections".strip().capitalize()


def _timeline_rows(
    case: Case, events: pd.DataFrame, findings: Findings
) -> Iterator[dict[str, Any]]:
    by_id = {finding.finding_id: finding for finding in findings}
    evidence = case.evidence
    files = dict(zip(evidence["evidence_id"], evidence["file"], strict=True))
    for row in events.astype(object).where(events.notna(), None).to_dict("records"):
        finding = by_id.get(row["evidence"]) if row["data_source"] == "flowbench" else None
        volume: tuple[int | None, int | None] = (None, None)
        if finding is not None and finding.evidence.flows:
            volume = finding.bytes_out, finding.bytes_in
            if finding.subject != row["actor"]:  # of a remote access, the actor is the peer
                volume = volume[::-1]
        yield {
            "first_seen": row["time"],
            "last_seen": row["end"],
            "bytes_out": volume[0],
            "bytes_in": volume[1],
            "record": _name_record(row, files),
            **{name: row[name] for name in ("actor", "activity", "object", "count")},
            **{name: row[name] for name in ("severity", "detail")},
        }


def _name_record(row: Mapping[str, Any], files: Mapping[str, str]) -> str | None:
    if row["evidence"] is not None:
        return str(row["evidence"])
    if row["evidence_id"] is None:
        return None
    file = files.get(row["evidence_id"], row["evidence_id"])
    return f"{file}, line {row['line']}"
