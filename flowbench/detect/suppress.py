"""Allow lists: which findings they suppress, and what they say of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ibis
import pyarrow as pa

from flowbench.detect.base import FINDINGS
from flowbench.schema import Table

if TYPE_CHECKING:
    import pandas as pd

    from flowbench.case import Case

HIDDEN = Table.of(
    "suppressed_findings",
    *((field.name, field.type, field.meaning) for field in FINDINGS.fields),
    ("suppressed_by", "string", "the allow lists that cover it; null: it is shown"),
    ("suppression_reason", "string", "what they say of it; list text, to be escaped"),
)

_ADDRESS = 128  # at least as many bits as any address has


def apart(found: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What ``run`` returned with ``hidden``: the findings to show (FINDINGS), and the others."""
    hidden = found["suppressed_by"].notna()
    shown = found.loc[~hidden, FINDINGS.columns]
    return shown.reset_index(drop=True), found[hidden].reset_index(drop=True)


def hide(case: Case, rows: list[dict[str, Any]]) -> None:
    """Write into each finding which allow lists cover it, and what they say; None for none."""
    if not rows:
        return
    at = {address for row in rows for address in (row["subject"], *row["peers"])}
    allowed = _named(case.allow_list_matches, at) if case.has("indicators") else {}
    accused = _named(case.indicator_matches, set(allowed)) if allowed else {}

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
        row["suppressed_by"] = ", ".join(sorted(lists)) if told else None
        reasons = sorted({reason for reason in lists.values() if reason})
        row["suppression_reason"] = "; ".join(reasons) if told else None


def _named(matches: ibis.Table, addresses: set[str]) -> dict[str, list[dict[str, Any]]]:
    """What lists say, in the time of some contact, of each of these addresses."""
    wanted = ibis.memtable({"wanted": pa.array(sorted(addresses), pa.string())})
    said = matches.filter(matches.in_period.fill_null(True))
    said = said.semi_join(wanted, said.address == wanted.wanted)
    columns = ["address", "indicator", "type", "port", "feed", "description", "evidence_id", "line"]
    found: dict[str, list[dict[str, Any]]] = {}
    order = ["address", "feed", "evidence_id", "line", "indicator"]
    for one in said.select(columns).order_by(order).to_pyarrow().to_pylist():
        found.setdefault(one["address"], []).append(one)
    return found


def _bits(said: dict[str, Any], *, domain: int) -> int:
    """How specific an indicator is: the bits of its network, all of them for an address."""
    if said["type"] == "domain":
        return domain
    _base, slash, bits = said["indicator"].partition("/")
    return int(bits) if slash else _ADDRESS
