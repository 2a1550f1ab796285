"""Everything that happened, in one order: findings, API events, alerts, name look-ups, notes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from flowbench import attribution, detect
from flowbench.schema import ITEM, ORIGIN, Table, to_frame

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
    ("source", "string", "what says so: finding, trace, DNS; with its id"),
)

_GRAVE = ("high", "critical")


def build(
    case: Case, about: str | None = None, findings: pd.DataFrame | None = None
) -> pd.DataFrame:
    """The timeline (TABLE), ordered by time, kind and reference.

    ``about`` is an address: what concerns it, its instance and the principal behind it. Without it,
    the subjects of all findings of severity high or above count, or of all if there are none.
    ``findings`` saves running the detectors again.
    """
    found = detect.run(case) if findings is None else findings
    subjects = [about] if about is not None else _subjects(found)
    traces = {subject: attribution.trace(case, subject) for subject in subjects}
    concerned = found[found["subject"].isin(subjects)]
    if about is None:
        concerned = concerned[concerned["severity"].isin(_GRAVE)] if subjects else found
    rows = [
        *_findings(concerned),
        *_api(case, traces),
        *_alerts(case, subjects, traces),
        *_names(case, subjects, concerned),
        *_notes(case, about),
    ]
    frame = TABLE.frame(rows)
    return frame.sort_values(
        ["time", "kind", "ref", "what", "line", "item"], ignore_index=True, kind="stable"
    )


def indicators(case: Case, findings: pd.DataFrame) -> pd.DataFrame:
    """The indicators of compromise (INDICATORS) that the case's grave findings rest on.

    Peers of findings of severity high or above, the names that led to them, and the instance,
    interface, principal, access key and source address behind each subject.
    """
    grave = findings[findings["severity"].isin(_GRAVE)]
    rows: dict[tuple[str, str], dict[str, Any]] = {}

    def add(
        indicator: Any, kind: str, role: str, first: Any, last: Any, by: str, source: str
    ) -> None:
        if indicator is None or pd.isna(indicator):
            return
        row = rows.setdefault(
            (kind, indicator),
            {
                "indicator": indicator,
                "type": kind,
                "role": [],
                "first_seen": first,
                "last_seen": last,
                "seen_by": [],
                "source": [],
            },
        )
        for name, value in (("role", role), ("seen_by", by), ("source", source)):
            if value not in row[name]:
                row[name].append(value)
        row["first_seen"] = min(
            (t for t in (row["first_seen"], first) if t is not None), default=None
        )
        row["last_seen"] = max((t for t in (row["last_seen"], last) if t is not None), default=None)

    for finding in grave.itertuples():
        if pd.notna(finding.peer) and finding.detector != "lateral-movement":
            add(
                finding.peer,
                "address",
                finding.title,
                finding.first_seen,
                finding.last_seen,
                finding.subject,
                finding.finding_id,
            )
    for row in _look_ups(case, [p for p in grave["peer"] if pd.notna(p)]):
        if row["srcaddr"] in set(grave["subject"]):
            add(
                row["name"],
                "domain",
                f"resolved to {', '.join(row['answers'])}",
                row["first"],
                row["last"],
                row["srcaddr"],
                "DNS query log",
            )
    for subject in _subjects(findings) if len(grave) else []:
        mine = grave[grave["subject"] == subject]
        first, last = mine["first_seen"].min(), mine["last_seen"].max()
        trace = attribution.trace(case, subject)
        add(subject, "address", "the inside host concerned", first, last, subject, "findings")
        for step, kind, role in (
            ("interface", "interface", "the host's interface"),
            ("instance", "instance", "the instance"),
            ("principal", "principal", "started the instance"),
            ("access key", "access key", "signed the call that started it"),
            ("called from", "address", "where the call came from"),
            ("origin", "principal", "made or changed the principal that started it"),
        ):
            for row in trace[(trace["step"] == step) & trace["value"].notna()].itertuples():
                at = None if pd.isna(row.time) else row.time
                source = f"event {row.ref}" if pd.notna(row.ref) else "inventory"
                add(row.value, kind, role, at, at, subject, source)
    return INDICATORS.frame(
        row | {name: "; ".join(row[name]) for name in ("role", "seen_by", "source")}
        for _, row in sorted(rows.items())
    )


def _subjects(found: pd.DataFrame) -> list[str]:
    grave = found[found["severity"].isin(_GRAVE)]
    return list(dict.fromkeys((grave if len(grave) else found)["subject"]))


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


def _api(case: Case, traces: dict[str, pd.DataFrame]) -> list[dict[str, Any]]:
    """What the principals behind the subjects did, who made them, what others did about them."""
    rows: dict[str, dict[str, Any]] = {}
    for subject, trace in traces.items():
        refs = trace.loc[trace["step"].isin(["start", "origin", "deed"]), "ref"].dropna()
        instances = list(trace.loc[trace["step"] == "instance", "value"])
        users = [v.rpartition("/")[2] for v in trace.loc[trace["step"] == "principal", "value"]]
        e = case.api_events
        touched = [e.instance_ids.contains(one) for one in instances]
        touched += [e.target_user == user for user in users]
        mine = e.event_id.isin(list(refs))
        for touch in touched:
            # Others' reading calls on an instance are routine; what they change is not.
            mine |= touch.fill_null(False) & ~e.read_only.fill_null(False)
        for event in to_frame(e.filter(mine).to_pyarrow()).astype(object).itertuples():
            event_row = pd.Series(event._asdict()).where(lambda s: s.map(_there), None)
            rows[event.source + str(event.item)] = {
                "time": event.event_time,
                "kind": "api",
                "what": attribution.deed(event_row),
                "subject": subject,
                "principal": event_row["principal_name"],
                "ref": event_row["event_id"],
                "source": event.source,
                "line": event.line,
                "item": event.item,
            }
    return list(rows.values())


def _there(value: object) -> bool:
    return (
        isinstance(value, list)
        or (hasattr(value, "__len__") and not isinstance(value, str))
        or bool(pd.notna(value))
    )


def _alerts(
    case: Case, subjects: list[str], traces: dict[str, pd.DataFrame]
) -> list[dict[str, Any]]:
    instances = {
        value: subject
        for subject, trace in traces.items()
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
                "source": alert["source"],
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
                    "source": row["source"],
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
        "name", "srcaddr", "query_time", "source", "line", "item", answer=d.answers.unnest()
    )
    answered = answered.filter(answered.answer.isin(peers))
    first = {
        name: answered[name].argmin(answered.query_time) for name in ("source", "line", "item")
    }
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
