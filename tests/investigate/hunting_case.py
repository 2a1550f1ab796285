"""A case with what hunters ask about: subnets, tags, NAT, reassignment, IPv6, hostile names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flowbench.investigate.hunting import Case
from tests.dns_queries import dns_query
from tests.traffic import FIELDS, T0, Record, connect, interface, make_case, reject

WEB, WEB6, DATABASE, HOSTILE, NAT = "10.0.0.5", "2001:db8::5", "10.0.1.9", "10.0.2.7", "10.0.9.1"
OUT, POOL, LATE, OUT6 = "203.0.113.7", "203.0.113.50", "198.51.100.9", "2001:db9::1"
REASSIGNED = "10.0.3.3"
HOUR, DAY = 3_600, 86_400
IMPOSTOR = "tag:env = prod"  # a Name tag that reads like a condition
MARKUP = "=cmd()|<script>alert(1)</script>"


class Placed(Record):
    """A record with an instance."""

    def __init__(self, *, instance_id: str, **fields: object) -> None:
        super().__init__(**fields)
        object.__setattr__(self, "instance_id", instance_id)


def _placed(at: int, instance: str, name: str) -> list[Placed]:
    records = connect(REASSIGNED, OUT, 443, at, interface_id=f"eni-{name}")
    return [Placed(**vars(record), instance_id=instance) for record in records]


def _interface(address: str, name: str, subnet: str, **tags: str) -> dict[str, Any]:
    pairs = [{"Key": key.replace("_", " "), "Value": value} for key, value in tags.items()]
    label = tags.get("Name", name)
    return interface(address, name) | {
        "SubnetId": f"subnet-{subnet}",
        "VpcId": "vpc-1",
        "TagSet": [{"Key": "Name", "Value": label}, *(p for p in pairs if p["Key"] != "Name")],
    }


INTERFACES = [
    _interface(WEB, "web", "a", env="prod") | {"Ipv6Addresses": [{"Ipv6Address": WEB6}]},
    _interface(DATABASE, "db", "b", env="prod", cost_center="12"),
    _interface(HOSTILE, "bad", "c", env=MARKUP, Name=IMPOSTOR),
    interface(NAT, "nat", kind="nat_gateway"),
]


def _through_nat() -> list[Record]:
    """The database's exchange with POOL, at its interface and at the NAT gateway's."""
    client = Record(DATABASE, POOL, 40_000, 443, T0, T0 + 59, interface_id="eni-db", bytes=700)
    at_gateway = Record(
        DATABASE, NAT, 40_000, 443, T0, T0 + 59, interface_id="eni-nat", bytes=700,
        pkt_srcaddr=DATABASE, pkt_dstaddr=POOL,
    )  # fmt: skip
    onwards = Record(NAT, POOL, 50_123, 443, T0, T0 + 59, interface_id="eni-nat", bytes=700)
    return [r for way in (client, at_gateway, onwards) for r in (way, way.back(bytes=9_000))]


def make_hunting_case(folder: Path) -> Case:
    """Return the case: three days of some connections."""
    records = [
        *connect(WEB, OUT, 443, T0, out=1_000, back=5_000, interface_id="eni-web"),
        *connect(WEB, DATABASE, 5432, T0 + HOUR, out=300, back=900, interface_id="eni-web"),
        *(
            reject(HOSTILE, DATABASE, 5432, T0 + 2 * HOUR + 60 * n, source_port=40_000 + n)
            for n in range(3)
        ),
        *connect(LATE, WEB, 443, T0 + DAY, out=100, back=200, interface_id="eni-web"),
        *connect(
            WEB, OUT, 443, T0 + DAY + 23 * HOUR, seconds=7_200, out=24_200, back=1_210,
            source_port=41_000, interface_id="eni-web",
        ),
        *connect(WEB6, OUT6, 443, T0, interface_id="eni-web"),
        *_placed(T0, "i-1", "old"),
        *_placed(T0 + 60, "i-1", "old"),
        *_placed(T0 + 5 * HOUR, "i-2", "new"),
        *_through_nat(),
    ]  # fmt: skip
    case = make_case(
        folder,
        records,
        interfaces=INTERFACES,
        indicators=f"indicator,kind,feed\n{POOL},mining,pools\n",
        json_lines=[dns_query(T0, "pool.example", host=DATABASE, answers=[("A", POOL)])],
        fields=[*FIELDS],
    )
    return Case.open(case.path)
