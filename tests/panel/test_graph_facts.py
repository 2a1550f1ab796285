"""Facts and table rows of nodes and edges: traffic as well as names; text that hides is shown."""

from __future__ import annotations

import networkx as nx
import pandas as pd
import pytest

from flowbench.panel.graph_facts import (
    EDGE_COLUMNS,
    NODE_COLUMNS,
    edge_cells,
    edge_facts,
    node_cells,
    node_facts,
)
from tests.panel.graphs import HOST, POOL, make_graph


@pytest.fixture(scope="module")
def graph() -> nx.DiGraph:
    return make_graph()


def test_a_node_has_names_and_traffic(graph) -> None:
    assert node_facts(graph, HOST, "prod") == [
        "10.0.0.5 (<b>build</b>\\u202e)",
        "service: ec2",
        "VPC: vpc-1",
        "tag: prod",
        "16 connections with 2 nodes shown, 10 rejected",
        "1.5 kB sent, 2.0 MB received",
        "2026-09-02 02:00 to 2026-09-02 05:00 UTC",
    ]


def test_a_node_without_connections_says_so(graph) -> None:
    assert node_facts(graph, "10.0.0.9", None)[-1] == "no connection with the nodes shown"
    assert node_cells(graph, "10.0.0.9", "internal")[4:] == ["0", "0", "0 B", "0 B", "", ""]


def test_a_group_has_its_size(graph) -> None:
    facts = node_facts(graph, "group:country CN", None)
    assert facts[0] == "1,234 addresses: country CN"
    assert facts[1].startswith("10 connections with 1 node shown")


def test_an_edge_has_ports_and_traffic(graph) -> None:
    assert edge_facts(graph, HOST, POOL) == [
        "10.0.0.5 → 203.0.113.50",
        "indicator match; port 3333",
        "6 connections, 0 rejected",
        "1.5 kB out, 2.0 MB in",
        "2026-09-02 03:00 to 2026-09-02 05:00 UTC",
    ]


def test_rows_have_a_cell_for_each_column(graph) -> None:
    cells = node_cells(graph, POOL, "indicator match")
    assert dict(zip(NODE_COLUMNS, cells, strict=True)) == {
        "Address": POOL, "Name": "", "Kind": "indicator match", "Indicators": "mining",
        "Connections": "6", "Rejected": "0", "Sent": "2.0 MB", "Received": "1.5 kB",
        "First seen (UTC)": "2026-09-02 03:00:00", "Last seen (UTC)": "2026-09-02 05:00:00",
    }  # fmt: skip
    row = dict(zip(EDGE_COLUMNS, edge_cells(graph, HOST, POOL), strict=True))
    assert row["Initiator and responder"] == "10.0.0.5 → 203.0.113.50"
    assert (row["Bytes out"], row["Bytes in"]) == ("1.5 kB", "2.0 MB")
    assert pd.Timestamp(row["Last seen (UTC)"]) == pd.Timestamp("2026-09-02 05:00")
