"""Findings name the hosts that share an address, and own public addresses."""

from __future__ import annotations

from types import SimpleNamespace

import ibis
import pytest

from flowbench.connections.zones import TABLE
from flowbench.detect.host_caveats import describe_hosts
from tests.detect.examples import example_finding
from tests.traffic import T0, connect, interface, make_case

A = "10.0.0.5"


def zone(host: str, interface: str, vpc: str | None, account: str | None) -> dict[str, object]:
    own = {"address": A, "own": True, "vpc_id": vpc, "account_id": account}
    return own | {"host": f"{A}%{host}", "interface_id": interface}


ZONES = [
    zone("vpc-1", "eni-a", "vpc-1", "111111111111"),
    zone("vpc-1", "eni-b", "vpc-1", "111111111111"),
    zone("eni-c", "eni-c", None, None),
]


@pytest.mark.parametrize(
    ("subject", "peer", "expected"),
    [
        (f"{A}%vpc-1", "203.0.113.7", f"{A}%vpc-1 is {A} in VPC vpc-1, account 111111111111"
         " (eni-a, eni-b)"),
        ("10.9.9.9", f"{A}%eni-c", f"{A}%eni-c is {A} in an unknown VPC (eni-c)"),
        (A, "203.0.113.7", None),
    ],
)  # fmt: skip
def test_hosts_with_a_zone_are_described(subject, peer, expected) -> None:
    zones = ibis.memtable(TABLE.rows(ZONES))
    case = SimpleNamespace(address_zones=zones, has=lambda _table: False)
    finding = example_finding([peer], subject=subject)
    (described,) = describe_hosts(case, [finding])
    if expected is None:
        assert described == finding
    else:
        text = f"Several hosts have the same address: {expected}."
        assert described.caveats == f"{finding.caveats} {text}"


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("192.0.2.44", " In the monitored network, 192.0.2.44 is a public address of eni-b"
         " (10.0.2.9, i-b)."),
        ("192.0.2.45", ""),
        ("10.0.2.9", ""),
    ],
)  # fmt: skip
def test_own_public_addresses_are_named(tmp_path, peer, expected) -> None:
    association = {"Association": {"PublicIp": "192.0.2.44"}, "Attachment": {"InstanceId": "i-b"}}
    listed = [interface("10.0.2.9", "b", **association)]
    case = make_case(tmp_path, connect(A, peer, 443, T0), interfaces=listed)
    (described,) = describe_hosts(case, [example_finding([peer], subject=A, caveats="One.")])
    assert described.caveats == f"One.{expected}"
