"""Internal addresses: own ones, public ones of the inventory, networks of VPCs and subnets."""

from __future__ import annotations

import ibis
import pyarrow as pa
import pytest

from flowbench.enrich.monitored_network import Inventory
from tests.traffic import T0, connect, interface, make_case

A, B, OUT = "10.0.0.5", "10.0.2.9", "203.0.113.7"
EIP = "192.0.2.44"
ASSOCIATION = {"Association": {"PublicIp": EIP, "IpOwnerId": "111122223333"}}
ELASTIC_IP = {"PublicIp": EIP, "AllocationId": "eipalloc-1", "NetworkInterfaceId": "eni-b"}
INSTANCE = {"InstanceId": "i-1", "ImageId": "ami-1", "PublicIpAddress": EIP}
VPC = {"VpcId": "vpc-1", "CidrBlock": "147.32.0.0/16", "IsDefault": False}
SUBNET = {
    "SubnetId": "subnet-1",
    "VpcId": "vpc-1",
    "CidrBlock": "10.0.0.0/24",
    "Ipv6CidrBlockAssociationSet": [{"Ipv6CidrBlock": "2600:1f18:1:200::/64"}],
}


def directions(folder, records, **evidence) -> set[str]:
    return set(
        make_case(folder, records, **evidence).connections.direction.to_pyarrow().to_pylist()
    )


@pytest.mark.parametrize(
    ("peer", "evidence"),
    [
        (EIP, {"interfaces": [interface(B, "b", **ASSOCIATION)]}),
        (EIP, {"json_lines": [{"Addresses": [ELASTIC_IP]}]}),
        (EIP, {"json_lines": [{"Addresses": [{"PublicIp": EIP, "AllocationId": "eipalloc-1"}]}]}),
        (EIP, {"json_lines": [{"Instances": [INSTANCE]}]}),
        ("147.32.80.9", {"json_lines": [{"Vpcs": [VPC]}]}),
        ("2600:1f18:1:200::9", {"json_lines": [{"Subnets": [SUBNET]}]}),
    ],
)
def test_public_addresses_of_the_network_are_internal(tmp_path, peer, evidence) -> None:
    host = "fd00::5" if ":" in peer else A
    assert directions(tmp_path / "known", connect(host, peer, 443, T0), **evidence) == {"internal"}
    assert directions(tmp_path / "unknown", connect(host, peer, 443, T0)) == {"outbound"}


@pytest.mark.parametrize("peer", ["147.33.0.1", "2600:1f18:1:201::9", "2600:1f18:2:200::9"])
def test_addresses_beside_the_networks_are_external(tmp_path, peer) -> None:
    host = "fd00::5" if ":" in peer else A
    inventory = [{"Vpcs": [VPC]}, {"Subnets": [SUBNET]}]
    assert directions(tmp_path, connect(host, peer, 443, T0), json_lines=inventory) == {"outbound"}


def test_networks_that_are_private_or_everything_are_left_out() -> None:
    cidrs = ["10.0.0.0/16", "0.0.0.0/0", "fd00::/48", "::/0", "not a network", "147.32.1.0/24"]
    rows = pa.table({"cidrs": pa.array([cidrs, None], pa.list_(pa.string()))})
    inventory = Inventory(ibis.memtable(rows), vpcs=ibis.memtable(rows))
    assert inventory.public_networks() == ["147.32.1.0/24"]
    assert Inventory(ibis.memtable(rows)).public_networks() == []
