"""Route tables from describe-route-tables."""

from __future__ import annotations

import pytest

from flowbench.errors import BadRecord
from flowbench.loaders.aws import route_tables

ROUTES = {
    "RouteTableId": "rtb-0a",
    "VpcId": "vpc-0a",
    "Associations": [{"Main": True}, {"Main": False, "SubnetId": "subnet-0a"}],
    "Routes": [
        {"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local", "State": "active"},
        {"DestinationIpv6CidrBlock": "::/0", "NatGatewayId": "nat-1", "State": "blackhole"},
        {"DestinationPrefixListId": "pl-1", "VpcPeeringConnectionId": "pcx-1"},
        7,
    ],
}


def test_every_route_is_a_row() -> None:
    rows = route_tables.to_row(ROUTES)
    columns = ("destination", "prefix_list_id", "target", "state")
    assert [tuple(row[name] for name in columns) for row in rows] == [
        ("10.0.0.0/16", None, "local", "active"),
        ("::/0", None, "nat-1", "blackhole"),
        (None, "pl-1", "pcx-1", None),
    ]
    assert (rows[0]["is_main"], rows[0]["subnet_ids"]) == (True, ["subnet-0a"])


def test_a_table_without_routes_is_a_row_without_destination() -> None:
    (row,) = route_tables.to_row({"RouteTableId": "rtb-1", "Routes": []})
    assert (row["destination"], row["is_main"]) == (None, False)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"RouteTables": [ROUTES]}, [ROUTES]),
        (ROUTES, [ROUTES]),
        ({"RouteTables": []}, []),
        ({"RouteTableId": "rtb-1", "SubnetId": "subnet-1"}, None),
    ],
)
def test_containers(value: object, expected: object) -> None:
    assert route_tables.matches(value) == expected


@pytest.mark.parametrize("record", [{"Routes": []}, []])
def test_a_table_without_id_is_rejected(record: object) -> None:
    with pytest.raises(BadRecord):
        route_tables.to_row(record)
