"""Two runs of the detectors compared: findings that are new, gone or changed."""

from __future__ import annotations

import pandas as pd

from flowbench.detect.finding import FINDINGS, Finding, sort_findings
from flowbench.detect.findings import Findings
from flowbench.schema import Table
from flowbench.text import format_time, list_some

CHANGES = Table.of(
    "changes",
    ("change", "string", "new, gone or changed"),
    ("changed", "string", "what differs, before and after; empty unless changed"),
    *((field.name, field.type, field.meaning) for field in FINDINGS.fields),
)

_VALUES = (
    "severity",
    "score",
    "service_port",
    "protocol",
    "first_seen",
    "last_seen",
    "connections",
    "bytes_out",
    "bytes_in",
)
_TEXTS = ("technique", "title", "summary", "caveats", "evidence")

_Key = tuple[str, int]  # finding id, and which of the findings of that id


def compare(before: Findings, after: Findings) -> pd.DataFrame:
    """Return what changed between the findings of two runs (CHANGES): new, changed, gone.

    The columns of a finding are those of the later run, or of the earlier one where it is gone;
    each kind of change has the most severe first. Findings that allow lists suppress in both runs
    are left out; suppressed in one of them, the finding has changed. A finding's id depends on its
    peer and port while it has one of each: where only the id differs, because peers or ports were
    added or removed, it is the same finding, and changed.
    """
    old, new = _by_id(before), _by_id(after)
    for key, finding in [(key, old[key]) for key in old if key not in new]:
        same = [k for k, candidate in new.items() if k not in old and _is_same(finding, candidate)]
        if same:
            old[same[0]] = old.pop(key)
    appeared, changed = [], []
    for key, finding in new.items():
        earlier = old.get(key)
        if earlier is None:
            appeared.append(finding)
        elif not (finding.suppressed_by and earlier.suppressed_by):
            changed.append((finding, _describe(earlier, finding)))
    texts = {id(finding): text for finding, text in changed}
    groups = {
        "new": [finding for finding in appeared if not finding.suppressed_by],
        "changed": [finding for finding, text in changed if text],
        "gone": [f for key, f in old.items() if key not in new and not f.suppressed_by],
    }
    return CHANGES.frame(
        finding.to_row() | {"change": change, "changed": texts.get(id(finding), "")}
        for change, findings in groups.items()
        for finding in sort_findings(findings)
    )


def _by_id(findings: Findings) -> dict[_Key, Finding]:
    """Return the findings by id; a second one of the same id is counted, not lost."""
    by_id: dict[_Key, Finding] = {}
    for finding in findings.all:
        number = 0
        while (finding.finding_id, number) in by_id:
            number += 1
        by_id[finding.finding_id, number] = finding
    return by_id


def _is_same(before: Finding, after: Finding) -> bool:
    """Whether two findings with different ids are one, with more or fewer peers or ports."""
    differing = [
        pair
        for pair in (
            (before.peer, after.peer),
            (before.service_port, after.service_port),
            (before.protocol, after.protocol),
        )
        if pair[0] != pair[1]
    ]
    return (
        bool(differing)
        and all(None in pair for pair in differing)
        and (before.detector, before.subject) == (after.detector, after.subject)
        and not set(before.peers).isdisjoint(after.peers)
    )


def _describe(before: Finding, after: Finding) -> str:
    """Return what differs between two states of a finding; empty when nothing does."""
    differences = [
        f"{name} {_format(getattr(before, name))} -> {_format(getattr(after, name))}"
        for name in _VALUES
        if getattr(before, name) != getattr(after, name)
    ]
    for sign, one, other in (("+", after, before), ("-", before, after)):
        if peers := sorted(set(one.peers) - set(other.peers)):
            differences.append(f"peers {sign}{list_some(peers)}")
    if after.suppressed_by and not before.suppressed_by:
        differences.append(f"now suppressed by {after.suppressed_by}")
    elif after.decision == "returned" and before.suppressed_by:
        differences.append("returned after it was dismissed")
    elif before.suppressed_by and not after.suppressed_by:
        differences.append(f"no longer suppressed by {before.suppressed_by}")
    # Texts follow from the values: they are listed only where nothing else differs.
    return "; ".join(
        differences
        or [f"{name} reworded" for name in _TEXTS if getattr(before, name) != getattr(after, name)]
    )


def _format(value: object) -> str:
    if isinstance(value, pd.Timestamp):
        return format_time(value, seconds=True)
    if isinstance(value, int):
        return f"{value:,}"
    return "several" if value is None else str(value)
