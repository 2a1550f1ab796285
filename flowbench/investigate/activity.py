"""What principals did, as a few sentences: calls by the tactic of ATT&CK that they serve.

At most ``MOST_ROWS`` rows, the most severe tactics first. Up to ``MOST_SINGLE`` equal calls have a
row each; more share one, and so do all that only read. What is beyond the limit is counted in one
row for each tactic: nothing is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import ibis

from flowbench.detect.api_rule import DISCOVERY
from flowbench.investigate.api_events import ApiEvent
from flowbench.investigate.call_groups import (
    CallGroup,
    describe_errors,
    describe_group,
    describe_period,
    group_calls,
    read_calls,
)
from flowbench.investigate.tactics import ORDER, classify, rank
from flowbench.text import format_count, list_some

MOST_ROWS = 24
MOST_SINGLE = 3
_MOST_KINDS = 5  # names of calls in a row


class Row(NamedTuple):
    """One row: a sentence, and the first event that supports it."""

    description: str
    value: str | None  # the name of the API call, if it is one
    time: datetime
    origin: dict[str, Any]  # event_id, evidence_id, line, item
    event: ApiEvent | None = None  # the first event, where it was read
    is_single: bool = False  # whether the row is about that event alone


def describe_activity(calls: ibis.Table, hint: str = "") -> Iterator[Row]:
    """Yield API events (rows of Case.api_events) summed up, the weightiest tactic first.

    Args:
        calls: The events.
        hint: Where all of them are listed; part of the rows that count the rest.
    """
    groups = group_calls(calls)
    groups.sort(key=lambda g: (_rank(g), g.first, g.event_name, g.who, g.failed))
    reads = [group for group in groups if classify_group(group)[0] == DISCOVERY]
    if sum(group.calls for group in reads) < 2:
        reads = []
    shown: list[CallGroup] = []
    rest: list[CallGroup] = []
    room = MOST_ROWS - bool(reads)
    for group in groups:
        if group in reads:
            continue
        size = group.calls if group.calls <= MOST_SINGLE else 1
        (shown if size <= room else rest).append(group)
        room -= size
    events = read_calls(calls, shown)
    at = ORDER.index(DISCOVERY)
    yield from _rows([g for g in shown if _rank(g) <= at], events)
    if reads:
        yield _reads_row(reads)
    yield from _rows([g for g in shown if _rank(g) > at], events)
    for tactic in ORDER:
        of_tactic = [group for group in rest if classify_group(group)[0] == tactic]
        if of_tactic:
            yield _rest_row(tactic, of_tactic, hint)


def classify_group(group: CallGroup) -> tuple[str, str | None]:
    """Return the tactic and technique of a group."""
    return classify(group.event_name, read_only=group.read_only)


def describe_calls(calls: ibis.Table, most_rows: int, hint: str = "") -> Iterator[Row]:
    """Yield API events in order of time: few equal ones singly, more in a row, the rest counted.

    Args:
        calls: The events.
        most_rows: The most rows, but for the one that counts the rest.
        hint: Where all of them are listed.
    """
    shown: list[CallGroup] = []
    rest: list[CallGroup] = []
    room = most_rows
    for group in group_calls(calls):
        size = group.calls if group.calls <= MOST_SINGLE else 1
        (shown if size <= room else rest).append(group)
        room -= size
    events = read_calls(calls, shown)
    rows = [row for group in shown for row in _group_rows(group, events.get(group.key, []))]
    yield from sorted(rows, key=lambda row: (row.time, row.origin["event_id"] or ""))
    if rest:
        yield _rest_row("", rest, hint)


def event_row(event: ApiEvent, text: str | None = None) -> Row:
    """Return the row of one event, with its own sentence or another."""
    origin = {name: getattr(event, name) for name in ("event_id", "evidence_id", "line", "item")}
    text = text or event.describe()
    return Row(text, event.event_name, event.event_time, origin, event, is_single=True)


def _rows(
    groups: Sequence[CallGroup], events: dict[tuple[str, str, bool], list[ApiEvent]]
) -> Iterator[Row]:
    for group in groups:
        tactic, technique = classify_group(group)
        label = f"{tactic}{f' ({technique})' if technique else ''}"
        for row in _group_rows(group, events.get(group.key, [])):
            yield row._replace(description=f"{label}: {row.description}")


def _group_rows(group: CallGroup, events: Sequence[ApiEvent]) -> Iterator[Row]:
    if group.calls <= MOST_SINGLE:
        yield from map(event_row, events)
    else:
        row = _row(group, describe_group(group, events), group.event_name)
        yield row._replace(event=next(iter(events), None))


def _row(group: CallGroup, text: str, value: str | None) -> Row:
    origin = {name: getattr(group, name) for name in ("event_id", "evidence_id", "line", "item")}
    return Row(text, value, group.first, origin)


def _reads_row(groups: Sequence[CallGroup]) -> Row:
    first = min(groups, key=lambda group: group.first)
    failed = [group for group in groups if group.failed]
    outcome = ""
    if failed:
        names = list_some([f"{g.event_name}: {describe_errors(g)}" for g in failed], 3)
        outcome = f"; {sum(group.calls for group in failed):,} failed ({names})"
    text = f"{DISCOVERY}: {_count(groups, 'read-only call', 'read-only calls')}{outcome}."
    return _row(first, text, None)


def _rest_row(tactic: str, groups: Sequence[CallGroup], hint: str) -> Row:
    first = min(groups, key=lambda group: group.first)
    label = f"{tactic}: " if tactic else ""
    text = f"{label}{_count(groups, 'more call', 'more calls')}"
    return _row(first, f"{text}{f'; {hint} lists all' if hint else ''}.", None)


def _count(groups: Sequence[CallGroup], noun: str, plural: str) -> str:
    """Return how many calls, by how many principals, when, and of which names."""
    counts: dict[str, int] = {}
    for group in groups:
        counts[group.event_name] = counts.get(group.event_name, 0) + group.calls
    by_count = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    names = list_some([f"{name} {count:,}x" for name, count in by_count], _MOST_KINDS)
    who = list_some(dict.fromkeys(group.name for group in groups), 2, rest="more")
    first, last = min(g.first for g in groups), max(g.last for g in groups)
    count = format_count(sum(counts.values()), noun, plural)
    return f"{count} by {who} {describe_period(first, last)}: {names}"


def _rank(group: CallGroup) -> int:
    return rank(group.event_name, read_only=group.read_only)
