"""Everything that happened, in one order: findings, API events, alerts, name look-ups, notes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from flowbench import detect
from flowbench.investigate import attribution
from flowbench.schema import ITEM, ORIGIN, Table

if TYPE_CHECKING:
    from flowbench.case import Case

TABLE = Table.of(
    "timeline",
    ("time", "time", "when it happened or began"),
    ("until", "time", "when it ended; null for a moment"),
    ("kind", "string", "finding, api, alert, dns or note"),
    ("what", "string", "one sentence"),
    ("subject", "string", "the inside address or principal it is about"),
    ("peer", "string", "the other side, where there is one"),
    ("severity", "string", "of a finding or an alert"),
    ("principal", "string", "who made the call, for API events"),
    ("ref", "string", "finding id, event id or alert id"),
    *ORIGIN,
    ITEM,
)

INDICATORS = Table.of(
    "iocs",
    ("indicator", "string", "the address, name, id or key to look for elsewhere"),
    ("type", "string", "address, domain, principal, access key, instance or interface"),
    ("role", "string", "what it did here"),
    ("first_seen", "time", "first sign of it in this case (UTC)"),
    ("last_seen", "time", "last sign of it"),
    ("seen_by", "string", "the inside host or principal concerned"),
    ("evidence_id", "string", "what says so: finding, trace, DNS; with its id"),
)

_GRAVE = ("high", "critical")


def build(
    case: Case, about: str | None = None, findings: pd.DataFrame | None = None
) -> pd.DataFrame:
    """The timeline (TABLE), ordered by time, kind and reference.

    ``about`` is an address: what concerns it, its instance and the principal behind it. Without it,
    the subjects of all findings of severity high or above count; if there are none, all findings
    and all alerts are there, and nobody's API calls. ``findings`` saves running the detectors
    again.
    """
    found = detect.run(case) if findings is None else findings
    grave = found[found["severity"].isin(_GRAVE)]
    followed = list(dict.fromkeys(grave["subject"])) if about is None else [about]
    if about is not None:
        concerned = grave = found[found["subject"] == about]
    else:
        concerned = grave if followed else found
    traces = [(subject, trace) for subject, trace, _mine in attribution.traces(case, grave)]
    if about is not None and not traces:
        traces = [(about, attribution.trace(case, about))]
    rows = [
        *_findings(concerned),
        *_api(case, traces),
        *_alerts(case, followed, traces),
        *_names(case, followed or list(found["subject"]), concerned),
        *_notes(case, about),
    ]
    frame = TABLE.frame(rows)
    return frame.sort_values(
        ["time", "kind", "ref", "what", "evidence_id", "line", "item"],
        ignore_index=True,
        kind="stable",
    )


def indicators(case: Case, findings: pd.DataFrame) -> pd.DataFrame:
    """The indicators of compromise (INDICATORS) that the case's grave findings rest on.

    Peers of findings of severity high or above, the names that led to them, and the instance,
    interface, principal, access key and source address behind each subject, with the first and last
    sign of each among these findings and the events of their traces.
    """
    grave = findings[findings["severity"].isin(_GRAVE)]
    signs = [*_peers(case, grave), *_domains(case, grave)]
    for subject, trace, mine in attribution.traces(case, grave):
        signs += _behind(case, subject, trace, mine)
    if not signs:
        return INDICATORS.frame([])

    def together(texts: pd.Series) -> str:
        return "; ".join(dict.fromkeys(texts))

    frame = pd.DataFrame(signs).groupby(["type", "indicator"], as_index=False, sort=True)
    rows = frame.agg(
        role=("role", together),
        first_seen=("first", "min"),
        last_seen=("last", "max"),
        seen_by=("by", together),
        source=("evidence_id", together),
    )
    return INDICATORS.frame(rows.to_dict("records"))


def _peers(case: Case, grave: pd.DataFrame) -> list[dict[str, Any]]:
    """Peers outside: what was attacked inside is a victim, and no indicator."""
    ours = _inside(case, list(grave["peer"].dropna()))
    outside = grave[grave["peer"].notna() & ~grave["peer"].isin(ours)]
    return [
        {
            "indicator": row.peer,
            "type": "address",
            "role": row.title,
            "first": row.first_seen,
            "last": row.last_seen,
            "by": row.subject,
            "evidence_id": row.finding_id,
        }
        for row in outside.itertuples()
    ]


def _inside(case: Case, addresses: list[str]) -> set[str]:
    """Which of some addresses are ours."""
    pairs = case.connection_summaries
    ends = [
        pairs.filter(pairs[end].isin(addresses), pairs.direction.isin(["internal", way]))
        .select(address=pairs[end])
        .distinct()
        for end, way in (("initiator", "outbound"), ("responder", "inbound"))
    ]
    return set(ends[0].union(ends[1]).to_pyarrow()["address"].to_pylist()) if addresses else set()


def _domains(case: Case, grave: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {
            "indicator": row["name"],
            "type": "domain",
            "role": f"resolved to {', '.join(row['answers'])}",
            "first": row["first"],
            "last": row["last"],
            "by": row["srcaddr"],
            "evidence_id": "DNS query log",
        }
        for row in _look_ups(case, list(grave["peer"].dropna()))
        if row["srcaddr"] in set(grave["subject"])
    ]


_BEHIND = (
    ("interface", "interface", "the host's interface"),
    ("instance", "instance", "the instance"),
    ("principal", "principal", "started the instance"),
    ("access key", "access key", "signed the call that started it"),
    ("called from", "address", "where the call came from"),
    ("origin", "principal", "made or changed the principal that started it"),
)


def _behind(
    case: Case, subject: str, trace: pd.DataFrame, mine: pd.DataFrame
) -> list[dict[str, Any]]:
    """The host itself and who is behind it."""
    events = case.api_events.filter(case.api_events.event_id.isin(_refs(trace)))
    calls = events.select(
        "event_id", "event_time", "principal_arn", "access_key_id", "new_access_key_id",
        "source_ip", "target_user", "instance_ids", "interface_ids",
    ).order_by("event_time", "event_id").to_pyarrow().to_pylist()  # fmt: skip
    first, last = mine["first_seen"].min(), mine["last_seen"].max()
    host = {"by": subject, "first": first, "last": last}
    signs = [
        host
        | {
            "indicator": subject,
            "type": "address",
            "role": "the inside host concerned",
            "evidence_id": "findings",
        }
    ]
    for step, kind, role in _BEHIND:
        for row in trace[(trace["step"] == step) & trace["value"].notna()].itertuples():
            times = [call["event_time"] for call in calls if _names_it(call, row.value)]
            times += [row.time] if pd.notna(row.time) else []
            times += [first, last] if kind in ("instance", "interface") else []
            signs.append(
                {
                    "indicator": row.value,
                    "type": kind,
                    "role": role,
                    "first": min(times, default=None),
                    "last": max(times, default=None),
                    "by": subject,
                    "evidence_id": f"event {row.ref}"
                    if pd.notna(row.ref)
                    else ("inventory" if pd.notna(row.file) else "flow logs"),
                }
            )
    made = set(trace.loc[trace["step"] == "origin", "ref"].dropna())
    signs += [
        {
            "indicator": call["access_key_id"],
            "type": "access key",
            "role": "signed the calls that set that principal up",
            "first": call["event_time"],
            "last": call["event_time"],
            "by": subject,
            "evidence_id": f"event {call['event_id']}",
        }
        for call in calls
        if call["event_id"] in made
    ]
    return signs


def _names_it(call: dict[str, Any], thing: str) -> bool:
    """Whether an API event is a sign of a key, an address, a user, an instance or an interface."""
    user = thing.rpartition(":user/")[2] if ":user/" in thing else None
    return (
        any(call[name] == thing for name in call if name not in ("event_time", "target_user"))
        or any(thing in (call[name] or ()) for name in ("instance_ids", "interface_ids"))
        or (user is not None and call["target_user"] == user.rpartition("/")[2])
    )


def _findings(found: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {
            "time": row.first_seen,
            "until": row.last_seen,
            "kind": "finding",
            "what": f"{row.title}: {row.why}",
            "subject": row.subject,
            "peer": None if pd.isna(row.peer) else row.peer,
            "severity": row.severity,
            "ref": row.finding_id,
        }
        for row in found.itertuples()
    ]


def _api(case: Case, traces: list[tuple[str, pd.DataFrame]]) -> list[dict[str, Any]]:
    """What the principals behind the subjects did, who made them, what others did about them."""
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for subject, trace in traces:
        instances = list(trace.loc[trace["step"] == "instance", "value"])
        users = [v.rpartition("/")[2] for v in trace.loc[trace["step"] == "principal", "value"]]
        e = case.api_events
        touched = [e.instance_ids.contains(one) for one in instances]
        touched += [e.target_user == user for user in users]
        mine = e.event_id.isin(_refs(trace))
        for touch in touched:
            # Others' reading calls on an instance are routine; what they change is not.
            mine |= touch.fill_null(False) & ~e.read_only.fill_null(False)
        for event in e.filter(mine).to_pyarrow().to_pylist():
            rows[event["evidence_id"], event["line"], event["item"]] = {
                "time": event["event_time"],
                "kind": "api",
                "what": attribution.deed(event),
                "subject": subject,
                "principal": event["principal_name"],
                "ref": event["event_id"],
                **{name: event[name] for name in ("evidence_id", "line", "item")},
            }
    return list(rows.values())


def _refs(trace: pd.DataFrame) -> list[str]:
    """The events of a trace in which the principal acted or was acted upon."""
    told = trace[trace["step"].isin(["start", "origin", "maker", "deed"])]
    return list(told["ref"].dropna())


def _alerts(
    case: Case, subjects: list[str], traces: list[tuple[str, pd.DataFrame]]
) -> list[dict[str, Any]]:
    instances = {
        value: subject
        for subject, trace in traces
        for value in trace.loc[trace["step"] == "instance", "value"].dropna()
    }
    a = case.alerts
    mine = a.local_address.isin(subjects) | a.instance_id.isin(list(instances))
    found = a.filter(mine.fill_null(False)) if subjects else a
    rows = []
    for alert in found.order_by("first_seen", "alert_id").to_pyarrow().to_pylist():
        peer = alert["remote_address"] or alert["domain"]
        about = f" with {peer}" if peer else ""
        times = f", {alert['count']} times" if alert["count"] else ""
        rows.append(
            {
                "time": alert["first_seen"] or alert["created_at"] or alert["updated_at"],
                "until": alert["last_seen"],
                "kind": "alert",
                "what": f"GuardDuty: {alert['type']}{about}{times}.",
                "subject": alert["local_address"] or instances.get(alert["instance_id"]),
                "peer": peer,
                "severity": alert["severity_label"],
                "ref": alert["alert_id"],
                "evidence_id": alert["evidence_id"],
                "line": alert["line"],
                "item": alert["item"],
            }
        )
    return rows


def _names(case: Case, subjects: list[str], found: pd.DataFrame) -> list[dict[str, Any]]:
    """The look-ups that led to a finding's peer: the first of each name, and how often it came."""
    rows = []
    for row in _look_ups(case, [peer for peer in found["peer"] if pd.notna(peer)]):
        if row["srcaddr"] in subjects:
            again = f", {row['times']} times" if row["times"] > 1 else ""
            rows.append(
                {
                    "time": row["first"],
                    "until": row["last"] if row["times"] > 1 else None,
                    "kind": "dns",
                    "what": f"{row['srcaddr']} looked up {row['name']} and was given"
                    f" {', '.join(row['answers'])}{again}.",
                    "subject": row["srcaddr"],
                    "peer": row["answers"][0],
                    "evidence_id": row["evidence_id"],
                    "line": row["line"],
                    "item": row["item"],
                }
            )
    return rows


