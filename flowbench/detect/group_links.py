"""Links between finding groups: how activity may have come from one host or principal to another.

Four relations, each in order of time:

* administrative session: a host opened sessions of a login service, SMB or a database to another
  host; both have findings, one of them of medium severity or above. Sessions count from an hour
  before the first finding of the opening host on, with as many packets each way as a login needs
  (SSHCure; see enrich.admin_sessions). SMB and databases that the host used before are its routine
  and are left out.
* common external peer: findings of medium severity or above about one external address.
* same creator: one principal (or access key) created the instances of both. Principals that create
  many instances, and services that do so for an account, are left out.
* role credentials: the session of an instance's role called AWS from an address of the other group,
  or the other group is about that session, or a user who calls from there too.

A link shows that a path existed, not that it was used for the attack.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from flowbench.detect.findings import Findings
from flowbench.detect.grouping import findings_by_group
from flowbench.detect.link_records import (
    ROUTINE_PORTS,
    read_creations,
    read_internal,
    read_role_uses,
    read_sessions,
)
from flowbench.schema import Table
from flowbench.selector import ApiEventSelector, EvidenceSelector

if TYPE_CHECKING:
    from flowbench.case import Case
    from flowbench.detect.finding import Finding

LINKS = Table.of(
    "group_links",
    ("from_group", "string", "subject of the finding group that the link comes from"),
    ("to_group", "string", "subject of the group that it goes to"),
    (
        "relation",
        "string",
        "administrative session, common external peer, same creator or role credentials",
    ),
    (
        "via",
        "string",
        "the common peer, creator or role session; hosts that no group has the name of",
    ),
    ("service_port", "int32", "the port of the sessions; null without"),
    ("first_seen", "time", "the first session, contact, creation or call"),
    ("last_seen", "time", "the end of the last one"),
    ("connections", "int64", "number of sessions, of connections with the peer, or of API events"),
    ("finding_ids", "strings", "findings of both groups that name the other, else the first ones"),
    ("evidence", "string", "selector of the records, as JSON; see Case.evidence_for"),
)

SESSION, COMMON_PEER = "administrative session", "common external peer"
SAME_CREATOR, ROLE_CREDENTIALS = "same creator", "role credentials"

_BEFORE = pd.Timedelta("1h")  # before the first finding, in which sessions count
_MOST_PEERS = 20  # of a finding that are compared: a scan has thousands
_MOST_SHARING = 20  # groups with a common peer that are linked: more share a service
_TCP = 6

Groups = Mapping[str, Sequence["Finding"]]
Row = dict[str, Any]


class _Contact(NamedTuple):
    first_seen: pd.Timestamp
    group: str
    finding: Finding


def link_groups(case: Case, findings: Findings) -> pd.DataFrame:
    """Link the finding groups of a case that concern one another.

    Args:
        case: The case.
        findings: The findings; their groups are those of ``grouping.group_findings``.

    Returns:
        One row for each link (LINKS), in order of time.
    """
    groups = findings_by_group(findings)
    if len(groups) < 2:
        return LINKS.frame([])
    group_of = _index_hosts(groups)
    rows = [*_link_sessions(case, groups, group_of), *_link_peers(case, groups)]
    if case.has("api_events"):
        rows += [*_link_creations(case, groups, group_of), *_link_roles(case, groups, group_of)]
    key = ("from_group", "to_group", "relation", "via", "service_port")
    unique = {tuple(row[name] for name in key): row for row in rows}
    frame = LINKS.frame(unique.values())
    return frame.sort_values(["first_seen", *key], ignore_index=True, kind="stable")


def _index_hosts(groups: Groups) -> dict[str, str]:
    """The group of each host: its own, else that of the external address it has in common."""
    found: dict[str, str] = {}
    for name, findings in groups.items():
        for finding in findings:
            found.setdefault(finding.subject, name)
    return found | {name: name for name in groups}


def _link_sessions(case: Case, groups: Groups, group_of: Mapping[str, str]) -> Iterator[Row]:
    since = {
        host: min(finding.first_seen for finding in groups[name]) - _BEFORE
        for host, name in group_of.items()
    }
    for row in read_sessions(case, since):
        ends = row["initiator"], row["responder"]
        from_group, to_group = group_of[ends[0]], group_of[ends[1]]
        is_routine = row["before"] and row["service_port"] in ROUTINE_PORTS
        severities = {groups[name][0].severity for name in (from_group, to_group)}
        if from_group == to_group or is_routine or severities == {"low"}:
            continue
        first, last = row["first_seen"], row["last_seen"]
        selector = EvidenceSelector(ends[0], (ends[1],), (row["service_port"],), _TCP, first, last)
        yield _row(
            SESSION,
            groups,
            (from_group, to_group),
            ends,
            row,
            selector,
            via=None if ends == (from_group, to_group) else " to ".join(ends),
            service_port=row["service_port"],
        )


def _link_peers(case: Case, groups: Groups) -> Iterator[Row]:
    contacts: dict[str, dict[str, _Contact]] = {}
    for name, findings in groups.items():
        for finding in findings:
            if finding.severity == "low" or len(finding.peers) > _MOST_PEERS:
                continue
            for peer in finding.peers:
                of_peer = contacts.setdefault(peer, {})
                contact = _Contact(finding.first_seen, name, finding)
                of_peer[name] = min(of_peer.get(name, contact), contact, key=lambda c: c[:2])
    shared = {peer: found for peer, found in contacts.items() if len(found) > 1}
    internal = read_internal(case, shared)
    for peer, found in sorted(shared.items()):
        if peer in internal or len(found) > _MOST_SHARING:
            continue
        first, *others = sorted(found.values(), key=lambda contact: contact[:2])
        for other in others:
            finding = other.finding
            row = {"first_seen": finding.first_seen, "last_seen": finding.last_seen}
            row["connections"] = finding.connections
            pair = (first.group, other.group)
            yield _row(COMMON_PEER, groups, pair, (peer,), row, finding.evidence, via=peer)


def _link_creations(case: Case, groups: Groups, group_of: Mapping[str, str]) -> Iterator[Row]:
    """Link hosts that one principal created, and a principal with findings to these hosts."""
    for creator, created in read_creations(case, group_of):
        names = {group_of[row["address"]] for row in created}
        own = [name for name in (creator, creator.partition("/")[0]) if name in groups]
        if len(names) < 2 and not own:
            continue
        first = own[0] if own else group_of[created[0]["address"]]
        for row in created:
            pair = (first, group_of[row["address"]])
            if pair[0] != pair[1] and row["event_id"]:
                event = ApiEventSelector(event_ids=(row["event_id"],))
                selector = EvidenceSelector(creator, flows=False, api_events=event)
                yield _row(SAME_CREATOR, groups, pair, (), row, selector, via=creator)


def _link_roles(case: Case, groups: Groups, group_of: Mapping[str, str]) -> Iterator[Row]:
    for use in read_role_uses(case):
        origin = group_of.get(use.host)
        if origin is None:
            continue
        for name in use.names:
            target = group_of.get(name)
            if target is not None and target != origin:
                selector = EvidenceSelector(use.session, flows=False, api_events=use.selector)
                pair, row = (origin, target), use.row
                yield _row(ROLE_CREDENTIALS, groups, pair, (name,), row, selector, via=use.session)


def _row(
    relation: str,
    groups: Groups,
    pair: tuple[str, str],
    ends: tuple[str, ...],
    row: Mapping[str, Any],
    selector: EvidenceSelector,
    *,
    via: str | None = None,
    service_port: int | None = None,
) -> Row:
    return {
        "from_group": pair[0],
        "to_group": pair[1],
        "relation": relation,
        "via": via,
        "service_port": service_port,
        "first_seen": row["first_seen"],
        "last_seen": row["last_seen"],
        "connections": row["connections"],
        "finding_ids": _cite(groups, pair, ends),
        "evidence": selector.to_json(),
    }


def _cite(groups: Groups, pair: tuple[str, str], ends: tuple[str, ...]) -> list[str]:
    """The findings of both groups that name the other's host or the peer, else their first."""
    cited: list[str] = []
    for name in pair:
        naming = [
            finding.finding_id
            for finding in groups[name]
            if not {end for end in ends if end != finding.subject}.isdisjoint(finding.peers)
        ]
        cited += naming or [groups[name][0].finding_id]
    return list(dict.fromkeys(cited))
