"""Rows of the timeline for a reader: those about a finding group, and the most relevant.

Rank: notes and findings of high severity or above; changes by API calls and alerts of high
severity; sessions; other findings and alerts; turning points and DNS queries; API calls that only
read. Within a rank the earliest come first.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, NamedTuple

import pandas as pd

_SEPARATOR = re.compile(r", | and ")
_READING = re.compile(
    r"(?:Describe|List|Get|Head|Lookup|Search|Filter|Query|Scan|BatchGet)[A-Z]|Read-only "
)
_SEVERE = ("high", "critical")
_SESSION = "Administrative session"
_LEAST_RANK = 5


class Rows(NamedTuple):
    """Rows of the timeline in order of time: those to show, and those to fold."""

    shown: list[dict[str, Any]]
    folded: list[dict[str, Any]]


def select_rows(
    events: pd.DataFrame, names: Collection[str], finding_ids: Collection[str]
) -> pd.DataFrame:
    """Select the rows of a timeline that concern a finding group.

    Args:
        events: Rows of timeline.TABLE.
        names: What the group is about: addresses, instances, interfaces, principals, access keys.
        finding_ids: The ids of its findings.
    """
    known = set(names)

    def is_named(text: object) -> bool:
        return isinstance(text, str) and not known.isdisjoint([text, *_SEPARATOR.split(text)])

    chosen = events["evidence"].isin(set(finding_ids)) | events["object"].isin(set(finding_ids))
    is_finding = events["data_source"] == "flowbench"
    actors, objects = (events[name].map(is_named).astype(bool) for name in ("actor", "object"))
    return events[chosen | ((actors | objects) & ~is_finding)]


def choose_rows(events: pd.DataFrame, most: int) -> Rows:
    """Choose the most relevant rows of a timeline; the others are folded.

    Args:
        events: Rows of timeline.TABLE, in order.
        most: How many are shown; one row alone is not folded.
    """
    rows = events.to_dict("records")
    if len(rows) <= most + 1:
        return Rows(rows, [])
    ranked = sorted(range(len(rows)), key=lambda number: (_rank(rows[number]), number))
    telling = [number for number in ranked if _rank(rows[number]) < _LEAST_RANK]
    shown = set((telling or ranked)[:most])
    return Rows(
        [row for number, row in enumerate(rows) if number in shown],
        [row for number, row in enumerate(rows) if number not in shown],
    )


def _rank(row: dict[str, Any]) -> int:
    source, is_severe = row["data_source"], row["severity"] in _SEVERE
    if source == "notes" or (source == "flowbench" and is_severe):
        return 0
    if source == "CloudTrail":
        return _LEAST_RANK if _READING.match(row["activity"]) else 1
    if source == "GuardDuty" and is_severe:
        return 1
    if row["activity"] == _SESSION:
        return 2
    return 3 if source in ("flowbench", "GuardDuty") else 4
