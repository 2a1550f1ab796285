"""Communication graphs: ends, levels, groups of outsiders, sums and verdicts."""

from __future__ import annotations

import json
from pathlib import Path

import networkx as nx
import pandas as pd
import pytest

from flowbench.case import Case
from flowbench.errors import InputError
from flowbench.investigate import graph
from tests.incident_case import (
    DATABASE,
    EXIT,
    HOST,
    HOSTILE,
    POOL,
    WEB,
    api_event,
    format_time,
    make_incident_case,
)
from tests.traffic import T0, connect, interface, make_case, reject

ACCOUNT = "111122223333"


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_incident_case(tmp_path_factory.mktemp("graph") / "incident")


def at(seconds: int) -> pd.Timestamp:
    return pd.Timestamp(T0 + seconds, unit="s", tz="UTC")


def test_edges_sum_connections_from_initiator_to_responder(case: Case) -> None:
    whole = graph.communication(case)
    assert sorted(whole.edges) == [
        (HOST, DATABASE), (HOST, EXIT), (HOST, POOL), (WEB, DATABASE),
    ]  # fmt: skip
    edge = whole.edges[HOST, EXIT]
    assert (edge["connections"], edge["rejected"], edge["answered"]) == (72, 0, 72)
    assert (edge["bytes_out"], edge["bytes_in"]) == (72 * 800, 72 * 3_000)
    assert (edge["ports"], edge["verdict"]) == ("443", "indicator match")
    assert edge["indicator_match"] is True
    assert (edge["first_seen"], edge["last_seen"]) == (at(60), at(6 * 3600 - 181))
    assert whole.edges[HOST, DATABASE]["verdict"] == "rejected"
    assert whole.edges[HOST, DATABASE]["rejected"] == 8
    assert whole.edges[WEB, DATABASE]["verdict"] == "accepted"


def test_a_filter_selects_connections_at_any_level(case: Case) -> None:
    some = graph.communication(case, where="dport = 3306 and not rejected")
    assert sorted(some.edges) == [(WEB, DATABASE)]
    late = graph.communication(case, "vpc", where="ip = 10.0.0.5", since=at(3600))
    assert sorted(late.edges) == [("vpc-1", EXIT), ("vpc-1", POOL), ("vpc-1", "vpc-1")]
    with pytest.raises(InputError, match="the filter is wrong"):
        graph.communication(case, where="dport")


def test_nodes_have_the_attributes_of_the_inventory(case: Case) -> None:
    whole = graph.communication(case)
    assert whole.nodes[HOST] == {
        "label": HOSTILE, "name": HOSTILE, "address": HOST, "internal": True, "service": "ec2",
        "vpc": "vpc-1", "country": "", "members": 1, "member_names": "", "sessions": 0,
        "principals": "", "indicator_kinds": "", "expired_kinds": "",
        "connections": 83, "rejected": 8, "bytes_sent": 237_996, "bytes_received": 455_772,
        "first_seen": at(0), "last_seen": at(6 * 3600 - 181), "verdict": "indicator match",
    }  # fmt: skip
    assert whole.nodes[DATABASE]["service"] == "rds"
    assert whole.nodes[POOL]["indicator_kinds"] == "mining"
    assert not whole.nodes[POOL]["internal"]


@pytest.mark.parametrize(
    ("level", "edges"),
    [
        ("instance", [("10.0.0.7", DATABASE), ("i-0aaaa1111", DATABASE),
                      ("i-0aaaa1111", EXIT), ("i-0aaaa1111", POOL)]),
        ("subnet", [("subnet-1", EXIT), ("subnet-1", POOL), ("subnet-1", "subnet-1"),
                    ("subnet-2", "subnet-1")]),
        ("interface", [("eni-miner", EXIT), ("eni-miner", POOL), ("eni-miner", "eni-db"),
                       ("eni-web", "eni-db")]),
        ("account", [(ACCOUNT, ACCOUNT), (ACCOUNT, EXIT), (ACCOUNT, POOL)]),
        ("service", [(WEB, "rds"), ("ec2", EXIT), ("ec2", POOL), ("ec2", "rds")]),
        ("tag:Name", [(f"Name={HOSTILE}", EXIT), (f"Name={HOSTILE}", POOL),
                      (f"Name={HOSTILE}", "Name=db"), ("Name=web", "Name=db")]),
        ("vpc", [("vpc-1", EXIT), ("vpc-1", POOL), ("vpc-1", "vpc-1")]),
    ],
)  # fmt: skip
def test_levels(case: Case, level: str, edges: list[tuple[str, str]]) -> None:
    drawn = graph.communication(case, level)
    assert sorted(drawn.edges) == edges
    if level == "vpc":  # some rejected and others answered: accepted
        assert drawn.edges["vpc-1", "vpc-1"]["connections"] == 9
        assert drawn.edges["vpc-1", "vpc-1"]["verdict"] == "accepted"
        assert drawn.edges["vpc-1", "vpc-1"]["ports"] == "3306"


