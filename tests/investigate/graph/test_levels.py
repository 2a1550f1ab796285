"""Names of nodes: levels of internal addresses, groups of external ones, hostile values."""

from __future__ import annotations

import pandas as pd
import pytest

from flowbench.errors import InputError
from flowbench.investigate.graph import levels

ENDS = pd.DataFrame(
    {
        "address": ["10.0.0.1", "10.0.0.2", "1.1.1.1", "8.8.8.8", "192.0.2.1"],
        "internal": [True, True, False, False, False],
        "vpc_id": ["vpc-1", None, None, None, None],
        "country": [None, None, "AU", "US", None],
        "asn": pd.array([None, None, 13335, 15169, None], dtype="Int64"),
        "network_owner": [None, None, "CLOUDFLARENET", None, None],
        "tag": ["10.0.0.2", None, None, None, None],
    }
).set_index("address", drop=False)


@pytest.mark.parametrize(
    ("level", "outsiders", "nodes"),
    [
        ("vpc", "address", ["vpc-1", "10.0.0.2", "1.1.1.1", "8.8.8.8", "192.0.2.1"]),
        ("vpc", "together", ["vpc-1", "10.0.0.2", "external", "external", "192.0.2.1"]),
        ("address", "country", ["10.0.0.1", "10.0.0.2", "AU", "US", "192.0.2.1"]),
        ("country", "address", ["internal", "internal", "AU", "US", "192.0.2.1"]),
        (
            "network owner", "address",
            ["internal", "internal", "AS13335 CLOUDFLARENET", "AS15169", "192.0.2.1"],
        ),
        # The value of the tag is another host's address: it must not pass for that host.
        ("tag:env", "address", ["env=10.0.0.2", "10.0.0.2", "1.1.1.1", "8.8.8.8", "192.0.2.1"]),
    ],
)  # fmt: skip
def test_nodes(level: str, outsiders: str, nodes: list[str]) -> None:
    named = levels.name_nodes(ENDS, level, outsiders, apart={"192.0.2.1"})
    assert named.tolist() == nodes
    assert named.index.tolist() == ENDS["address"].tolist()


def test_unknown_countries_are_a_group_of_their_own() -> None:
    named = levels.name_nodes(ENDS, "address", "country")
    assert named["192.0.2.1"] == "no known country"
    assert levels.name_nodes(ENDS, "network owner", "address")["192.0.2.1"] == (
        "no known network owner"
    )


def test_tags() -> None:
    assert levels.tag_of("tag:a:b") == "a:b"
    assert levels.tag_of("vpc") is None
    levels.check_level("tag:env", "country")
    with pytest.raises(InputError, match=r"choose one of address, .*tag:KEY"):
        levels.check_level("tag", "address")
