"""The report's part for the responder: finding group by finding group.

A group has its findings, the attribution of its hosts or of its principal, its own timeline, its
figures, the groups it is linked to, and its indicators: what to block apart from own assets.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from flowbench.detect import Findings
from flowbench.detect.grouping import findings_by_group
from flowbench.errors import InputError
from flowbench.investigate import timeline
from flowbench.report.principals import describe_peer, describe_principal
from flowbench.report.rows import Rows, choose_rows, select_rows
from flowbench.report.subjects import SubjectSection, describe_subject
from flowbench.text import is_address

if TYPE_CHECKING:
    import networkx as nx

    from flowbench.case import Case
    from flowbench.detect import Finding
    from flowbench.investigate.attribution import SubjectTrace

_MOST_GROUPS = 5  # with a section of their own
_MOST_HOSTS = 3  # of a group, with attribution and figures
_MOST_ROWS = 14  # of a group's timeline that are not folded
_SEVERE = ("high", "critical")


class Sources(NamedTuple):
    """What the sections of groups are made from, for the whole case."""

    findings: Findings
    traces: Sequence[SubjectTrace]
    communication: nx.DiGraph
    events: pd.DataFrame  # timeline.TABLE
    indicators: pd.DataFrame  # timeline.INDICATORS
    links: pd.DataFrame  # detect.LINKS


@dataclass(frozen=True)
class GroupSection:
    """What the report says of one finding group.

    Attributes:
        subject: The host, principal or common external address that it is about.
        kind: 'Host', 'Principal' or 'External address'.
        severity: That of its most severe finding.
        findings: Its findings, the most severe first.
        subjects: Attribution and figures, of each of its first hosts.
        more_hosts: The hosts without these.
        rows: Its timeline.
        to_block: Its indicators that are external.
        own_assets: Those that are the organisation's own.
        links: The links to other groups.
    """

    subject: str
    kind: str
    severity: str
    findings: Sequence[Finding]
    subjects: Sequence[SubjectSection]
    more_hosts: Sequence[str]
    rows: Rows
    to_block: Sequence[dict[str, Any]]
    own_assets: Sequence[dict[str, Any]]
    links: Sequence[dict[str, Any]]


def describe_groups(case: Case, sources: Sources) -> tuple[list[GroupSection], list[str]]:
    """Describe the groups with a finding of high severity or above, the most severe first.

    Returns:
        The sections of the first groups, and the subjects of the others.
    """
    groups = {
        subject: group
        for subject, group in findings_by_group(sources.findings).items()
        if group[0].severity in _SEVERE
    }
    described = list(groups)[:_MOST_GROUPS]
    sections = [_describe(case, subject, groups[subject], sources) for subject in described]
    return sections, list(groups)[_MOST_GROUPS:]


def _describe(case: Case, subject: str, group: Sequence[Finding], sources: Sources) -> GroupSection:
    hosts = dict.fromkeys(finding.subject for finding in group)
    traced = [each for each in sources.traces if each.subject in hosts]
    severe = Findings(finding for finding in group if finding.severity in _SEVERE)
    if not is_address(subject):
        kind = "Principal"
        subjects = [describe_principal(case, subject, severe)]
    elif subject in hosts:
        kind = "Host"
        subjects = _describe_hosts(case, traced[:_MOST_HOSTS], sources)
    else:
        kind = "External address"
        subjects = [describe_peer(subject, severe, sources.communication)]
    rows = _timeline_rows(case, subject, kind, subjects, group, sources)
    concerned = sources.indicators["subject"].map(
        lambda text: not {subject, *hosts}.isdisjoint(str(text).split("; "))
    )
    indicators = sources.indicators[concerned.astype(bool)]
    is_own = indicators["own_asset"].fillna(True).astype(bool)
    ends = sources.links[["from_group", "to_group"]].eq(subject).any(axis=1)
    return GroupSection(
        subject,
        kind,
        group[0].severity,
        group,
        subjects,
        [] if kind != "Host" else list(_names(traced[_MOST_HOSTS:])),
        choose_rows(rows, _MOST_ROWS),
        indicators[~is_own].to_dict("records"),
        indicators[is_own].to_dict("records"),
        sources.links[ends].to_dict("records"),
    )


def _timeline_rows(
    case: Case,
    subject: str,
    kind: str,
    subjects: Sequence[SubjectSection],
    group: Sequence[Finding],
    sources: Sources,
) -> pd.DataFrame:
    """Return a group's timeline: a principal's with all its calls, a host's from the case's."""
    if kind == "Principal":
        with contextlib.suppress(InputError):  # no API event or alert names it
            return timeline.build(case, f"principal:{subject}", sources.findings)
    names = {subject, *(value for each in subjects for value in each.names)}
    return select_rows(sources.events, names, {finding.finding_id for finding in group})


def _describe_hosts(
    case: Case, traced: Iterable[SubjectTrace], sources: Sources
) -> list[SubjectSection]:
    return [describe_subject(case, each, sources.communication) for each in traced]


def _names(traced: Iterable[SubjectTrace]) -> Iterable[str]:
    return dict.fromkeys(each.subject for each in traced)
