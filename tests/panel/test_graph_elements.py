"""What the front end draws: looks that differ without colour, labels, and a legend of both."""

from __future__ import annotations

import json

import networkx as nx
import pytest

from flowbench.panel.graph_elements import edge_id, to_elements
from flowbench.panel.graph_state import GraphState
from flowbench.plot import theme
from tests.panel.graphs import GROUP, HOST, POOL, make_graph

STATE = GraphState((HOST,), (HOST,))


def elements(color: str = "verdict", tags: dict[str, str] | None = None) -> dict:
    drawn = to_elements(make_graph(), GraphState((HOST,), (HOST,), color=color), tags or {})
    return json.loads(json.dumps(drawn))


def by_id(things: list[dict]) -> dict[str, dict]:
    return {thing["id"]: thing for thing in things}


def test_the_address_comes_first_and_hostile_text_is_text() -> None:
    labels = {node["id"]: node["label"] for node in elements()["nodes"]}
    assert labels == {
        "10.0.0.5": "10.0.0.5\n<b>build</b>\\u202e",
        "10.0.0.9": "10.0.0.9",
        "203.0.113.50": "203.0.113.50\n(mining)",
        "group:country CN": "1,234 addresses\ncountry CN",
    }


def test_kinds_of_nodes_and_verdicts_differ_without_their_colour() -> None:
    drawn = elements()
    nodes, edges = by_id(drawn["nodes"]), by_id(drawn["edges"])
    assert [nodes[n]["shape"] for n in (HOST, "10.0.0.9", POOL, GROUP)] == [
        "ellipse", "rectangle", "triangle", "octagon",
    ]  # fmt: skip
    match, rejected = edges[edge_id(HOST, POOL)], edges[edge_id(GROUP, HOST)]
    assert (match["dash"], rejected["dash"]) == ("solid", "dotted")
    assert match["width"] > rejected["width"]
    assert not {e["color"] for e in drawn["nodes"] + drawn["edges"]} & set(theme.SEVERITY.values())


def test_the_suspect_is_the_first_host() -> None:
    nodes = by_id(elements()["nodes"])
    assert [node for node, drawn in nodes.items() if drawn["suspect"]] == [HOST]
    assert [node for node, drawn in nodes.items() if drawn["expanded"]] == [HOST]
    assert nodes[HOST]["size"] == max(node["size"] for node in nodes.values())


def test_bytes_colour_edges_by_their_volume() -> None:
    drawn = elements("bytes")
    edges = by_id(drawn["edges"])
    assert edges[edge_id(HOST, POOL)]["category"] == "megabytes"
    assert edges[edge_id(GROUP, HOST)]["category"] == "under 1 kB"
    assert "under 1 kB, rejected" in [item["label"] for item in drawn["legend"]]


def test_a_tag_colours_nodes_by_its_values() -> None:
    values = {HOST: "prod", "10.0.0.9": "prod", POOL: "<i>"}
    drawn = elements("tag:env", values)
    nodes = by_id(drawn["nodes"])
    assert nodes[HOST]["color"] == nodes["10.0.0.9"]["color"] == theme.SKY
    assert nodes[POOL]["color"] == theme.ORANGE
    assert nodes[GROUP]["category"] == "group of addresses"
    assert {"label": "<i>", "color": theme.ORANGE, "shape": "ellipse"} in drawn["legend"]


def test_rare_values_of_a_tag_share_a_colour() -> None:
    graph = nx.DiGraph()
    for n in range(9):
        graph.add_node(str(n), **make_graph().nodes[POOL])
    tags = {str(n): f"value {n}" for n in range(8)}
    drawn = to_elements(graph, GraphState((), color="tag:env"), tags)
    categories = [node["category"] for node in drawn["nodes"]]
    assert categories == [
        *(f"value {n}" for n in range(6)),
        *["other values"] * 2,
        "without this tag",
    ]


def test_title_and_message_state_what_is_shown() -> None:
    drawn = elements()
    assert drawn["title"] == "Communication of 10.0.0.5"
    assert drawn["message"] == (
        "4 nodes; 16 connections; 2026-09-02 02:00 to 2026-09-02 05:00 UTC;"
        " 1,234 addresses in groups."
    )
    many = to_elements(nx.DiGraph(), GraphState(tuple("abcde")), {})
    assert many["title"] == "Communication of a, b, c and 2 more"
    assert many["message"] == "0 nodes; 0 connections."


@pytest.mark.parametrize("color", ["verdict", "bytes"])
def test_the_same_graph_gives_the_same_elements(color) -> None:
    assert elements(color) == elements(color)
