"""Filters by period, peer, port and rejection, for records, API events and findings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from flowbench import detect
from flowbench.case import Case
from flowbench.errors import InputError
from flowbench.investigate import where
from flowbench.investigate.filters import (
    Filters,
    filter_api_events,
    filter_changes,
    filter_connections,
    filter_findings,
    filter_flows,
    filter_frame,
)
from tests.incident_case import (
    CALLER,
    CREATOR,
    CREATOR_KEY,
    EXIT,
    HOST,
    KEY,
    POOL,
    make_incident_case,
)
from tests.traffic import T0, connect, make_case, reject

START = datetime.fromtimestamp(T0, UTC)
A, B, C = "10.0.0.5", "203.0.113.9", "198.51.100.7"


@pytest.fixture(scope="module")
def flows(tmp_path_factory) -> Case:
    records = [
        *connect(A, B, 443, T0, source_port=40_001),
        *connect(A, C, 22, T0 + 3_600, source_port=40_002),
        reject(C, A, 3389, T0 + 7_200),
    ]
    return make_case(tmp_path_factory.mktemp("flows"), records)


@pytest.fixture(scope="module")
def incident(tmp_path_factory) -> Case:
    return make_incident_case(tmp_path_factory.mktemp("incident"))


@pytest.mark.parametrize(
    ("filters", "address", "count"),
    [
        (Filters(), None, 5),
        (Filters(since=START + timedelta(hours=1)), None, 3),
        (Filters(until=START + timedelta(hours=1)), None, 2),
        (Filters(since=START + timedelta(hours=1), until=START + timedelta(hours=2)), None, 2),
        (Filters(since=START + timedelta(days=1)), None, 0),
        (Filters(peer=C), None, 3),
        (Filters(peer=C), A, 3),
        (Filters(peer=C), B, 0),
        (Filters(ports=(22, 3389)), None, 3),
        (Filters(ports=(40_001,)), None, 2),
        (Filters(rejected=True), None, 1),
        (Filters(rejected=True, ports=(22,)), None, 0),
    ],
)
def test_flow_records(flows: Case, filters: Filters, address: str | None, count: int) -> None:
    assert filter_flows(flows, filters, address).count().execute() == count


def test_an_empty_period_is_an_error() -> None:
    with pytest.raises(InputError, match=r"the period is empty: it starts at 2026-09-01 00:00:00"):
        Filters(since=START, until=START)


@pytest.mark.parametrize(
    ("first", "last", "wanted"),
    [
        (START, None, True),
        (START - timedelta(hours=2), START + timedelta(hours=9), True),
        (START - timedelta(hours=2), START - timedelta(seconds=1), False),
        (START + timedelta(hours=1), None, False),
        (None, None, False),
    ],
)
def test_a_period_keeps_what_overlaps_it(
    first: datetime | None, last: datetime | None, wanted: bool
) -> None:
    filters = Filters(since=START, until=START + timedelta(hours=1))
    assert filters.overlaps(first, last) == wanted
    assert Filters().overlaps(first, last)


@pytest.mark.parametrize(
    "options",
    [
        {"principals": ["ada"]},
        {"principals": [CREATOR]},
        {"keys": [CREATOR_KEY]},
    ],
)
def test_api_events_of_a_principal(incident: Case, options: dict[str, list[str]]) -> None:
    rows = filter_api_events(incident, Filters(), **options).to_pyarrow().to_pylist()
    assert rows
    wanted = {CREATOR_KEY} if "keys" in options else {"ada"}
    column = "access_key_id" if "keys" in options else "principal_name"
    assert {row[column] for row in rows} == wanted


def test_the_call_that_returned_a_key_is_found(incident: Case) -> None:
    rows = filter_api_events(incident, Filters(), keys=[KEY]).to_pyarrow().to_pylist()
    assert {row["event_name"] for row in rows if row["access_key_id"] != KEY} == {"CreateAccessKey"}


@pytest.mark.parametrize(
    ("names", "matching"),
    [
        (["runinstances"], {"RunInstances"}),
        (["Run*"], {"RunInstances"}),
        (["RunInstance"], set()),
        (["R.nInstances"], set()),
        (["*"], None),
        (["(", "RunInstances"], {"RunInstances"}),
    ],
)
def test_api_calls_by_name(incident: Case, names: list[str], matching: set[str] | None) -> None:
    table = filter_api_events(incident, Filters(), names=names)
    if matching is None:
        assert table.count().execute() == incident.api_events.count().execute()
    else:
        assert set(table.to_pyarrow()["event_name"].to_pylist()) == matching


def test_failed_api_calls(incident: Case) -> None:
    failed = filter_api_events(incident, Filters(rejected=True)).to_pyarrow()
    codes = set(failed["error_code"].to_pylist())
    assert codes
    assert None not in codes
    same = filter_api_events(incident, Filters(), errors=["*"])
    assert same.count().execute() == failed.num_rows
    assert filter_api_events(incident, Filters(peer=CALLER)).count().execute() > 0
    assert filter_api_events(incident, Filters(peer="192.0.2.250")).count().execute() == 0
    assert filter_api_events(incident, Filters(ports=(443,))).count().execute() == 0


def test_findings(incident: Case) -> None:
    findings = detect.run(incident, ["contact", "mining", "lateral-movement"])
    pool = filter_findings(findings, Filters(peer=POOL))
    assert {POOL in finding.peers for finding in pool} == {True}
    assert 0 < len(pool) < len(findings)
    assert filter_findings(findings, Filters()) == findings
    (port,) = {port for finding in pool for port in finding.evidence.ports}
    assert set(filter_findings(findings, Filters(ports=(port,)))) >= set(pool)
    assert not filter_findings(findings, Filters(since=findings[0].last_seen + timedelta(days=9)))
    rejected = filter_findings(findings, Filters(rejected=True))
    assert all("reject" in finding.title.lower() for finding in rejected)
    changes = detect.compare(detect.Findings(), findings)
    assert len(filter_changes(changes, Filters(peer=EXIT))) == len(
        filter_findings(findings, Filters(peer=EXIT))
    )
    assert len(filter_changes(changes.head(0), Filters(peer=HOST))) == 0


def test_rows_without_an_end_are_moments() -> None:
    import pandas as pd

    rows = pd.DataFrame(
        {"first": pd.to_datetime([START, START], utc=True), "last": [pd.NaT, pd.Timestamp(START)]}
    )
    rows["last"] = pd.to_datetime(rows["last"], utc=True)
    assert len(filter_frame(rows, Filters(since=START), "first", "last")) == 2
    assert len(filter_frame(rows, Filters(until=START), "first", "last")) == 0


def test_connections(flows: Case) -> None:
    def count(**filters: object) -> int:
        return filter_connections(flows, Filters(**filters)).count().execute()

    assert (count(), count(peer=C), count(ports=(22,)), count(rejected=True)) == (3, 2, 1, 1)
    assert count(since=START + timedelta(hours=1), where=where.parse("not rejected")) == 1
    assert filter_flows(flows, Filters(where=where.parse("dport = 22"))).count().execute() == 1