def test_an_indicator_matches_in_its_period_only(tmp_path: Path) -> None:
    """An indicator valid before 10:00 matches the connection at 00:00, not that at 12:00."""
    listing = (
        "indicator,kind,feed,confidence,valid_from,valid_until,description\n"
        f"{POOL},mining,pools,,,2026-09-01T10:00:00Z,\n"
        f"{EXIT},tor,exits,,2026-09-01T10:00:00Z,,\n"
        f"{EXIT},scanner,noise,,,2026-08-01T10:00:00Z,\n"
    )
    records = [
        *connect(HOST, POOL, 443, T0),
        *connect(WEB, POOL, 443, T0 + 12 * 3600),
        *connect(HOST, EXIT, 443, T0, source_port=40_002),
    ]
    drawn = graph.communication(make_case(tmp_path, records, indicators=listing))
    verdicts = {ends: drawn.edges[ends]["verdict"] for ends in drawn.edges}
    assert verdicts == {
        (HOST, POOL): "indicator match", (WEB, POOL): "accepted", (HOST, EXIT): "accepted",
    }  # fmt: skip
    assert (drawn.nodes[POOL]["indicator_kinds"], drawn.nodes[POOL]["expired_kinds"]) == (
        "mining",
        "",
    )
    assert (drawn.nodes[EXIT]["indicator_kinds"], drawn.nodes[EXIT]["expired_kinds"]) == (
        "",
        "scanner, tor",
    )


def test_an_unknown_level_names_the_known_ones(case: Case) -> None:
    with pytest.raises(InputError, match="address, interface, instance, subnet, vpc, account"):
        graph.communication(case, "planet")


def test_the_same_graph_each_time(case: Case) -> None:
    one, two = graph.communication(case), graph.communication(case)
    assert list(one.nodes(data=True)) == list(two.nodes(data=True))
    assert list(one.edges(data=True)) == list(two.edges(data=True))


def test_around_follows_both_directions(case: Case) -> None:
    whole = graph.communication(case)
    assert sorted(graph.around(whole, DATABASE)) == sorted([DATABASE, HOST, WEB])
    assert sorted(graph.around(whole, DATABASE, hops=2)) == sorted(
        [DATABASE, HOST, WEB, POOL, EXIT]
    )
    with pytest.raises(InputError, match=r"192\.0\.2\.1 has no connection"):
        graph.around(whole, "192.0.2.1")


def test_an_empty_case_gives_empty_graphs(tmp_path: Path) -> None:
    case = Case.create(tmp_path / "empty")
    assert len(graph.communication(case)) == 0
    assert nx.is_empty(graph.reachable(case, "10.0.0.1"))


def test_a_reassigned_address_is_divided_in_time(tmp_path) -> None:
    def attached(name: str, instance: str, at: int) -> dict:
        attached = {"InstanceId": instance, "AttachTime": format_time(at)}
        return interface("10.0.0.5", name, Attachment=attached)

    records = [
        *connect("10.0.0.5", "203.0.113.1", 443, T0, interface_id="eni-one"),
        *connect(
            "10.0.0.5", "203.0.113.2", 443, T0 + 7200, interface_id="eni-two", source_port=41_000
        ),
        *connect(
            "10.0.0.5", "203.0.113.2", 443, T0 + 9000, interface_id="eni-two", source_port=42_000
        ),
    ]
    case = make_case(tmp_path, records, interfaces=[attached("one", "i-1", T0 - 60)])
    (tmp_path / "later.json").write_text(
        json.dumps({"NetworkInterfaces": [attached("two", "i-2", T0 + 3600)]})
    )
    case.ingest(tmp_path / "later.json")
    whole = graph.communication(case, "instance")
    assert {(a, b): e["connections"] for a, b, e in whole.edges(data=True)} == {
        ("i-1", "203.0.113.1"): 1, ("i-2", "203.0.113.2"): 2,
    }  # fmt: skip
    assert whole.nodes["i-1"]["name"] == "one"
    assert whole.nodes["i-1"]["address"] == "10.0.0.5"
    known = graph.communication(case).nodes["10.0.0.5"]
    assert (known["name"], known["label"], known["service"]) == ("one / two", "one / two", "ec2")


