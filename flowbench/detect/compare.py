"""What two runs of the detectors differ in: findings that are new, gone, or no longer the same."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from flowbench.detect.base import FINDINGS, in_order
from flowbench.schema import Table

CHANGES = Table.of(
    "changes",
    ("change", "string", "new, gone or changed"),
    ("changed", "string", "what is no longer the same, before and after; empty unless changed"),
    *((field.name, field.type, field.meaning) for field in FINDINGS.fields),
)

_ORDER = ("new", "changed", "gone")
_NUMBERS = ("severity", "score", "service_port", "protocol", "first_seen", "last_seen",
            "connections", "bytes_out", "bytes_in")  # fmt: skip
_TEXTS = ("technique", "title", "why", "caveats", "evidence")
_NAMED = 5  # peers told by address


def compare(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """What changed between the findings of two runs: the new, the changed, the gone (CHANGES).

    Takes what ``run`` returns, with or without ``hidden``. The other columns are those of the
    later run, of the earlier one where the finding is gone; each change is ordered gravest first.
    What allow lists hide in both runs is left out; hidden in one of them, it changed. A finding's
    id names its peer and port while it has one of each: where only the id differs because more of
    them came, or some went, it is the same finding, and changed.
    """
    old, new = _by_id(before), _by_id(after)
    for gone in [row for key, row in old.items() if key not in new]:
        same = [key for key, row in new.items() if key not in old and _grown(gone, row)]
        if same:
            del old[_key(gone)]
            old[same[0]] = gone
    rows = []
    for key, row in new.items():
        earlier = old.get(key)
        hidden = row.get("suppressed_by"), earlier and earlier.get("suppressed_by")
        if earlier is None:
            if hidden[0] is None:
                rows.append(row | {"change": "new", "changed": ""})
        elif not all(hidden) and (told := _told(earlier, row)):
            rows.append(row | {"change": "changed", "changed": told})
    rows += [
        row | {"change": "gone", "changed": ""}
        for key, row in old.items()
        if key not in new and row.get("suppressed_by") is None
    ]
    rows = sorted(in_order(rows), key=lambda row: _ORDER.index(row["change"]))
    return CHANGES.frame(rows)


def _by_id(found: pd.DataFrame) -> dict[tuple[str, int], dict[str, Any]]:
    """The findings by id; a second one of the same id is counted, not lost."""
    rows = found.astype(object).where(found.notna(), None).to_dict("records")
    counts = found.groupby("finding_id").cumcount()
    for row, place in zip(rows, counts, strict=True):
        row["place"] = int(place)
    return {_key(row): row for row in rows}


def _key(row: dict[str, Any]) -> tuple[str, int]:
    return row["finding_id"], row["place"]


def _grown(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Whether two findings with different ids are one, with more or fewer peers or ports."""
    one_of_many = [
        (before[name], after[name])
        for name in ("peer", "service_port", "protocol")
        if before[name] != after[name]
    ]
    return (
        bool(one_of_many)
        and all(None in pair for pair in one_of_many)
        and all(before[name] == after[name] for name in ("detector", "subject"))
        and bool(set(before["peers"]) & set(after["peers"]))
    )


def _told(before: dict[str, Any], after: dict[str, Any]) -> str:
    """What differs between two states of a finding, in words; empty when nothing does."""
    said = [
        f"{name} {_word(before[name])} -> {_word(after[name])}"
        for name in _NUMBERS
        if before[name] != after[name]
    ]
    more, fewer = (
        sorted(set(one["peers"]) - set(other["peers"]))
        for one, other in ((after, before), (before, after))
    )
    said += [f"peers {sign}{_list(peers)}" for sign, peers in (("+", more), ("-", fewer)) if peers]
    hidden = before.get("suppressed_by"), after.get("suppressed_by")
    if hidden[0] is None and hidden[1] is not None:
        said.append(f"now hidden by {hidden[1]}")
    elif hidden[0] is not None and hidden[1] is None:
        said.append(f"no longer hidden by {hidden[0]}")
    # The words follow the numbers: they are told only where nothing else differs.
    return "; ".join(
        said or [f"{name} reads anew" for name in _TEXTS if before[name] != after[name]]
    )


def _word(value: object) -> str:
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, int):
        return f"{value:,}"
    return "many" if value is None else str(value)


def _list(items: Iterable[str]) -> str:
    items = list(items)
    rest = f" and {len(items) - _NAMED:,} more" if len(items) > _NAMED else ""
    return ", ".join(items[:_NAMED]) + rest
