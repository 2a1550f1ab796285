"""Resolutions: queries whose answers were given addresses, by host and name."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from flowbench.investigate.dns_answers import find_resolutions
from tests.incident_case import HOST, POOL, WEB, dns_query
from tests.traffic import T0, connect, make_case


def at(seconds: int) -> pd.Timestamp:
    return pd.Timestamp(T0 + seconds, unit="s", tz="UTC")


def test_queries_are_summed_by_host_and_name(tmp_path: Path) -> None:
    lines = [
        dns_query(T0 + 60),
        dns_query(T0),
        dns_query(T0 + 30, host=WEB),
        dns_query(T0, name="other.example."),
    ]
    case = make_case(tmp_path, connect(HOST, POOL, 443, T0), json_lines=lines)
    found = find_resolutions(case, {POOL, "192.0.2.200"})
    assert [(r.host, r.name, r.queries) for r in found] == [
        (HOST, "eu.pool.example", 2),
        (HOST, "other.example", 1),
        (WEB, "eu.pool.example", 1),
    ]
    first = found[0]
    assert (first.answers, first.first_seen, first.last_seen) == ([POOL], at(0), at(60))
    assert (first.line, first.item) == (2, 2)  # of the earliest query


def test_other_answers_and_no_addresses(tmp_path: Path) -> None:
    case = make_case(tmp_path, connect(HOST, POOL, 443, T0), json_lines=[dns_query(T0)])
    assert find_resolutions(case, {"192.0.2.200"}) == []
    assert find_resolutions(case, set()) == []
