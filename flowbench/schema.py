"""Table declarations, and every field of every flow log version.

Names are AWS's with hyphens turned into
underscores, as in AWS's own Parquet. Sources: the VPC, transit gateway and record-example pages of
the Amazon VPC User Guide (field tables as of October 2026).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa

from flowbench.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

# The names of types in table declarations. A `time` is UTC, a `date` a day in UTC.
TYPES: dict[str, pa.DataType] = {
    "string": pa.string(),
    "strings": pa.list_(pa.string()),
    "tags": pa.map_(pa.string(), pa.string()),
    "scores": pa.map_(pa.string(), pa.float64()),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "time": pa.timestamp("us", tz="UTC"),
    "date": pa.date32(),
}


@dataclass(frozen=True)
class Field:
    """A column: its name, the name of its type (see TYPES), and its meaning."""

    name: str
    type: str
    meaning: str
    version: int | None = None  # the flow log record version that introduced it

    @property
    def aws_name(self) -> str:
        """The name in a flow log header and in a format string."""
        return self.name.replace("_", "-")


@dataclass(frozen=True)
class Table:
    """The declaration of a table: its name and its columns, in order."""

    name: str
    fields: tuple[Field, ...]

    @classmethod
    def of(cls, name: str, *columns: tuple[str, str, str]) -> Table:
        """Declare a table from (name, type, meaning) rows."""
        return cls(name, tuple(Field(*column) for column in columns))

    @cached_property
    def arrow(self) -> pa.Schema:
        """The columns as an Arrow schema."""
        return pa.schema([(field.name, TYPES[field.type]) for field in self.fields])

    @property
    def columns(self) -> list[str]:
        """The column names, in order."""
        return [field.name for field in self.fields]

    def rows(self, rows: Iterable[dict[str, object]]) -> pa.Table:
        """Return rows as an Arrow table of these columns; what a row lacks is null."""
        return pa.Table.from_pylist(list(rows), schema=self.arrow)

    def frame(self, rows: Iterable[dict[str, object]]) -> pd.DataFrame:
        """Return rows as a pandas frame of these columns, with UTC times."""
        return to_frame(self.rows(rows))

    def check(self, columns: Iterable[str]) -> None:
        """Raise InputError unless every declared column is among ``columns``."""
        missing = [name for name in self.columns if name not in set(columns)]
        if missing:
            raise InputError(f"not a {self.name} table: it lacks {', '.join(missing)}")


# Where a loaded row is from; `item` counts records in files where a line may hold several.
ORIGIN = (
    ("evidence_id", "string", "evidence id: the first 16 hex digits of the file's SHA-256"),
    ("line", "int64", "line of the file on which the record starts, from 1"),
)
ITEM = ("item", "int64", "which record of the file this is, from 1")


def record_key(columns: Iterable[str]) -> list[str]:
    """Return the columns that identify a record by its position in the evidence.

    ``item`` is among them where some file has several records in a line.
    """
    present = set(columns)
    return [name for name in ("evidence_id", "line", "item") if name in present]


_VPC: tuple[Field, ...] = tuple(
    Field(*row)
    for row in (
        ("version", "int32", "highest version among the fields of the record", 2),
        ("account_id", "string", "owner of the interface; 'unknown' for some AWS-made ones", 2),
        ("interface_id", "string", "the network interface that saw the traffic", 2),
        ("srcaddr", "string", "sender; of what the interface sent, always its primary address", 2),
        (
            "dstaddr",
            "string",
            "receiver; of what the interface received, always its primary address",
            2,
        ),
        ("srcport", "int32", "source port; 0 for protocols without ports", 2),
        ("dstport", "int32", "destination port; 0 for protocols without ports", 2),
        ("protocol", "int32", "IANA protocol number: 1 ICMP, 6 TCP, 17 UDP", 2),
        ("packets", "int64", "packets in this direction in this window", 2),
        ("bytes", "int64", "bytes in this direction in this window", 2),
        ("start", "time", "first packet of the flow in the window; may be up to 60 s off", 2),
        ("end", "time", "last packet of the flow in the window; may be up to 60 s off", 2),
        ("action", "string", "ACCEPT or REJECT; REJECT includes late packets after a close", 2),
        ("log_status", "string", "OK, NODATA (silence), SKIPDATA (records lost)", 2),
        ("vpc_id", "string", "VPC of the interface", 3),
        ("subnet_id", "string", "subnet of the interface", 3),
        ("instance_id", "string", "EC2 instance, when the account owns it", 3),
        ("tcp_flags", "int32", "OR of FIN 1, SYN 2, RST 4, SYN-ACK 18 over the window", 3),
        ("type", "string", "IPv4, IPv6 or EFA", 3),
        ("pkt_srcaddr", "string", "source address in the packet itself", 3),
        ("pkt_dstaddr", "string", "destination address in the packet itself", 3),
        ("region", "string", "AWS region", 4),
        ("az_id", "string", "availability zone id", 4),
        ("sublocation_type", "string", "wavelength, outpost or localzone", 4),
        ("sublocation_id", "string", "id of the sublocation", 4),
        ("pkt_src_aws_service", "string", "AWS service of pkt_srcaddr, by ip-ranges code", 5),
        ("pkt_dst_aws_service", "string", "AWS service of pkt_dstaddr, by ip-ranges code", 5),
        ("flow_direction", "string", "ingress or egress, seen from the interface", 5),
        ("traffic_path", "int32", "egress path: 1 same VPC, 2/7/8 gateway, 3 VPN, 4/5 peering", 5),
        ("ecs_cluster_arn", "string", "ECS cluster (awsvpc tasks)", 7),
        ("ecs_cluster_name", "string", "ECS cluster name", 7),
        ("ecs_container_instance_arn", "string", "container instance; none on Fargate", 7),
        ("ecs_container_instance_id", "string", "container instance id", 7),
        ("ecs_container_id", "string", "runtime id of the first container", 7),
        ("ecs_second_container_id", "string", "runtime id of the second container", 7),
        ("ecs_service_name", "string", "ECS service that runs the task", 7),
        ("ecs_task_definition_arn", "string", "task definition", 7),
        ("ecs_task_arn", "string", "task", 7),
        ("ecs_task_id", "string", "task id", 7),
        ("reject_reason", "string", "BPA (public access blocked) or EC (encryption control)", 8),
        ("resource_id", "string", "nat-… of a regional NAT gateway", 9),
        ("encryption_status", "int32", "0 clear, 1 Nitro, 2 application, 3 both", 10),
        ("instance_tag", "string", "value of the first chosen instance tag, percent-encoded", 11),
        ("instance_tag_2", "string", "value of the second chosen instance tag", 11),
        ("interface_tag", "string", "value of the first chosen interface tag", 11),
        ("interface_tag_2", "string", "value of the second chosen interface tag", 11),
        ("asg_tag", "string", "value of the first chosen Auto Scaling group tag", 11),
        ("asg_tag_2", "string", "value of the second chosen Auto Scaling group tag", 11),
        ("interface_type", "string", "nat_gateway, vpc_endpoint, transit_gateway, …", 11),
        ("next_hop_interface_id", "string", "interface on the other end of this hop", 11),
        ("next_hop_subnet_id", "string", "its subnet", 11),
        ("next_hop_az_id", "string", "its availability zone; filled across accounts", 11),
        ("next_hop_vpc_id", "string", "its VPC", 11),
        ("next_hop_interface_type", "string", "its interface type", 11),
    )
)

_TRANSIT_GATEWAY: tuple[Field, ...] = tuple(
    Field(*row, version=6)
    for row in (
        ("resource_type", "string", "TransitGateway or TransitGatewayAttachment"),
        ("tgw_id", "string", "transit gateway"),
        ("tgw_attachment_id", "string", "attachment that recorded the traffic"),
        ("tgw_src_vpc_account_id", "string", "account of the source VPC"),
        ("tgw_dst_vpc_account_id", "string", "account of the destination VPC"),
        ("tgw_src_vpc_id", "string", "source VPC"),
        ("tgw_dst_vpc_id", "string", "destination VPC"),
        ("tgw_src_subnet_id", "string", "source subnet"),
        ("tgw_dst_subnet_id", "string", "destination subnet"),
        ("tgw_src_eni", "string", "attachment interface on the source side"),
        ("tgw_dst_eni", "string", "attachment interface on the destination side"),
        ("tgw_src_az_id", "string", "source availability zone id"),
        ("tgw_dst_az_id", "string", "destination availability zone id"),
        ("tgw_pair_attachment_id", "string", "attachment on the other side"),
        ("packets_lost_no_route", "int64", "packets dropped: no route"),
        ("packets_lost_blackhole", "int64", "packets dropped: blackhole route"),
        ("packets_lost_mtu_exceeded", "int64", "packets dropped: larger than the MTU"),
        ("packets_lost_ttl_expired", "int64", "packets dropped: TTL ran out"),
    )
)

VPC_FIELDS: dict[str, Field] = {field.name: field for field in _VPC}
TRANSIT_GATEWAY_FIELDS: dict[str, Field] = {field.name: field for field in _TRANSIT_GATEWAY}
FLOW_FIELDS: dict[str, Field] = VPC_FIELDS | TRANSIT_GATEWAY_FIELDS

# The order of fields in a record without a header: AWS's default format.
DEFAULT_FORMAT: tuple[str, ...] = tuple(name for name, f in VPC_FIELDS.items() if f.version == 2)

# The same for a transit gateway: all its fields, in the order of AWS's table.
TRANSIT_GATEWAY_FORMAT: tuple[str, ...] = (
    "version",
    "resource_type",
    "account_id",
    *(name for name in TRANSIT_GATEWAY_FIELDS if name.startswith("tgw_")),
    *("srcaddr", "dstaddr", "srcport", "dstport", "protocol", "packets", "bytes", "start", "end"),
    *("log_status", "type"),
    *(name for name in TRANSIT_GATEWAY_FIELDS if name.startswith("packets_lost_")),
    *("tcp_flags", "region", "flow_direction", "pkt_src_aws_service", "pkt_dst_aws_service"),
)

# Null where the evidence lacks them; later and unknown fields are added when evidence has them.
FLOWS = Table(
    "flows",
    tuple(field for field in _VPC if field.version is not None and field.version <= 5)
    + tuple(Field(*column) for column in ORIGIN),
)


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Return an Arrow table as a pandas frame; integers with missing values stay integers."""
    import pandas as pd

    types = {
        pa.int32(): pd.Int32Dtype(),
        pa.int64(): pd.Int64Dtype(),
        pa.bool_(): pd.BooleanDtype(),
    }
    return table.to_pandas(types_mapper=types.get, ignore_metadata=True, maps_as_pydicts="lossy")
