"""Findings grouped as they are told: a story a host, in it a strand for each of its peers."""

from __future__ import annotations

from typing import Any

import pandas as pd

from flowbench.detect.base import FINDINGS, SEVERITIES, in_order
from flowbench.schema import Table

_SHARED = (
    ("severity", "string", "of the gravest finding"),
    ("score", "float64", "the best among the gravest"),
    ("findings", "int64", "how many"),
    ("detectors", "strings", "whose they are, the gravest's first"),
    ("first_seen", "time", "start of the first connection"),
    ("last_seen", "time", "end of the last"),
)

STORIES = Table.of(
    "stories",
    ("subject", "string", "the address that the findings are about"),
    *_SHARED,
    *((name, "int64", f"findings of {name} severity") for name in reversed(SEVERITIES)),
    ("strands", "int64", "how many strands it has, see STRANDS"),
)

STRANDS = Table.of(
    "strands",
    ("subject", "string", "whose story it belongs to"),
    ("peer", "string", "the other address; null when they are many"),
    ("peers", "strings", "every other address"),
    *_SHARED,
    ("title", "string", "what each detector calls it, the gravest first"),
    ("why", "string", "the reason of the gravest finding"),
    ("finding_ids", "strings", "its findings, the gravest first"),
)


def stories(found: pd.DataFrame) -> pd.DataFrame:
    """One row a host (STORIES): all findings about it, the host with the gravest first.

    Hosts are in the order of their gravest findings, which is that of ``run``: by severity, then
    score.
    """
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in _ordered(found):
        groups.setdefault(row["subject"], []).append(row)
    return STORIES.frame(
        _sum(rows)
        | {"subject": subject, "strands": len({_about(row) for row in rows})}
        | {name: sum(row["severity"] == name for row in rows) for name in SEVERITIES}
        for subject, rows in groups.items()
    )


def strands(found: pd.DataFrame) -> pd.DataFrame:
    """One row for what detectors say of one subject and the same peers (STRANDS).

    In the order of ``stories``, within a host the gravest first.
    """
    groups: dict[tuple[str, tuple[str, ...]], list[dict[str, Any]]] = {}
    rank: dict[str, int] = {}
    for row in _ordered(found):
        rank.setdefault(row["subject"], len(rank))
        groups.setdefault((row["subject"], _about(row)), []).append(row)
    told = sorted(groups.items(), key=lambda group: rank[group[0][0]])  # stable: gravest first
    return STRANDS.frame(
        _sum(rows)
        | {
            "subject": subject,
            "peer": rows[0]["peer"],
            "peers": rows[0]["peers"],
            "title": " + ".join(dict.fromkeys(row["title"] for row in rows)),
            "why": rows[0]["why"],
            "finding_ids": [row["finding_id"] for row in rows],
        }
        for (subject, _), rows in told
    )


def _ordered(found: pd.DataFrame) -> list[dict[str, Any]]:
    plain = found[FINDINGS.columns].astype(object)
    return in_order(plain.where(plain.notna(), None).to_dict("records"))


def _about(row: dict[str, Any]) -> tuple[str, ...]:
    """What makes findings about one subject one strand: the same peers; none: only itself."""
    return tuple(row["peers"]) or (row["finding_id"],)


def _sum(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "severity": rows[0]["severity"],
        "score": rows[0]["score"],
        "findings": len(rows),
        "detectors": list(dict.fromkeys(row["detector"] for row in rows)),
        "first_seen": min((row["first_seen"] for row in rows if row["first_seen"]), default=None),
        "last_seen": max((row["last_seen"] for row in rows if row["last_seen"]), default=None),
    }
