"""Indicators of compromise: which are collected, and their first and last signs."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from flowbench import detect
from flowbench.case import Case
from flowbench.investigate.indicators import INDICATORS, collect_indicators
from tests.incident_case import (
    CALLER,
    CREATOR,
    EXIT,
    HOST,
    INSTANCE,
    INTERFACE,
    KEY,
    POOL,
    ROGUE,
    WEB,
    make_incident_case,
)
from tests.traffic import T0, connect, make_case, reject

HOUR = 3600


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_incident_case(tmp_path_factory.mktemp("indicators") / "incident")


def at(seconds: int) -> pd.Timestamp:
    return pd.Timestamp(T0 + seconds, unit="s", tz="UTC")


def test_indicators_of_subjects_and_peers(case: Case) -> None:
    found = collect_indicators(case, detect.run(case))
    rows = found[["type", "indicator", "first_seen", "last_seen"]]
    assert list(rows.itertuples(index=False, name=None)) == [
        ("access key", "AKIAEXAMPLEADA", at(-4 * HOUR), at(-4 * HOUR + 30)),
        ("access key", KEY, at(-4 * HOUR + 30), at(-HOUR + 90)),
        ("address", HOST, at(0), at(6 * HOUR - 181)),
        ("address", CALLER, at(-4 * HOUR), at(-HOUR + 90)),
        ("address", EXIT, at(60), at(6 * HOUR - 181)),
        ("address", POOL, at(0), at(6 * HOUR - 241)),
        ("domain", "eu.pool.example", at(0), at(4 * HOUR)),
        ("instance", INSTANCE, at(-HOUR + 60), at(6 * HOUR - 181)),
        ("interface", INTERFACE, at(-HOUR + 60), at(6 * HOUR - 181)),
        ("principal", CREATOR, at(-4 * HOUR), at(-4 * HOUR + 30)),
        ("principal", ROGUE, at(-4 * HOUR), at(-HOUR + 90)),
    ]
    pool = found[found["indicator"] == POOL].iloc[0]
    assert pool["role"] == "Crypto-mining traffic; Indicator match (mining)"
    assert pool["subject"] == HOST
    assert set(found["subject"]) == {HOST}
    key = found[found["indicator"] == KEY].iloc[0]
    assert (key["role"], key["reference"]) == (f"access key that launched {INSTANCE}", "event e5")


def test_internal_peers_are_no_indicators(tmp_path: Path) -> None:
    records = [
        *connect(HOST, POOL, 3333, T0, seconds=7 * HOUR),
        *(reject(HOST, WEB, 1_000 + n, T0 + n, source_port=50_000 + n) for n in range(60)),
    ]
    case = make_case(tmp_path, records, indicators=f"indicator,kind\n{POOL},mining\n")
    found = detect.run(case, only=["contact", "scan"])
    severe = found.at_least("high")
    assert {"contact", "scan"} <= {finding.detector for finding in severe}
    assert WEB in {finding.peer for finding in severe}
    indicators = collect_indicators(case, found)
    assert list(indicators.loc[indicators["type"] == "address", "indicator"]) == [HOST, POOL]


def test_no_findings_no_indicators(tmp_path: Path) -> None:
    case = Case.create(tmp_path / "empty")
    indicators = collect_indicators(case, detect.run(case))
    assert list(indicators.columns) == INDICATORS.columns
    assert indicators.empty
