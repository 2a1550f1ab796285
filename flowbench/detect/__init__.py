"""Detectors: each asks one question of a case. One module each; a new one is a new file here.

What the analyst knows to be harmless stands in allow lists (indicators of kind ``allow``). A
finding whose subject, or whose every peer, such a list covers is hidden, and said to be: see
``run``. Of an allow list and a list of bad addresses that both name an address the more specific
one counts, the allow list if they are alike: a cloud's whole range excuses no listed host in it.
Names that resolved to an address excuse it last and accuse it first: many names share one address.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import TYPE_CHECKING, Any

import ibis
import pandas as pd
import pyarrow as pa

from flowbench.detect.base import FINDINGS, REGISTRY, SEVERITIES, Detector, in_order
from flowbench.detect.changes import CHANGES, compare
from flowbench.detect.story import STORIES, STRANDS, stories, strands
from flowbench.errors import InputError
from flowbench.schema import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowbench.case import Case

__all__ = [
    "CHANGES",
    "FINDINGS",
    "HIDDEN",
    "SEVERITIES",
    "STORIES",
    "STRANDS",
    "apart",
    "compare",
    "plan",
    "registered",
    "run",
    "stories",
    "strands",
]

HIDDEN = Table.of(
    "hidden_findings",
    *((field.name, field.type, field.meaning) for field in FINDINGS.fields),
    ("hidden_by", "string", "the allow lists that cover it; null: it is shown"),
    ("hidden_reason", "string", "what they say of it; list text, to be escaped"),
)

_ADDRESS = 128  # at least as many bits as any address has


@cache
def registered() -> dict[str, Detector]:
    """Every detector by its id."""
    for found in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{found.name}")
    return dict(sorted(REGISTRY.items()))


def plan(case: Case) -> pd.DataFrame:
    """What each detector asks, and whether this case's evidence can answer.

    Columns: detector, title, question, technique, runs (bool), reason (what is missing, or '').
    """
    rows = [
        (d.id, d.title, d.question, d.technique, not (reason := _missing(case, d)), reason)
        for d in registered().values()
    ]
    columns = ["detector", "title", "question", "technique", "runs", "reason"]
    return pd.DataFrame(rows, columns=columns)


def run(case: Case, only: Sequence[str] | None = None, *, hidden: bool = False) -> pd.DataFrame:
    """The findings (FINDINGS) of all detectors that can run, the gravest first.

    ``only`` names the detectors to run. Findings that allow lists cover are left out; with
    ``hidden`` they are there, and two columns say which they are and why (HIDDEN, see ``apart``).
    Raises InputError for a name that is no detector's.
    """
    chosen = registered()
    if only is not None:
        unknown = [name for name in only if name not in chosen]
        if unknown:
            raise InputError(
                f"no detector is called {', '.join(unknown)}; there are: {', '.join(chosen)}"
            )
        chosen = {name: d for name, d in chosen.items() if name in only}
    able = [d for d in chosen.values() if not _missing(case, d)]
    rows: list[dict[str, Any]] = []
    for done, d in enumerate(able):
        case.progress(done, len(able), f"asking: {d.id}")
        rows += d.function(case)
    rows = in_order(rows)
    _hide(case, rows)
    case.progress(len(able), len(able), "")
    if hidden:
        return HIDDEN.frame(rows)
    return FINDINGS.frame(row for row in rows if row["hidden_by"] is None)


def apart(found: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What ``run`` returned with ``hidden``: the findings to show (FINDINGS), and the others."""
    hidden = found["hidden_by"].notna()
    shown = found.loc[~hidden, FINDINGS.columns]
    return shown.reset_index(drop=True), found[hidden].reset_index(drop=True)


def _missing(case: Case, detector: Detector) -> str:
    fields = sorted(detector.needs - case.fields)
    if fields:
        return "not run: needs " + ", ".join(name.replace("_", "-") for name in fields)
    empty = sorted(name for name in detector.tables if not case.has(name))
    return f"not run: the case has no {', '.join(empty)}" if empty else ""


def _hide(case: Case, rows: list[dict[str, Any]]) -> None:
    """Write into each finding which allow lists cover it, and what they say; None for none."""
    if not rows:
        return
    at = {address for row in rows for address in (row["subject"], *row["peers"])}
    allowed = _named(case.allowed, at) if case.has("indicators") else {}
    accused = _named(case.matches, set(allowed)) if allowed else {}

    def excuse(address: str, port: int | None) -> dict[str, Any] | None:
        for_it, against = (
            [one for one in said.get(address, ()) if one["port"] in (None, port)]
            for said in (allowed, accused)
        )
        best = min(for_it, key=lambda one: -_bits(one, domain=-1), default=None)
        worst = max((_bits(one, domain=_ADDRESS + 1) for one in against), default=-1)
        return best if best and _bits(best, domain=-1) >= worst else None

    for row in rows:
        port = row["service_port"]
        peers = [excuse(peer, port) for peer in row["peers"]]
        own = excuse(row["subject"], port)
        # Of a finding that names only some of its peers nobody knows who the others are.
        all_of_them = [] if row.get("some_peers") or not all(peers) else peers
        told = [own] if own else [one for one in all_of_them if one]
        lists = {one["feed"] or "": one["description"] or "" for one in reversed(told)}
        row["hidden_by"] = ", ".join(sorted(lists)) if told else None
        reasons = sorted({reason for reason in lists.values() if reason})
        row["hidden_reason"] = "; ".join(reasons) if told else None


def _named(matches: ibis.Table, addresses: set[str]) -> dict[str, list[dict[str, Any]]]:
    """What lists say, in the time of some contact, of each of these addresses."""
    wanted = ibis.memtable({"wanted": pa.array(sorted(addresses), pa.string())})
    said = matches.filter(matches.in_period.fill_null(True))
    said = said.semi_join(wanted, said.address == wanted.wanted)
    columns = ["address", "indicator", "type", "port", "feed", "description", "source", "line"]
    found: dict[str, list[dict[str, Any]]] = {}
    order = ["address", "feed", "source", "line", "indicator"]
    for one in said.select(columns).order_by(order).to_pyarrow().to_pylist():
        found.setdefault(one["address"], []).append(one)
    return found


def _bits(said: dict[str, Any], *, domain: int) -> int:
    """How specific an indicator is: the bits of its network, all of them for an address."""
    if said["type"] == "domain":
        return domain
    _base, slash, bits = said["indicator"].partition("/")
    return int(bits) if slash else _ADDRESS
