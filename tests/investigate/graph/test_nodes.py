"""Nodes of a graph: assignments of one address follow each other and keep their names."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest

from flowbench.case import Case
from flowbench.investigate.graph.nodes import (
    address_of,
    merge_assignments,
    number_ends,
    read_inventory,
    tag_values,
)
from tests.incident_case import format_time
from tests.traffic import T0, connect, interface, make_case

HOST, HOUR = "10.0.0.5", 3_600


def attached(name: str, instance: str, at: int) -> dict[str, Any]:
    attachment = {"InstanceId": instance, "AttachTime": format_time(at)}
    return interface(HOST, name, Attachment=attachment, TagSet=[{"Key": "Name", "Value": name}])


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """An address that was assigned to instance i-1 and an hour later to i-2."""
    records = [
        *connect(HOST, "203.0.113.1", 443, T0, interface_id="eni-one"),
        *connect(
            HOST, "203.0.113.2", 443, T0 + 2 * HOUR, interface_id="eni-two", source_port=42_000
        ),
    ]
    tmp_path = tmp_path_factory.mktemp("nodes")
    case = make_case(tmp_path, records, interfaces=[attached("one", "i-1", T0 - 60)])
    second = {"NetworkInterfaces": [attached("two", "i-2", T0 + HOUR)]}
    (tmp_path / "later.json").write_text(json.dumps(second))
    case.ingest(tmp_path / "later.json")
    return case


def test_assignments_are_numbered_and_follow_each_other(case: Case) -> None:
    inventory = read_inventory(case)
    host = inventory.loc[[HOST]]
    assert list(host["instance_id"]) == ["i-1", "i-2"]
    assert [address_of(HOST + number) for number in host["number"]] == [HOST, HOST]
    assert len(set(host["number"])) == 2
    assert pd.isna(host["since"].iloc[0])
    assert pd.Timestamp(T0, unit="s", tz="UTC") < host["since"].iloc[1]
    assert list(inventory.loc[["203.0.113.1"], "number"]) == [""]


def test_merged_assignments_keep_all_names(case: Case) -> None:
    inventory = read_inventory(case)
    reassigned = inventory[inventory.index.duplicated(keep=False)]
    merged = merge_assignments(inventory, reassigned)
    assert merged.index.is_unique
    assert merged.loc[HOST, "name"] == "one / two"


def test_connections_carry_the_assignment_of_their_time(case: Case) -> None:
    inventory = read_inventory(case)
    reassigned = inventory[inventory.index.duplicated(keep=False)]
    rows = number_ends(case.connections, reassigned).order_by("first_seen").to_pyarrow()
    numbers = list(inventory.loc[[HOST], "number"])
    assert rows["initiator"].to_pylist() == [HOST + number for number in numbers]
    assert rows["responder"].to_pylist() == ["203.0.113.1", "203.0.113.2"]


def test_only_the_ends_of_some_connections_are_read(case: Case) -> None:
    first = case.connection_summaries.filter(lambda t: t.responder == "203.0.113.1")
    assert read_inventory(case, first).index.tolist() == [HOST, HOST, "203.0.113.1"]


def test_the_value_of_a_tag_is_read(case: Case) -> None:
    inventory = read_inventory(case, tag="Name")
    assert inventory["tag"].dropna().tolist() == ["one", "two"]
    assert tag_values(case, "Name") == {HOST: "two"}  # the last one
    assert tag_values(case, "Name", ["203.0.113.1"]) == tag_values(case, "env", [HOST]) == {}
