"""Why the logs have no record of what a GuardDuty finding claims: contradicted, or not observable.

Absence contradicts a finding only where an interface of the host was logged through the finding's
whole period, all traffic was recorded, and no record was lost. A record of status NODATA is the
statement that there was no traffic. For DNS queries and API events absence shows less: a host
caches answers, and a trail may record one region only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from flowbench.case.coverage import (
    SLOT,
    coverage_by_interface,
    describe_one_sided,
    describe_setting_problems,
    is_continuous,
)
from flowbench.investigate.alert_targets import Target
from flowbench.text import format_count, format_period, format_utc, list_some

if TYPE_CHECKING:
    import ibis

    from flowbench.case import Case

CONFIRMED, CONTRADICTED = "confirmed", "contradicted"
NOT_OBSERVABLE, NOT_SEEN = "not observable", "not seen"

_SLOT = timedelta(seconds=SLOT)
# Flow logs leave out traffic to these (VPC User Guide, flow log limitations).
_NEVER_LOGGED = ("169.254.169.254", "169.254.169.253", "169.254.169.123")


class Absence(NamedTuple):
    """The verdict on a claim without a record, and its reason."""

    verdict: str
    reason: str


class LogCoverage:
    """What the logs of a case cover at the times of some claims without records."""

    def __init__(self, case: Case, targets: Iterable[Target]) -> None:
        self._case = case
        self._ids = sorted({name for target in targets for name in target.interface_ids})

    def judge_flows(self, target: Target) -> Absence:
        """Judge a claim of which there is no flow record."""
        if target.peer in _NEVER_LOGGED:
            return Absence(NOT_OBSERVABLE, f"Flow logs leave out traffic to {target.peer}.")
        if not self._case.has("flows"):
            return Absence(NOT_OBSERVABLE, "The case has no flow logs.")
        if not target.interface_ids:
            host = target.host
            reason = f"No record was made at an interface of {host}: it is not logged."
            return Absence(NOT_OBSERVABLE, reason)
        judged = [self._judge_interface(name, target) for name in target.interface_ids]
        hidden = [absence for absence in judged if absence.verdict == NOT_OBSERVABLE]
        unclear = [absence for absence in judged if absence.verdict == NOT_SEEN]
        for absences in (hidden, unclear):
            if absences:
                return absences[0]
        if self._omissions:
            reason = f"There is no record, but not all traffic is logged: {self._omissions[0]}."
            return Absence(NOT_SEEN, reason)
        period = format_period(target.first, target.last)
        return Absence(
            CONTRADICTED,
            f"{list_some(target.interface_ids)} {'was' if len(judged) == 1 else 'were'} logged"
            f" without a gap {period}, without a record of {target.peer}.",
        )

    def judge_dns(self, target: Target) -> Absence:
        """Judge a claim of which there is no DNS query."""
        dns = self._case.dns
        if absence := _outside("DNS query logs", dns, "query_time", target):
            return absence
        hosts = [*target.addresses, *target.hosts]
        queries = dns.filter(dns.query_time >= target.first, dns.query_time <= target.last)
        instances = target.alert["instance_ids"] or []
        asked = queries.srcaddr.isin(hosts) | queries.instance_id.isin(instances)
        count = int(queries.filter(asked.fill_null(False)).count().to_pyarrow().as_py())
        if not count:
            reason = f"No DNS query of {target.host} is logged in this period."
            return Absence(NOT_OBSERVABLE, reason)
        return Absence(
            NOT_SEEN,
            f"None of {format_count(count, 'logged query', 'logged queries')} of {target.host} in"
            f" this period names {target.peer}; cached answers and other resolvers leave none.",
        )

    def judge_calls(self, target: Target) -> Absence:
        """Judge a claim of which there is no API event."""
        events = self._case.api_events
        if absence := _outside("CloudTrail events", events, "event_time", target):
            return absence
        if target.alert["type"].partition(":")[2].startswith("S3/"):
            data = events.filter(events.event_source == "s3.amazonaws.com", _is_data_event(events))
            if not data.count().to_pyarrow().as_py():
                reason = "The case has no data events of S3, which CloudTrail records on request."
                return Absence(NOT_OBSERVABLE, reason)
        origin = f" from {target.peer}" if target.peer else ""
        reason = f"CloudTrail has no event of {target.host}{origin} in this period."
        return Absence(NOT_SEEN, f"{reason} Another region's trail may have it.")

    def _judge_interface(self, name: str, target: Target) -> Absence:
        row = self._interfaces.get(name)
        if row is None:
            return Absence(NOT_OBSERVABLE, f"{name} is not logged: it has no record.")
        covered = format_period(row["first"], row["last"])
        if target.last < row["first"] or target.first > row["last"]:
            reason = f"The records of {name} cover {covered}, not the time of the alert."
            return Absence(NOT_OBSERVABLE, reason)
        for lost in self._lost.get(name, ()):
            if lost["start"] <= target.last and lost["end"] >= target.first:
                period = format_period(lost["start"], lost["end"])
                return Absence(NOT_OBSERVABLE, f"AWS lost records of {name} (SKIPDATA), {period}.")
        gaps = row["gaps"] or ()
        if not is_continuous(row["slots"], row["adjacent"], len(gaps)):
            reason = f"{name} has no record of it, but too few to show that none is missing."
            return Absence(NOT_SEEN, reason)
        for gap in gaps:
            if gap["since"] <= target.last and gap["until"] >= target.first:
                period = format_period(gap["since"], gap["until"])
                return Absence(NOT_OBSERVABLE, f"The logs of {name} have a gap, {period}.")
        if target.first < row["first"] - _SLOT or target.last > row["last"] + _SLOT:
            reason = f"There is no record, but those of {name} cover only {covered}."
            return Absence(NOT_SEEN, reason)
        return Absence(CONTRADICTED, "")

    @cached_property
    def _interfaces(self) -> Mapping[str, Mapping[str, Any]]:
        flows = self._case.flows
        rows = coverage_by_interface(flows.filter(flows.interface_id.isin(self._ids)))
        return {row["interface_id"]: row for row in rows.to_pyarrow().to_pylist()}

    @cached_property
    def _lost(self) -> Mapping[str, list[Mapping[str, datetime]]]:
        flows = self._case.flows
        lost = flows.filter(flows.interface_id.isin(self._ids), flows.log_status == "SKIPDATA")
        rows = lost.select("interface_id", "start", "end").distinct().order_by("start", "end")
        found: dict[str, list[Mapping[str, datetime]]] = {}
        for row in rows.to_pyarrow().to_pylist():
            found.setdefault(row["interface_id"], []).append(row)
        return found

    @cached_property
    def _omissions(self) -> list[str]:
        settings = describe_setting_problems(self._case.table("flow_logs"))
        return [*settings, *describe_one_sided(self._case.flows)]


def _outside(name: str, table: ibis.Table, time: str, target: Target) -> Absence | None:
    """Return that a kind of log is not there, or not for the period."""
    ends = table.aggregate(first=table[time].min(), last=table[time].max())
    row = ends.to_pyarrow().to_pylist()[0]
    if row["first"] is None:
        return Absence(NOT_OBSERVABLE, f"The case has no {name}.")
    if target.last < row["first"] or target.first > row["last"]:
        period = format_period(row["first"], row["last"])
        when = format_utc(target.alert["first_seen"] or target.first)
        return Absence(NOT_OBSERVABLE, f"The {name} cover {period}, the alert is of {when}.")
    return None


def _is_data_event(events: ibis.Table) -> Any:
    return events.event_name.isin(["GetObject", "PutObject", "DeleteObject", "ListObjects"])
