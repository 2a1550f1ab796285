"""What the timeline of a case follows: findings, and the addresses and principals of their calls.

The subjects of findings of high severity or above are followed, with what belongs to them: hosts
that findings link to them (detect.group_links: who logged in to whom, who has the same external
peer), and hosts that GuardDuty reports with high severity or above. Of all these the findings of
medium severity are shown too.

API calls of a finding lead to the principal that made them, from these addresses. An external
address is followed itself, whichever principal called from it, if nobody called from it until a day
before these calls, and few principals did: a stolen key is seldom the only one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import ibis
import pandas as pd
from ibis import _

from flowbench.case.provenance import api_event_condition
from flowbench.detect import Findings, group_links
from flowbench.detect.grouping import findings_by_group
from flowbench.investigate.indicators import assigned_addresses, internal_addresses
from flowbench.schema import to_frame
from flowbench.text import is_address

if TYPE_CHECKING:
    from flowbench.case import Case

SEVERE = ("high", "critical")  # labels of GuardDuty findings
_NEW = pd.Timedelta("1D")  # before a finding's first call, in which its address may have appeared
_MOST_CALLERS = 5  # users and roles that call from a followed address: more share an egress address


@dataclass(frozen=True)
class Followed:
    """What a case's timeline follows.

    Attributes:
        findings: Those that it shows.
        subjects: Hosts and principals; a host between two others may have no finding that is shown.
        alerted_peers: Remote addresses of GuardDuty's reports.
        addresses: External addresses that called the API.
        callers: Principals and the address of their calls, as ``principal|address``.
        names: Users and roles of these principals, and of all that called from these addresses.
    """

    findings: Findings
    subjects: frozenset[str]
    alerted_peers: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()
    callers: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()


def follow(case: Case, findings: Findings) -> Followed:
    """Choose what the timeline of a case follows.

    Args:
        case: The case.
        findings: Its findings.

    Returns:
        Without findings of high severity or above: all findings, and no principal.
    """
    severe = findings.at_least("high")
    if not severe:
        return Followed(findings, frozenset(finding.subject for finding in findings))
    subjects = {finding.subject for finding in severe}
    alerts = _severe_alerts(case)
    subjects |= _linked_subjects(case, findings, subjects) | set(alerts["local_address"])
    shown = Findings(f for f in findings.at_least("medium") if f.subject in subjects)
    peers = frozenset(alerts["remote_address"].dropna())
    return _add_callers(case, Followed(shown, frozenset(subjects), peers), severe)


def caller_key(events: ibis.Table) -> ibis.Value:
    """Return principal and source address of API events, in the form of ``Followed.callers``."""
    return events.principal_name.fill_null("").concat("|", events.source_ip.fill_null(""))


def _linked_subjects(case: Case, findings: Findings, subjects: set[str]) -> set[str]:
    """The subjects of the groups that are linked to those of some subjects."""
    links = group_links.link_groups(case, findings)
    groups = findings_by_group(findings)
    followed = {name for name, group in groups.items() if any(f.subject in subjects for f in group)}
    ends = list(zip(links["from_group"], links["to_group"], strict=True))
    linked = {name for pair in ends if not followed.isdisjoint(pair) for name in pair}
    return {finding.subject for name in linked for finding in groups[name]}


def _severe_alerts(case: Case) -> pd.DataFrame:
    """The local and remote addresses of GuardDuty's reports of high severity or above."""
    alerts = case.alerts
    severe = alerts.filter(
        alerts.severity_label.isin(SEVERE),
        alerts.local_address.notnull(),
        ~alerts["sample"].fill_null(False),
    )
    return to_frame(severe.select("local_address", "remote_address").distinct().to_pyarrow())


def _add_callers(case: Case, followed: Followed, severe: Findings) -> Followed:
    selectors = [f.evidence.api_events for f in severe if f.evidence.api_events is not None]
    if not selectors or not case.has("api_events"):
        return followed
    table = case.api_events
    chosen = ibis.or_(*(api_event_condition(table, one).fill_null(False) for one in selectors))
    calls = table.filter(table.source_ip.notnull()).mutate(
        name=_.principal_name.re_replace("/.*", ""), caller=caller_key(table)
    )
    of_findings = calls.filter(chosen).group_by("source_ip", "caller", "name")
    rows = to_frame(of_findings.aggregate(since=_.event_time.min()).to_pyarrow())
    rows = rows[[is_address(source) for source in rows["source_ip"]]]
    if rows.empty:  # AWS services called, or the callers' addresses are hidden
        return followed
    since = rows.groupby("source_ip")["since"].min()
    sources = calls.filter(calls.source_ip.isin(sorted(since.index))).group_by("source_ip")
    known = to_frame(
        sources.aggregate(first=_.event_time.min(), names=_["name"].nunique()).to_pyarrow()
    )
    is_new = known["first"] >= known["source_ip"].map(since) - _NEW
    new = set(known.loc[is_new & (known["names"] <= _MOST_CALLERS), "source_ip"])
    new -= assigned_addresses(case, new) | internal_addresses(case, new)
    of_new = calls.filter(calls.source_ip.isin(sorted(new))).select("name").distinct()
    names = {*rows["name"], *of_new.to_pyarrow()["name"].to_pylist()} - {None}
    return replace(
        followed,
        addresses=frozenset(new),
        callers=frozenset(rows["caller"]),
        names=frozenset(names),
    )
