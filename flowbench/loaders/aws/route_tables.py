"""Route tables, a row per route, from recorded describe-route-tables answers.

A table without routes is one row without a destination. These are the routes at the moment of the
answer.
"""

from __future__ import annotations

from flowbench.errors import BadRecord
from flowbench.loaders.aws import describe
from flowbench.loaders.aws.record import Column, Row, record_table
from flowbench.loaders.values import flag, items, pick

KIND = "route-tables"


def _is_main(record: object) -> bool:
    return any(flag(pick(each, "main")) for each in items(pick(record, "associations")))


_TARGETS = (
    "GatewayId, NatGatewayId, TransitGatewayId, VpcPeeringConnectionId, NetworkInterfaceId,"
    " InstanceId, EgressOnlyInternetGatewayId, CarrierGatewayId, LocalGatewayId, CoreNetworkArn"
)

# ``Route`` is a route of the answer, empty in a table without routes.
TABLE = record_table(
    "route_tables",
    "a route table",
    Column("route_table_id", "RouteTableId", "rtb-…", required=True),
    describe.NAME,
    describe.VPC_ID,
    describe.ACCOUNT_ID,
    Column("is_main", "@", "whether subnets without a table of their own use it", "bool", _is_main),
    Column("subnet_ids", "Associations[].SubnetId", "subnets that it is associated to", "strings"),
    Column(
        "destination",
        "Route.DestinationCidrBlock, Route.DestinationIpv6CidrBlock",
        "network that the route leads to",
    ),
    Column("prefix_list_id", "Route.DestinationPrefixListId", "or prefix list"),
    Column(
        "target",
        ", ".join(f"Route.{name}" for name in _TARGETS.split(", ")),
        "local, or the gateway, peering connection or interface that it leads through",
    ),
    Column("state", "Route.State", "active, or blackhole: the target does not exist"),
    Column("origin", "Route.Origin", "how the route was made"),
    describe.TAGS,
    describe.OBSERVED_AT,
)


def matches(value: object) -> list[object] | None:
    """Return the tables in an answer of describe-route-tables, or bare ones; None otherwise."""
    return describe.find_records(value, "routeTables", "routeTableId", "routes", "associations")


def to_row(record: object) -> list[Row]:
    """Read the routes of a table. Raises BadRecord without a RouteTableId."""
    if not isinstance(record, dict):
        raise BadRecord("not a route table: no JSON object")
    routes = [route for route in items(pick(record, "routes")) if isinstance(route, dict)]
    return [TABLE.to_row(record | {"route": route}) for route in routes or [{}]]
