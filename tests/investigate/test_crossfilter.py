"""Sums of some connections by time, host, service, country and pair, and their rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from flowbench.case import Case
from flowbench.errors import InputError
from flowbench.investigate.crossfilter import MEASURES, Period, Selection
from flowbench.investigate.where import FilterError
from tests.traffic import T0, connect, interface, make_case, reject

START = datetime.fromtimestamp(T0, UTC)
A, B, OUT = "10.0.0.5", "10.0.0.9", "193.0.6.139"  # RIPE NCC's: its country is known offline
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def case(tmp_path_factory) -> Case:
    records = [
        *connect(A, OUT, 443, T0, source_port=40_001, out=9_000, back=1_000),
        *connect(A, OUT, 443, T0 + 3_600, source_port=40_002, out=800, back=200),
        *connect(A, B, 22, T0 + 7_200, out=100, back=100),
        *(reject(OUT, A, port, T0 + 20_000) for port in (3389, 3390)),
    ]
    tags = [{"Key": "Name", "Value": HOSTILE}]
    listed = [interface(A, "a", TagSet=tags), interface(B, "b")]
    return make_case(tmp_path_factory.mktemp("crossfilter"), records, interfaces=listed)


# The same connections by the cube, and by what it has no dimension for.
@pytest.fixture(params=["", "bytes >= 0"])
def everything(case: Case, request: pytest.FixtureRequest):
    with Selection(case, request.param) as selection:
        assert selection.is_counted == (request.param == "")
        yield selection


def test_totals_and_activity(everything: Selection) -> None:
    totals = {"connections": 5, "rejected": 2, "bytes": 11_320}
    assert everything.totals() == totals
    activity = everything.activity()
    assert {name: activity[name].sum() for name in MEASURES} == totals
    busy = activity[activity["connections"] > 0]
    assert busy["connections"].tolist() == [1, 1, 1, 2]
    assert busy["since"].iloc[0] == START


def test_hosts_at_either_end(everything: Selection) -> None:
    hosts = everything.hosts()
    assert hosts[["address", "connections", "rejected", "bytes"]].values.tolist() == [
        [A, 5, 2, 11_320],
        [OUT, 4, 2, 11_120],
        [B, 1, 0, 200],
    ]
    assert hosts["name"].iloc[0] == HOSTILE
    assert hosts["internal"].tolist() == [True, False, True]
    assert everything.hosts("rejected", most=1)["address"].tolist() == [A]


def test_services_countries_and_pairs(everything: Selection) -> None:
    services = everything.services("bytes")
    assert services[["service_port", "protocol", "bytes"]].values.tolist() == [
        [443, 6, 11_000],
        [22, 6, 200],
        [3389, 6, 60],
        [3390, 6, 60],
    ]
    countries = everything.countries()
    assert countries[["country", "connections"]].values.tolist() == [["NL", 4]]
    pairs = everything.pairs("bytes")
    assert pairs[["initiator", "responder", "bytes"]].values.tolist() == [
        [A, OUT, 11_000],
        [A, B, 200],
        [OUT, A, 120],
    ]


def test_rows_in_pages(everything: Selection) -> None:
    first, second = everything.connections(0, 3), everything.connections(3, 3)
    assert first["service_port"].tolist() + second["service_port"].tolist() == [
        443,
        443,
        22,
        3389,
        3390,
    ]
    records = everything.records(0, 100)
    assert len(records) == 8
    assert records["start"].is_monotonic_increasing
    assert {"evidence_id", "line"} <= set(records.columns)


def test_activity_ignores_the_period_and_the_rest_does_not(case: Case) -> None:
    period = Period(START, START + timedelta(hours=1))
    with Selection(case, "dport = 443", period) as selection:
        assert selection.is_counted
        assert selection.totals()["connections"] == 1
        assert selection.activity()["connections"].sum() == 2
        assert selection.hosts()["connections"].tolist() == [1, 1]
        assert len(selection.connections()) == 1


def test_a_period_within_those_of_the_cube(case: Case) -> None:
    period = Period(START - timedelta(seconds=1), START + timedelta(seconds=1))
    with Selection(case, "", period) as selection:
        assert not selection.is_counted
        assert selection.totals()["connections"] == 1
        assert selection.activity()["connections"].sum() == 5


def test_nothing_matches(case: Case) -> None:
    with Selection(case, "dport = 1") as selection:
        assert selection.totals() == dict.fromkeys(MEASURES, 0)
        assert selection.activity()["connections"].sum() == 0
        for rows in (selection.hosts(), selection.pairs(), selection.connections()):
            assert rows.empty


def test_errors(case: Case) -> None:
    with pytest.raises(FilterError):
        Selection(case, "dport = x")
    with Selection(case, "answered") as selection, pytest.raises(InputError, match="flow records"):
        selection.records()


def test_every_page_is_a_part_of_the_whole(everything: Selection) -> None:
    whole = everything.connections(0, 100)
    assert len(whole) == 5
    for offset in range(7):
        for limit in (1, 2, 5):
            part = everything.connections(offset, limit)
            expected = whole.iloc[offset : offset + limit].reset_index(drop=True)
            pd.testing.assert_frame_equal(part, expected)