def test_an_external_address_has_its_sessions_and_principals(tmp_path: Path) -> None:
    operator, guest = "192.0.2.66", "198.18.0.9"
    records = [
        *connect(operator, HOST, 22, T0, seconds=600, packets=60, source_port=50_001),
        *connect(operator, HOST, 22, T0 + 7_200, seconds=600, packets=60, source_port=50_002),
        *connect(guest, HOST, 22, T0),  # a look at the banner
    ]
    case = make_case(tmp_path, records, json_lines=[api_event("e1", "RunInstances", T0)])
    nodes = graph.communication(case).nodes
    assert (nodes[operator]["sessions"], nodes[operator]["principals"]) == (2, "eve")
    assert (nodes[guest]["sessions"], nodes[guest]["principals"]) == (0, "")
    assert (nodes[HOST]["sessions"], nodes[HOST]["principals"]) == (0, "")


OPERATOR, CALLER, LISTED, NOISE = "192.0.2.66", "192.0.2.67", "203.0.113.50", "198.51.100.1"
OTHERS = ["198.51.100.7", "198.51.100.8"]


@pytest.fixture(scope="module")
def outsiders(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """External addresses in two countries, some of which no group may hide."""
    records = [
        *connect(OPERATOR, HOST, 22, T0, seconds=600, packets=60, source_port=50_001),
        *connect(HOST, CALLER, 443, T0, source_port=40_001),
        *connect(HOST, LISTED, 443, T0, source_port=40_002),
        reject(NOISE, HOST, 23, T0),
        *connect(HOST, OTHERS[0], 443, T0, source_port=40_003),
        *connect(HOST, OTHERS[1], 8443, T0 + 7_200, source_port=40_004),
    ]
    return make_case(
        tmp_path_factory.mktemp("outsiders"),
        records,
        indicators=f"indicator,kind,feed\n{LISTED},c2,a\n{NOISE},scanner,a\n",
        json_lines=[api_event("e1", "RunInstances", T0, ip=CALLER)],
    )


def test_outsiders_together_but_not_those_that_matter(outsiders: Case) -> None:
    drawn = graph.communication(outsiders, outsiders="together")
    assert sorted(drawn) == sorted([HOST, OPERATOR, CALLER, LISTED, "external"])
    group = drawn.nodes["external"]
    assert (group["members"], group["service"], group["internal"]) == (3, "group", False)
    assert group["member_names"] == ", ".join([NOISE, *OTHERS])
    assert (group["name"], group["address"], group["indicator_kinds"]) == ("", "", "scanner")
    edge = drawn.edges[HOST, "external"]
    assert (edge["connections"], edge["ports"], edge["bytes_out"]) == (2, "443, 8443", 1_600)
    assert drawn.edges["external", HOST]["verdict"] == "rejected"
    assert group["bytes_received"] == 1_600
    assert drawn.nodes[OPERATOR]["sessions"] == 1


def test_outsiders_by_country_and_owner(outsiders: Case) -> None:
    """Documentation addresses have neither: they are one group, which says so."""
    by_country = graph.communication(outsiders, outsiders="country")
    assert by_country.nodes["no known country"]["members"] == 3
    by_owner = graph.communication(outsiders, "network owner")
    assert sorted(by_owner) == sorted(
        ["internal", OPERATOR, CALLER, LISTED, "no known network owner"]
    )


def test_a_period(outsiders: Case) -> None:
    late = graph.communication(outsiders, since=at(3_600))
    assert list(late.edges) == [(HOST, OTHERS[1])]
    early = graph.communication(outsiders, "vpc", until=at(3_600))
    assert OTHERS[1] not in early
    assert len(early.edges) == 5


def test_unknown_groups_of_outsiders(case: Case) -> None:
    with pytest.raises(InputError, match="cannot group outsiders by 'planet': choose address"):
        graph.communication(case, outsiders="planet")
    with pytest.raises(InputError, match="unknown level 'tag:'"):
        graph.communication(case, "tag:")
