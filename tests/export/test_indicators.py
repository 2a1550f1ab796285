"""Indicators as CSV: what to block first, own assets marked."""

from __future__ import annotations

import csv
import io

from flowbench.detect import Findings
from flowbench.export import indicators
from tests.incident_case import EXIT, HOST, INSTANCE, KEY, POOL


def test_what_to_block_stands_before_own_assets(case, findings) -> None:
    rows = list(csv.DictReader(io.StringIO(indicators.to_csv(case, findings).decode())))
    own = {row["indicator"] for row in rows if row["own_asset"] == "true"}
    block = {row["indicator"] for row in rows if row["own_asset"] == "false"}
    assert {POOL, EXIT, "eu.pool.example"} <= block
    assert {INSTANCE, KEY} <= own
    assert HOST not in block
    flags = [row["own_asset"] for row in rows]
    assert flags == sorted(flags)
    assert all(row["first_seen"].endswith("+00:00") for row in rows if row["first_seen"])


def test_no_findings(case) -> None:
    assert indicators.to_csv(case, Findings()).decode().splitlines() == [
        "indicator,type,role,first_seen,last_seen,subject,reference,own_asset"
    ]
