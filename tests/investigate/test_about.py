"""What a case has about anything named: addresses, connections and a graph."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from flowbench.case import Case
from flowbench.errors import InputError
from flowbench.investigate import about, where
from flowbench.investigate.filters import Filters
from tests.incident_case import (
    CALLER,
    DATABASE,
    EXIT,
    HOST,
    INSTANCE,
    INTERFACE,
    KEY,
    POOL,
    WEB,
    make_incident_case,
)
from tests.traffic import T0, connect, interface, make_case


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_incident_case(tmp_path_factory.mktemp("about") / "incident")


def listed(case: Case, *what: str) -> set[str]:
    return set(about.addresses(case, *what).address.to_pyarrow().to_pylist())


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (HOST, {HOST}),
        ("198.51.100.0/24", {EXIT}),
        (INTERFACE, {HOST}),
        (INSTANCE, {HOST}),
        ("POOL.example", {POOL}),
        ("eve", set()),  # her calls came from an address without traffic
    ],
)
def test_addresses(case: Case, what: str, expected: set[str]) -> None:
    assert listed(case, what) == expected


def test_addresses_of_several(case: Case) -> None:
    assert listed(case, WEB, INSTANCE) == {WEB, HOST}
    assert listed(case) == set()


def test_a_principal_has_the_addresses_of_its_calls(case: Case) -> None:
    (found,) = {about.addresses_of(case, about.resolve(case, text))[0] for text in ("eve", KEY)}
    assert found == CALLER


@pytest.mark.parametrize("function", ["addresses", "evidence", "connections", "graph"])
def test_what_is_nothing_is_refused_with_the_nearest_names(case: Case, function: str) -> None:
    with pytest.raises(InputError, match=r"'i-0aaaa1112' is no address.*nearest: .*i-0aaaa1111"):
        getattr(about, function)(case, "i-0aaaa1112")


def test_connections(case: Case) -> None:
    rows = about.connections(case, INSTANCE).to_pyarrow().to_pylist()
    assert {row["responder"] for row in rows} == {POOL, EXIT, DATABASE}
    assert [row["first_seen"] for row in rows] == sorted(row["first_seen"] for row in rows)
    rejected = about.connections(case, HOST, Filters(rejected=True))
    assert rejected.count().to_pyarrow().as_py() == 8
    one = about.connections(case, HOST, Filters(peer=POOL, ports=(3333,)))
    assert one.count().to_pyarrow().as_py() == 3


def test_connections_of_a_former_owner_are_not_its_own(tmp_path: Path) -> None:
    attached = {"AttachmentId": "a", "InstanceId": "i-0new00001"}
    new = interface("10.0.0.5", "new", Attachment=attached | {"AttachTime": "2026-09-01T02:00:00Z"})
    records = [
        *connect("10.0.0.5", POOL, 443, T0, interface_id="eni-old"),
        *connect("10.0.0.5", POOL, 444, T0 + 4 * 3_600, interface_id="eni-new"),
    ]
    case = make_case(tmp_path, records, interfaces=[new])
    rows = about.connections(case, "i-0new00001").to_pyarrow().to_pylist()
    assert [row["service_port"] for row in rows] == [444]
    assert "external" in about.graph(case, outsiders="together")


def test_a_graph(case: Case) -> None:
    assert set(about.graph(case)) == {HOST, DATABASE, WEB, POOL, EXIT}
    assert set(about.graph(case, INSTANCE)) == {HOST, DATABASE, POOL, EXIT}
    assert set(about.graph(case, POOL)) == {POOL, HOST}
    assert set(about.graph(case, POOL, hops=3)) == {POOL, HOST, DATABASE, EXIT, WEB}
    assert about.graph(case, POOL).graph["center"] == POOL
    assert set(about.graph(case, INSTANCE, level="instance")) == {INSTANCE, DATABASE, POOL, EXIT}
    several = about.graph(case, "10.0.0.6/31")
    assert (set(several), several.graph["center"]) == ({WEB, DATABASE}, WEB)
    both = about.graph(case, "198.51.100.0/22")
    assert set(both) == {EXIT, HOST}


def test_a_graph_of_a_period_and_of_a_port(case: Case) -> None:
    early = Filters(until=pd.Timestamp(T0 + 1_000, unit="s", tz="UTC").to_pydatetime())
    assert set(about.graph(case, filters=early)) == {HOST, POOL, EXIT, WEB, DATABASE}
    assert set(about.graph(case, HOST, filters=Filters(ports=(3306,)))) == {HOST, DATABASE}
    with pytest.raises(InputError, match=r"203.0.113.50 \(address\) has no connection in this"):
        about.graph(case, POOL, filters=Filters(ports=(3306,)))
    some = Filters(where=where.parse("dport = 3306 and not rejected"))
    assert sorted(about.graph(case, filters=some).edges) == [(WEB, DATABASE)]
    with pytest.raises(InputError, match="nodes by address or instance"):
        about.graph(case, POOL, level="vpc")


def test_edges_have_indicator_matches_first(case: Case) -> None:
    rows = about.edges(about.graph(case))
    assert rows["target"].tolist() == [POOL, EXIT, DATABASE, DATABASE]
    assert rows["verdict"].tolist() == ["indicator match"] * 2 + ["accepted", "rejected"]
    assert list(rows) == about.EDGES.columns
