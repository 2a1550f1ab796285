"""Neighbours of hosts: in a period, and grouped where there are too many to draw."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flowbench.case import Case
from flowbench.investigate import neighbours
from flowbench.investigate.neighbour_scope import Scope
from flowbench.investigate.neighbours import (
    GROUP,
    MOST_GROUPS,
    Protected,
    build_neighbourhood,
    find_protected,
    list_members,
)
from tests.incident_case import CALLER, api_event
from tests.traffic import T0, Record, connect, interface, make_case, reject

WEB, DATABASE, CACHE = "10.0.0.5", "10.0.0.9", "10.0.0.8"
ADMIN, MATCH, TRIED, CLIENT = "198.51.100.40", "203.0.113.50", "203.0.113.60", "198.51.100.99"
SCANNERS = [f"198.18.{n % 2}.{n}" for n in range(1, 61)]
GROUPED = [*SCANNERS, TRIED]
LIST = f"indicator,kind,feed\n{MATCH},c2,list\n{TRIED},scanner,list\n"


def traffic() -> Iterator[Record]:
    for scanner in SCANNERS:
        yield reject(scanner, WEB, 22, T0 + 60)
        yield reject(scanner, WEB, 22, T0 + 120, source_port=40_001)
    yield reject(TRIED, WEB, 22, T0 + 60)
    yield reject(WEB, DATABASE, 3306, T0 + 60)
    yield from connect(WEB, MATCH, 443, T0 + 7200)
    yield from connect(CLIENT, WEB, 443, T0 + 60)
    yield from connect(ADMIN, WEB, 22, T0 + 60, packets=400, out=200_000)
    yield from connect(CALLER, WEB, 443, T0 + 60)
    yield from connect(CACHE, DATABASE, 6379, T0 + 60)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_case(
        tmp_path_factory.mktemp("neighbours"),
        traffic(),
        interfaces=[interface(WEB, "web"), interface(DATABASE, "db"), interface(CACHE, "cache")],
        indicators=LIST,
        json_lines=[api_event("e1", "ListBuckets", T0)],
    )


@pytest.fixture(scope="module")
def protected(case: Case) -> Protected:
    return find_protected(case)


def test_sessions_callers_and_matches_are_protected(protected) -> None:
    assert protected == Protected(frozenset({ADMIN, CALLER}), frozenset({MATCH, TRIED}))


def test_neighbours_of_expanded_hosts_are_shown(case, protected) -> None:
    graph = build_neighbourhood(case, Scope((WEB,), (WEB,)), protected)
    assert set(graph) == {WEB, DATABASE, ADMIN, MATCH, CLIENT, CALLER, *GROUPED}
    assert graph.edges[WEB, DATABASE]["verdict"] == "rejected"
    assert graph.edges[SCANNERS[0], WEB]["connections"] == 2
    assert graph.graph["grouped"] == 0


def test_hosts_that_are_not_expanded_show_what_is_between_them(case, protected) -> None:
    graph = build_neighbourhood(case, Scope((WEB, DATABASE, CACHE)), protected)
    assert sorted(graph.edges) == [(WEB, DATABASE), (CACHE, DATABASE)]


def test_a_host_without_connections_is_a_node_with_its_name(case, protected) -> None:
    graph = build_neighbourhood(case, Scope((CACHE, "192.0.2.200")), protected)
    assert graph.nodes[CACHE]["name"] == "cache"
    assert graph.nodes[CACHE]["internal"] is True
    assert graph.nodes["192.0.2.200"]["name"] == ""
    assert graph.number_of_edges() == 0


def test_too_many_are_grouped_by_network_but_not_what_matters(case, protected) -> None:
    graph = build_neighbourhood(case, Scope((WEB,), (WEB,), most=50), protected)
    assert {node for node in graph if not node.startswith(GROUP)} == {
        WEB, DATABASE, ADMIN, MATCH, CALLER, CLIENT,
    }  # fmt: skip
    assert graph.graph["grouped"] == len(GROUPED)
    sizes = {node: a["members"] for node, a in graph.nodes(data=True) if node.startswith(GROUP)}
    assert sizes == {"group:198.18.0.0/16": 60, "group:203.0.0.0/16": 1}
    edge = graph.edges["group:198.18.0.0/16", WEB]
    assert (edge["connections"], edge["rejected"], edge["verdict"]) == (120, 120, "rejected")


def test_what_matters_is_shown_beyond_the_limit(case, protected) -> None:
    graph = build_neighbourhood(case, Scope((WEB,), (WEB,), most=1), protected)
    assert {ADMIN, MATCH, CALLER} <= set(graph)
    assert TRIED not in graph


def test_a_group_lists_its_members(case, protected) -> None:
    scope = Scope((WEB,), (WEB,), most=50)
    rows = list_members(case, scope, protected, "group:198.18.0.0/16")
    assert rows["address"].tolist() == sorted(SCANNERS)
    assert rows["connections"].tolist() == [2] * 60
    assert len(list_members(case, scope, protected, "group:198.18.0.0/16", most=7)) == 7


def test_an_address_can_be_taken_out_of_its_group(case, protected) -> None:
    graph = build_neighbourhood(case, Scope((WEB, SCANNERS[0]), (WEB,), most=50), protected)
    assert graph.nodes["group:198.18.0.0/16"]["members"] == 59
    assert graph.edges[SCANNERS[0], WEB]["rejected"] == 2


def test_lines_between_neighbours_are_left_out_first(case, protected, monkeypatch) -> None:
    monkeypatch.setattr(neighbours, "MOST_EDGES", 2)
    graph = build_neighbourhood(case, Scope((WEB, DATABASE, CACHE), (DATABASE,)), protected)
    assert sorted(graph.edges) == [(WEB, DATABASE), (CACHE, DATABASE)]
    assert graph.graph["edges_left_out"] == 0
    graph = build_neighbourhood(case, Scope((MATCH,), (MATCH, DATABASE)), protected)
    assert graph.graph["edges_left_out"] == 1
    assert graph.number_of_edges() == 2


def test_many_networks_share_a_group(tmp_path) -> None:
    networks = [f"10.{n}.0.1" for n in range(30, 30 + MOST_GROUPS + 5)]
    case = make_case(
        tmp_path, [reject(n, WEB, 22, T0) for n in networks], interfaces=[interface(WEB, "web")]
    )
    graph = build_neighbourhood(case, Scope((WEB,), (WEB,), most=20), find_protected(case))
    groups = [node for node in graph if node.startswith(GROUP)]
    assert len(groups) == MOST_GROUPS
    assert graph.nodes["group:other networks"]["members"] == 6
    assert graph.graph["grouped"] == len(networks)


def test_external_addresses_are_grouped_by_country(tmp_path) -> None:
    scanners = ["1.0.1.1", "1.0.1.2", "5.1.96.1"]
    case = make_case(
        tmp_path, [reject(n, WEB, 22, T0) for n in scanners], interfaces=[interface(WEB, "web")]
    )
    graph = build_neighbourhood(case, Scope((WEB,), (WEB,), most=2), find_protected(case))
    members = {node: a["members"] for node, a in graph.nodes(data=True) if node != WEB}
    assert members == {"group:country CN": 2, "group:country CH": 1}


def test_addresses_of_ipv6_are_grouped_by_their_first_bits(tmp_path) -> None:
    scanners = [f"2001:db8:{n:x}::1" for n in range(1, 12)]
    web = "2600:1f18::5"
    case = make_case(
        tmp_path,
        [reject(n, web, 22, T0) for n in scanners],
        interfaces=[interface("10.0.0.5", "web", Ipv6Addresses=[{"Ipv6Address": web}])],
    )
    graph = build_neighbourhood(case, Scope((web,), (web,), most=5), find_protected(case))
    assert set(graph) == {web, "group:2001:db8::/32"}
