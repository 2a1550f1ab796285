"""Connections and turning points in the timeline, each with the line of its first record."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from flowbench import detect
from flowbench.case import Case
from flowbench.detect import Findings
from flowbench.investigate.timeline import traffic
from tests.incident_case import EXIT, HOST, POOL
from tests.traffic import T0, connect, make_case, reject

SECOND = "10.0.0.6"


def at(seconds: int) -> pd.Timestamp:
    return pd.Timestamp(T0 + seconds, unit="s", tz="UTC")


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """Twelve connections every 300 s, two rejected attempts before, and another host's one."""
    records = [
        *(reject(HOST, EXIT, 9001, T0 - 600 + 60 * n, source_port=50_000 + n) for n in range(2)),
        *(
            record
            for n in range(12)
            for record in connect(HOST, EXIT, 9001, T0 + 300 * n, source_port=41_000 + n)
        ),
        *connect(SECOND, EXIT, 9001, T0 + 9_000, source_port=40_000),
    ]
    listed = f"indicator,kind\n{EXIT},tor\n"
    return make_case(tmp_path_factory.mktemp("traffic"), records, indicators=listed)


@pytest.fixture(scope="module")
def findings(case: Case) -> Findings:
    found = detect.run(case, only=["contact"])
    return Findings(f for f in found if f.subject == HOST)


def test_a_row_for_each_host_and_service(case: Case) -> None:
    first, second = traffic.connection_rows(case, [EXIT])
    assert (first.actor, first.object, first.count, first.ports) == (HOST, EXIT, 14, (9001,))
    assert (first.time, first.line, first.rejected) == (at(-600), 2, False)
    assert "opened 14 connections to" in first.detail
    assert "(12 accepted, 2 rejected)" in first.detail
    assert (second.actor, second.count, second.time) == (SECOND, 1, at(9_000))


def test_the_interval_is_stated_where_it_is_regular(tmp_path: Path) -> None:
    records = [
        record
        for n in range(12)
        for record in connect(HOST, EXIT, 443, T0 + 300 * n, source_port=41_000 + n)
    ]
    (row,) = traffic.connection_rows(make_case(tmp_path, records), [EXIT])
    assert ", every 5.0 min (12 accepted, 0 rejected)" in row.detail


def test_many_peers_are_counted_in_one_row(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "MOST_PAIRS", 1)
    first, others = traffic.connection_rows(case, [EXIT])
    assert first.actor == HOST
    assert others.detail == "1 more connections between 1 other pairs of addresses and services."


def test_first_accepted_first_rejected_and_last(case: Case, findings: Findings) -> None:
    rows = {event.activity: event for event in traffic.turning_points(case, findings)}
    accepted, rejected = rows[traffic.FIRST_ACCEPTED], rows[traffic.FIRST_REJECTED]
    assert (accepted.time, accepted.line) == (at(0), 4)
    assert accepted.detail == (
        f"The first of 12 accepted connections from {HOST} to {EXIT} on 9001/tcp (tor-or) began."
    )
    assert (rejected.time, rejected.line, rejected.rejected) == (at(-600), 2, True)
    last = rows[traffic.LAST]
    assert last.time >= at(3_300)
    assert last.detail.startswith(f"The last of 14 connections from {HOST} to {EXIT}")


def test_findings_about_the_same_ends_share_their_turning_points(
    case: Case, findings: Findings
) -> None:
    twice = [*findings, *findings]
    assert len(list(traffic.turning_points(case, twice))) == 3


def test_no_external_address_and_no_finding(case: Case) -> None:
    assert list(traffic.connection_rows(case, [])) == []
    assert list(traffic.connection_rows(case, [POOL])) == []
    assert list(traffic.turning_points(case, [])) == []
