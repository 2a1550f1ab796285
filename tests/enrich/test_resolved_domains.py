"""Addresses that listed domains resolved to, and the periods of their answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import ibis
import pyarrow as pa

from flowbench.enrich.dns_names import ANSWER_LIFETIME
from flowbench.enrich.resolved_domains import find_resolved
from flowbench.loaders.aws import resolver
from flowbench.loaders.intel.indicators import TABLE

NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)
LIFETIME = timedelta(seconds=ANSWER_LIFETIME)
ADDRESSES = pa.chunked_array([["192.0.2.1", "192.0.2.2"]])


def resolved(indicators: list[str], *look_ups: tuple[str, list[str], float]) -> Any:
    rows = [{"indicator": name, "type": "domain" if name[-1].isalpha() else "address"}
            for name in indicators]  # fmt: skip
    answers = [
        {"name": name, "answers": addresses, "query_time": NOON + timedelta(hours=hours)}
        for name, addresses, hours in look_ups
    ]
    dns = ibis.memtable(resolver.TABLE.rows(answers))
    return find_resolved(ADDRESSES, TABLE.rows(rows), dns)


def test_only_whole_labels_match() -> None:
    found = resolved(
        ["192.0.2.1", "pool.example"],
        ("eu.pool.example", ["192.0.2.2", "192.0.2.1"], 0),
        ("whirlpool.example", ["192.0.2.1"], 0),
        ("example", ["192.0.2.1"], 0),
    )
    assert found.select(["at", "row", "length"]).to_pylist() == [
        {"at": 0, "row": 1, "length": -1},
        {"at": 1, "row": 1, "length": -1},
    ]


def test_answers_join_while_they_are_valid() -> None:
    hours = (0, 23, 47.5, 48)  # the third look-up is more than a lifetime after the second
    found = resolved(["a.example"], *(("a.example", ["192.0.2.1"], hour) for hour in hours))
    rows = found.select(["resolved_from", "resolved_until"]).to_pylist()
    assert [(row["resolved_from"], row["resolved_until"]) for row in rows] == [
        (NOON, NOON + timedelta(hours=23) + LIFETIME),
        (NOON + timedelta(hours=47.5), NOON + timedelta(hours=48) + LIFETIME),
    ]


def test_nothing_to_find() -> None:
    assert resolved(["192.0.2.1"], ("a.example", ["192.0.2.1"], 0)) is None
    assert resolved(["a.example"]) is None
    assert resolved(["a.example"], ("b.example", ["192.0.2.1"], 0)) is None
    assert resolved(["a.example"], ("a.example", ["198.51.100.9"], 0)).num_rows == 0