def _look_ups(case: Case, peers: list[str]) -> list[dict[str, Any]]:
    """Per host and name that resolved to one of some addresses: first, last, times, answers."""
    if not peers:
        return []
    d = case.dns
    answered = d.select(
        "name", "srcaddr", "query_time", "evidence_id", "line", "item", answer=d.answers.unnest()
    )
    answered = answered.filter(answered.answer.isin(peers))
    order = [answered[name] for name in ("query_time", "evidence_id", "line", "item")]
    first = {name: answered[name].first(order_by=order) for name in ("evidence_id", "line", "item")}
    found = answered.group_by("srcaddr", "name").aggregate(
        first=answered.query_time.min(),
        last=answered.query_time.max(),
        times=answered.count(),
        answers=answered.answer.collect(distinct=True),
        **first,
    )
    rows = found.order_by("srcaddr", "name").to_pyarrow().to_pylist()
    return [row | {"answers": sorted(row["answers"])} for row in rows]


def _notes(case: Case, about: str | None) -> list[dict[str, Any]]:
    return [
        {
            "time": pd.Timestamp(note["at"] or note["written"]),
            "kind": "note",
            "what": note["text"],
            "subject": note["about"],
        }
        for note in case.notes
        if about is None or note["about"] in (None, about)
    ]
