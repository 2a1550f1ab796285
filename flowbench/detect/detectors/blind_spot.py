"""Blind spots: what can the logs of this case not show?

Question: where do the logs show nothing, so that no finding does not mean no incident, and did
somebody cause that?

Method: counting, no statistics. One finding for each kind of blind spot:

* Records skipped by AWS (SKIPDATA), by interface and time.
* Gaps: half an hour or more without a record, of all interfaces (evidence is missing) or of one.
  AWS writes NODATA for a capture window without traffic, so an interface that is logged leaves
  records without a pause; irregular records show no gaps (see ``coverage.is_continuous``).
* Interfaces that the inventory lists as in use, or CloudTrail as created, without any record;
  medium if one was created while these logs ran.
* Interfaces without further records while the instance is still active: its role session calls AWS,
  or it sends DNS queries, ten minutes or more later. Medium.
* What the flow logs were not configured to record: fields, accepted or rejected traffic only,
  aggregation intervals of ten minutes, failed deliveries (recorded describe-flow-logs answers, and
  the records themselves).
* Logging that API events ended (CloudTrail; ATT&CK T1562.008): flow logs, DNS query logs, trails.
  Medium, with the interfaces that have no record afterwards; low if a flow log was created within
  an hour, as for a change of format, or if every interface has records afterwards. One finding for
  each kind of log, also where the case has no flow logs. Who made the calls, and calls that failed,
  are reported by api-abuse.

Severity: low, except where the list says medium.

False positives: evidence that was collected for some interfaces only, on purpose; filtered exports;
infrastructure code that deletes flow logs with their VPC.

Limitations: not detected are a flow log that was restricted where no CloudTrail event or
describe-flow-logs answer shows it, and gaps in logs with irregular records.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from flowbench.case import coverage
from flowbench.detect.api_calls import name_calls, select_events
from flowbench.detect.detector import Detector
from flowbench.detect.finding import Finding, Traffic, make_finding
from flowbench.detect.logging_changes import LoggingChange, find_logging_changes
from flowbench.detect.logging_coverage import (
    MARGIN,
    LoggingCoverage,
    find_silent_interfaces,
    find_unlogged_interfaces,
    read_coverage,
)
from flowbench.selector import ApiEventSelector
from flowbench.text import (
    format_count,
    format_duration,
    format_period,
    format_time,
    format_utc,
    is_address,
    list_some,
)

if TYPE_CHECKING:
    from flowbench.case import Case

DETECTOR = Detector(
    id="blind-spot",
    title="Logging gap",
    question="Where do the logs have gaps, and was logging disabled?",
    technique="T1562.008",
    needs=frozenset(),
)
SUBJECT = "flow logs"  # of findings that concern no single host
NEVER_LOGGED = (
    "No flow log records queries to Amazon's resolver, instance metadata (169.254.169.254), time"
    " synchronization, DHCP, ARP, Windows activation, mirrored traffic at its source, or payload."
)

_VPCS = 5  # in a summary


def find(case: Case) -> list[Finding]:
    """Return one finding per kind of blind spot."""
    covered = read_coverage(case)
    found: list[Finding] = []
    if covered is not None:
        found += _skipped_records(covered)
        found += _gaps(case, covered)
        found += _unlogged_interfaces(covered)
        found += _silent_interfaces(case, covered)
        found += _limited_configuration(case, covered)
    interfaces, end = (None, None) if covered is None else (covered.interfaces, covered.end)
    found += [_ended_logging(change) for change in find_logging_changes(case, interfaces, end)]
    if found and covered is not None:
        found[0] = found[0].add_caveat(NEVER_LOGGED)
    return found


def _finding(
    about: str,
    period: tuple[pd.Timestamp, pd.Timestamp],
    peers: Iterable[str],
    *,
    title: str,
    severity: str,
    summary: str,
    caveats: str,
    subject: str = SUBJECT,
    api_events: ApiEventSelector | None = None,
) -> Finding:
    return make_finding(
        DETECTOR,
        subject,
        peers,
        Traffic((), None, *period),
        severity=severity,
        score=1.0,
        title=title,
        summary=summary,
        caveats=caveats,
        about=about,
        api_events=api_events,
    )


def _skipped_records(covered: LoggingCoverage) -> Iterator[Finding]:
    rows = covered.interfaces[covered.interfaces["lost"] > 0]
    rows = rows.sort_values(["lost_s", "interface_id"], ascending=[False, True])
    if rows.empty:
        return
    parts = [
        f"{covered.names([row.interface_id])} {format_duration(row.lost_s)} from"
        f" {format_period(row.lost_first, row.lost_last)}"
        for row in rows.itertuples()
    ]
    addresses = covered.addresses
    finding = _finding(
        "skipdata",
        (rows["lost_first"].min(), rows["lost_last"].max()),
        [addresses[name] for name in rows["interface_id"] if name in addresses],
        title="Logging gap (SKIPDATA)",
        severity="low",
        summary=f"AWS skipped records in {format_count(int(rows['lost'].sum()), 'capture window')}"
        f" of {format_count(len(rows), 'interface')},"
        f" {format_duration(float(rows['lost_s'].sum()))} in total: {list_some(parts)}.",
        caveats="The number of skipped records is unknown. AWS skips records because of an"
        " internal capacity constraint or an internal error; the record does not say which.",
    )
    selector = replace(
        finding.evidence, interfaces=tuple(rows["interface_id"]), log_status="SKIPDATA"
    )
    yield replace(finding, evidence=selector)


def _gaps(case: Case, covered: LoggingCoverage) -> Iterator[Finding]:
    general = coverage.find_gaps(case.flows)
    by_period: dict[tuple[pd.Timestamp, pd.Timestamp], list[str]] = {}
    for row in covered.interfaces[covered.interfaces["continuous"]].itertuples():
        for gap in row.gaps:
            since, until = pd.Timestamp(gap["since"]), pd.Timestamp(gap["until"])
            if not any(a - MARGIN <= since and until <= b + MARGIN for a, b in general):
                period = since.floor("10min"), until.ceil("10min")
                by_period.setdefault(period, []).append(row.interface_id)
    ordered = sorted(by_period.items(), key=lambda item: (-len(item[1]), item[0]))
    parts = [f"all interfaces from {format_period(*period)}" for period in general]
    parts += [f"{covered.names(names)} from {format_period(*period)}" for period, names in ordered]
    if not parts:
        return
    periods = [*general, *by_period]
    addresses = covered.addresses
    yield _finding(
        "gaps",
        (min(since for since, _until in periods), max(until for _since, until in periods)),
        [addresses[name] for names in by_period.values() for name in names if name in addresses],
        title="Logging gap",
        severity="low",
        summary=f"The logs have {format_count(len(parts), 'gap')} without NODATA records:"
        f" {list_some(parts)}.",
        caveats="The records do not show whether files were not collected, a delivery failed, a"
        " flow log was deleted and created again, or an instance was stopped.",
    )


def _unlogged_interfaces(covered: LoggingCoverage) -> Iterator[Finding]:
    rows, known = find_unlogged_interfaces(covered), covered.assignments
    if rows.empty:
        return
    logged_vpcs = set(
        known.loc[known["interface_id"].isin(covered.interfaces["interface_id"]), "vpc_id"].dropna()
    )
    parts = []
    for vpc, group in rows.groupby(rows["vpc_id"].fillna("an unknown VPC"), sort=True):
        note = "" if vpc in logged_vpcs else ", where no interface is logged"
        parts.append(f"{len(group)} in {vpc}{note}: {covered.names(group['interface_id'])}")
    created = rows[(rows["known_from"] == "cloudtrail") & (rows["valid_from"] >= covered.begin)]
    summary = (
        f"{format_count(len(rows), 'interface')} known from inventory or CloudTrail have no record"
        f" from {format_period(covered.begin, covered.end)}: {'; '.join(parts[:_VPCS])}."
    )
    if len(created):
        summary += f" Created in this period: {list_some(created['interface_id'])}."
    yield _finding(
        "unseen",
        (covered.begin, covered.end),
        rows["address"].dropna(),
        title="Interface not logged",
        severity="medium" if len(created) else "low",
        summary=summary,
        caveats="No flow log covers them, its files were not collected, or the inventory is of"
        " another time than the logs. Their traffic is unknown.",
    )


def _silent_interfaces(case: Case, covered: LoggingCoverage) -> Iterator[Finding]:
    rows = find_silent_interfaces(case, covered)
    if rows.empty:
        return
    parts = [
        f"{row.interface_id} ({row.address}) after {format_time(row.last)}, although"
        f" {row.instance_id} {row.activity} at {format_utc(row.at)}"
        for row in rows.itertuples()
    ]
    yield _finding(
        "fell-silent",
        (rows["last"].min(), rows["at"].max()),
        rows["address"],
        title="Interface no longer logged",
        severity="medium",
        summary=f"{format_count(len(rows), 'interface')} left no further record, not even NODATA:"
        f" {list_some(parts)}.",
        caveats="A flow log was deleted, restricted or failed, or files were not collected. A role"
        " session can also continue elsewhere, with credentials taken from the instance.",
    )


def _limited_configuration(case: Case, covered: LoggingCoverage) -> Iterator[Finding]:
    """What the flow logs were not configured to record, according to settings and records."""
    files = [set(entry["fields"]) for entry in case.log.evidence if entry["kind"] == "flow-logs"]
    parts = coverage.describe_missing_fields(files)
    parts += coverage.describe_setting_problems(case.table("flow_logs"))
    if "action" in case.fields:
        parts += coverage.describe_one_sided(case.flows)
    if covered.interfaces["long"].sum() > 0.05 * covered.interfaces["records"].sum():
        parts.append("capture windows of up to ten minutes, within which the order is unknown")
    if not parts:
        return
    yield _finding(
        "set-up",
        (covered.begin, covered.end),
        [],
        title="Limited flow log configuration",
        severity="low",
        summary=f"The flow logs record less than they could: {'; '.join(parts)}.",
        caveats="Detectors that need these do without them, or report that they cannot run.",
    )


def _ended_logging(change: LoggingChange) -> Finding:
    events, kind = change.events, change.kind
    times = events["event_time"]
    flow_logs = f" of {list_some(change.flow_log_ids)}" if change.flow_log_ids else ""
    callers = list_some(sorted(set(events["principal_name"].fillna("unknown"))))
    cited = list_some(
        f"{row.event_id or 'without id'} in {row.file}" for row in events.itertuples()
    )
    summary = (
        f"{name_calls(events)}{flow_logs} by {callers} at"
        f" {list_some(dict.fromkeys(map(format_time, times)))} UTC ended {kind.logging}"
        f" (event {cited})."
    )
    if change.silent:
        count = format_count(len(change.silent), "interface")
        summary += f" {count} left no record afterwards: {list_some(change.silent)}."
    caveats = "Another log may record the same. Earlier records remain."
    if change.resumed is not None:
        summary += f" It began again at {format_utc(change.resumed)}."
    if change.is_change:
        caveats = "A change of format deletes and creates a log: compare the fields recorded."
    logging = kind.logging[0].upper() + kind.logging[1:]
    is_visible = bool(change.silent) or kind.name != SUBJECT or change.is_unknown
    return _finding(
        f"ended|{kind.logging}",
        (times.min(), times.max()),
        [address for address in set(events["source_ip"].dropna()) if is_address(address)],
        title=f"{logging} {'changed' if change.is_change else 'disabled'}",
        severity="medium" if is_visible and not change.is_change else "low",
        summary=summary,
        caveats=caveats,
        subject=kind.name,
        api_events=select_events(events),
    )
