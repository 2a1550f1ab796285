"""Paths in order of time: forward, back, and their blast radius."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from flowbench.case import Case
from flowbench.errors import InputError
from flowbench.investigate import graph
from tests.traffic import T0, connect, interface, make_case, reject


def at(seconds: int) -> pd.Timestamp:
    return pd.Timestamp(T0 + seconds, unit="s", tz="UTC")


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """1 → 2 (at 600) → 3 (before and after) → 4 (before only); 5 rejects 1; 9 → 1."""
    a, b, c, d, e, f = (f"10.0.0.{n}" for n in (1, 2, 3, 4, 5, 9))
    records = [
        *connect(b, d, 22, T0, source_port=40_000),  # 2 → 4 before anything reached 2
        *connect(a, b, 22, T0 + 600, source_port=40_001),
        *connect(b, c, 22, T0 + 120, source_port=40_002),
        *connect(b, c, 22, T0 + 1800, source_port=40_003),
        *connect(c, d, 22, T0 + 1200, source_port=40_004),  # 3 → 4 before 3 was reached
        reject(a, e, 3306, T0 + 900),
        *connect(f, a, 22, T0 + 60, source_port=40_005),
        *connect(e, d, 22, T0 + 3000, source_port=40_006),  # 5 rejected 1: no path
    ]
    return make_case(tmp_path_factory.mktemp("chain"), records, interfaces=[interface(a, "one")])


def test_reachability_is_in_order_of_time(chain: Case) -> None:
    reach = graph.reachable(chain, "10.0.0.1")
    assert dict(reach.nodes(data="arrival")) == {
        "10.0.0.1": at(0), "10.0.0.2": at(600), "10.0.0.3": at(1800),
    }  # fmt: skip
    assert sorted(reach.edges) == [("10.0.0.1", "10.0.0.2"), ("10.0.0.2", "10.0.0.3")]
    onward = reach.edges["10.0.0.2", "10.0.0.3"]
    assert (onward["connections"], onward["first_seen"]) == (1, at(1800))  # not the one before
    assert reach.graph["center"] == "10.0.0.1"


def test_reachability_after_a_time(chain: Case) -> None:
    assert list(graph.reachable(chain, "10.0.0.1", after=at(700))) == ["10.0.0.1"]
    early = graph.reachable(chain, "10.0.0.2", after=at(0))
    assert dict(early.nodes(data="arrival")) == {
        "10.0.0.2": at(0), "10.0.0.3": at(120), "10.0.0.4": at(0),
    }  # fmt: skip


def test_an_earlier_longer_path_takes_precedence(tmp_path: Path) -> None:
    one, two, three, four = (f"10.0.0.{n}" for n in (1, 2, 3, 4))
    records = [
        *connect(one, three, 22, T0 + 3600, source_port=40_001),  # direct, but later
        *connect(one, two, 22, T0 + 60, source_port=40_002),
        *connect(two, three, 22, T0 + 120, source_port=40_003),
        *connect(three, four, 22, T0 + 600, source_port=40_004),  # open only to the earlier arrival
    ]
    reach = graph.reachable(make_case(tmp_path, records), one)
    assert reach.nodes[three]["arrival"] == at(120)
    assert reach.nodes[four]["arrival"] == at(600)


def test_an_address_that_initiated_nothing_reaches_itself(chain: Case) -> None:
    alone = graph.reachable(chain, "10.9.9.9")
    assert list(alone) == ["10.9.9.9"]
    assert alone.number_of_edges() == 0


def test_what_can_have_reached_an_address(chain: Case) -> None:
    """The latest departures: 2 → 4 at 0, 3 → 4 at 1200, 2 → 3 at 120, 5 → 4 at 3000."""
    before = graph.reaching(chain, "10.0.0.4")
    assert dict(before.nodes(data="departure")) == {
        "10.0.0.2": at(120), "10.0.0.3": at(1200), "10.0.0.4": chain.span[1], "10.0.0.5": at(3000),
    }  # fmt: skip
    assert sorted(before.edges) == [
        ("10.0.0.2", "10.0.0.3"), ("10.0.0.2", "10.0.0.4"), ("10.0.0.3", "10.0.0.4"),
        ("10.0.0.5", "10.0.0.4"),
    ]  # fmt: skip
    assert before.edges["10.0.0.2", "10.0.0.3"]["connections"] == 1  # not that after the departure
    assert before.nodes["10.0.0.2"]["hops"] == 1
    assert sorted(graph.reaching(chain, "10.0.0.4", before=at(60))) == ["10.0.0.2", "10.0.0.4"]
    assert list(graph.reaching(chain, "10.9.9.9")) == ["10.9.9.9"]


def test_reaching_mirrors_reachable(chain: Case) -> None:
    first, third, last = "10.0.0.9", "10.0.0.3", "10.0.0.4"
    onward = set(graph.reachable(chain, first))
    assert third in onward
    assert last not in onward
    assert first in graph.reaching(chain, third)
    assert first not in graph.reaching(chain, last)


def test_the_blast_radius_by_hop_and_hour(tmp_path: Path) -> None:
    one, two, three, four, outside = (*(f"10.0.0.{n}" for n in (1, 2, 3, 4)), "203.0.113.9")
    records = [
        *connect(one, two, 22, T0 + 60, source_port=40_001),
        *connect(one, outside, 443, T0 + 120, source_port=40_002),
        *connect(two, three, 22, T0 + 180, source_port=40_003),
        *connect(three, four, 22, T0 + 7_200, source_port=40_004),
    ]
    reach = graph.reachable(make_case(tmp_path, records), one)
    rows = graph.blast_radius(reach)
    columns = ["hop", "nodes", "internal", "reached_so_far"]
    assert rows[columns].to_numpy().tolist() == [[1, 2, 1, 3], [2, 1, 1, 3], [3, 1, 1, 4]]
    assert rows["hour"].tolist() == [at(0), at(0), at(7_200)]
    assert [list(names) for names in rows["names"]] == [[two, outside], [three], [four]]


def test_a_graph_without_arrivals_has_no_blast_radius(chain: Case) -> None:
    with pytest.raises(InputError, match=r"give what fb\.graph\.reachable returns"):
        graph.blast_radius(graph.communication(chain))
    assert graph.blast_radius(graph.reachable(chain, "10.9.9.9")).empty
