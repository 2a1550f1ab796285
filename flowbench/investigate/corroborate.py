"""Corroboration: GuardDuty findings beside the records that they speak of, and beside findings.

Each remote address, domain or caller of a GuardDuty finding is judged on its own: from the flow
records between it and the host, the DNS queries, or the API events in the finding's period. The
verdicts are those of alert_coverage; see docs/corroboration.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flowbench import detect
from flowbench.detect.link_records import read_internal
from flowbench.enrich.ports import label
from flowbench.investigate.alert_coverage import (
    CONFIRMED,
    CONTRADICTED,
    NOT_OBSERVABLE,
    NOT_SEEN,
    Absence,
    LogCoverage,
)
from flowbench.investigate.alert_records import Records, count_calls, count_flows, count_queries
from flowbench.investigate.alert_targets import Target, find_targets
from flowbench.investigate.guardduty_types import CLOUDTRAIL, DNS, FLOW_LOGS, suggest_type
from flowbench.schema import ITEM, ORIGIN, Table
from flowbench.text import format_count, list_some

if TYPE_CHECKING:
    import pandas as pd

    from flowbench.case import Case
    from flowbench.detect import Finding, Findings

VERDICTS = (CONFIRMED, CONTRADICTED, NOT_OBSERVABLE, NOT_SEEN)

TABLE = Table.of(
    "corroboration",
    ("alert_id", "string", "id of the GuardDuty finding"),
    ("type", "string", "its type"),
    ("severity", "string", "its severity: low, medium, high or critical"),
    ("sample", "bool", "whether it is a sample finding, which describes no activity"),
    ("alert_first_seen", "time", "first activity of the GuardDuty finding"),
    ("alert_last_seen", "time", "last activity of the GuardDuty finding"),
    ("observations", "int64", "number of observations that GuardDuty counted"),
    ("host", "string", "the instance, address or principal concerned"),
    ("peer", "string", "the remote address or domain; null where it names none"),
    ("data_source", "string", "the logs that show it: flow logs, DNS or CloudTrail; null if none"),
    ("verdict", "string", "confirmed, contradicted, not observable or not seen"),
    ("reason", "string", "why, in a sentence"),
    ("records", "int64", "number of records that confirm it"),
    ("first_seen", "time", "the first of these"),
    ("last_seen", "time", "the end of the last"),
    ("finding_ids", "strings", "findings about the same host or principal and peer"),
    ("file", "string", "path of the evidence file of the first of these records"),
    *ORIGIN,
    ITEM,
    ("alert_evidence_id", "string", "evidence id of the GuardDuty finding's file"),
    ("alert_line", "int64", "line of the GuardDuty finding"),
    ("alert_item", "int64", "which record of the file it is"),
)

UNREPORTED = Table.of(
    "unreported",
    ("finding_id", "string", "finding of medium severity or above that no alert mentions"),
    ("severity", "string", "its severity"),
    ("title", "string", "what was detected"),
    ("subject", "string", "the address or principal concerned"),
    ("peer", "string", "the other address; null when there are several"),
    ("first_seen", "time", "its start"),
    ("last_seen", "time", "its end"),
    ("guardduty_type", "string", "the GuardDuty type that would fit; null if there is none"),
    ("reason", "string", "why GuardDuty may not raise it; null if its User Guide does not tell"),
    ("summary", "string", "what was observed"),
)

_TO_EXTERNAL = ("beacon", "mining", "exfiltration")  # GuardDuty has these for external peers only
_QUERIES = {FLOW_LOGS: count_flows, DNS: count_queries, CLOUDTRAIL: count_calls}
_TABLES = {FLOW_LOGS: "flows", DNS: "dns", CLOUDTRAIL: "api_events"}
_NOUNS = {
    FLOW_LOGS: ("flow record", "flow records"),
    DNS: ("DNS query", "DNS queries"),
    CLOUDTRAIL: ("API event", "API events"),
}


def alerts(case: Case, findings: Findings | None = None) -> pd.DataFrame:
    """Compare each GuardDuty finding with the records that it speaks of.

    Limits: GuardDuty reads its own copy of the flow and DNS logs, so that agreement is no
    independent observation. A confirmed claim is that host and peer communicated, not that the
    traffic was what the finding takes it for.

    Args:
        case: The case.
        findings: The result of detect.run; without it, the detectors are run.

    Returns:
        One row for each GuardDuty finding and remote address, domain or caller (TABLE), by time.
    """
    if findings is None:
        findings = detect.run(case, keep=False)
    rows = case.alerts.order_by("first_seen", "alert_id", "evidence_id", "line", "item")
    targets = find_targets(case, rows.to_pyarrow().to_pylist())
    records: dict[int, Records] = {}
    for source, count in _QUERIES.items():
        wanted = [t for t in targets if t.data_source == source and not t.alert["sample"]]
        if wanted and case.has(_TABLES[source]):
            records |= count(case, wanted)
    coverage = LogCoverage(case, (t for t in targets if t.number not in records))
    files = dict(case.evidence[["evidence_id", "file"]].itertuples(index=False))
    related = _FindingsByEnd(findings)
    return TABLE.frame(
        _describe(target, records.get(target.number), coverage, files)
        | {"finding_ids": related.about(target, records.get(target.number))}
        for target in targets
    )


def unreported(case: Case, findings: Findings | None = None) -> pd.DataFrame:
    """List the findings of medium severity or above that no GuardDuty finding mentions.

    Args:
        case: The case.
        findings: The result of detect.run; without it, the detectors are run.

    Returns:
        One row for each finding (UNREPORTED), the most severe first.
    """
    if findings is None:
        findings = detect.run(case, keep=False)
    mentioned = {name for names in alerts(case, findings)["finding_ids"] for name in names}
    silent = [f for f in findings.at_least("medium") if f.finding_id not in mentioned]
    internal = read_internal(case, {peer for finding in silent for peer in finding.peers})
    rows = []
    for finding in silent:
        is_internal = finding.detector in _TO_EXTERNAL and internal.issuperset(finding.peers)
        type_, reason = (None, None) if is_internal else suggest_type(finding)
        rows.append(finding.to_row() | {"guardduty_type": type_, "reason": reason})
    return UNREPORTED.frame([{name: row[name] for name in UNREPORTED.columns} for row in rows])


def _describe(
    target: Target, found: Records | None, coverage: LogCoverage, files: Mapping[Any, Any]
) -> dict[str, Any]:
    alert = target.alert
    verdict, reason = _judge(target, found, coverage)
    row = {
        "alert_id": alert["alert_id"],
        "type": alert["type"],
        "severity": alert["severity_label"],
        "sample": alert["sample"],
        "alert_first_seen": alert["first_seen"] or alert["created_at"],
        "alert_last_seen": alert["last_seen"] or alert["updated_at"],
        "observations": alert["count"],
        "host": target.host,
        "peer": target.peer,
        "data_source": target.data_source,
        "verdict": verdict,
        "reason": reason,
        "records": found.records if found else 0,
        "alert_evidence_id": alert["evidence_id"],
        "alert_line": alert["line"],
        "alert_item": alert["item"],
    }
    if found and found.records:
        names = ("first_seen", "last_seen", "evidence_id", "line", "item")
        row |= {name: getattr(found, name) for name in names}
        row["file"] = files.get(found.evidence_id)
    return row


def _judge(target: Target, found: Records | None, coverage: LogCoverage) -> tuple[str, str]:
    if target.alert["sample"]:
        return NOT_OBSERVABLE, "It is a sample finding of GuardDuty, which describes no activity."
    if target.data_source is None:
        rests_on = target.rests_on or "a remote address or domain that it does not name"
        return NOT_OBSERVABLE, f"It rests on {rests_on}."
    if found is None:
        judge = {FLOW_LOGS: coverage.judge_flows, DNS: coverage.judge_dns}
        absence: Absence = judge.get(target.data_source, coverage.judge_calls)(target)
        return absence.verdict, absence.reason
    one, several = _NOUNS[target.data_source]
    between = f" of {target.host}" + (f" and {target.peer}" if target.peer else "")
    detail = _detail(target)
    if not found.records:
        count = format_count(found.all_records, one, several)
        return NOT_SEEN, f"{count}{between} in this period, none of them{detail}."
    text = f"{format_count(found.records, one, several)}{between}{detail}"
    if found.rejected:
        failed = "rejected" if target.data_source == FLOW_LOGS else "failed"
        text += f", {found.rejected:,} of them {failed}"
    return CONFIRMED, f"{text}."


def _detail(target: Target) -> str:
    """The port or API call of a claim, as the end of a phrase."""
    if target.data_source == FLOW_LOGS and target.ports:
        protocol = 17 if target.alert["protocol"] == "UDP" else 6
        return f" on {list_some((label(p, protocol) for p in target.ports), separator=' or ')}"
    if target.data_source == CLOUDTRAIL and target.alert["api"]:
        return f" with the call {target.alert['api']}"
    return ""


class _FindingsByEnd:
    """Findings by their subject, suppressed ones left out."""

    def __init__(self, findings: Findings) -> None:
        self._by_subject: dict[str, list[Finding]] = {}
        for finding in findings:
            for subject in {finding.subject, finding.subject.partition("/")[0]}:
                self._by_subject.setdefault(subject, []).append(finding)

    def about(self, target: Target, found: Records | None) -> list[str]:
        """Return the ids of findings about the host and peer of a claim, or its principal."""
        peers = {target.peer, *(found.answers if found else ())} - {None}
        ids: dict[str, None] = {}
        for host in sorted(target.hosts):
            for finding in self._by_subject.get(host, ()):
                if not peers.isdisjoint(finding.peers):
                    ids[finding.finding_id] = None
        if target.data_source == CLOUDTRAIL:
            for name in target.principals:
                ids |= dict.fromkeys(f.finding_id for f in self._by_subject.get(name, ()))
        return list(ids)
