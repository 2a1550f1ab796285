"""Security group rules that open administrative ports to the internet."""

from __future__ import annotations

from typing import Any

import pytest

from flowbench.detect.api_ingress import opens_admin_port, opens_admin_port_to_few
from tests.detect.test_api_requests import make_call


def flat(first: int, last: int, network: str, protocol: str = "tcp") -> dict[str, Any]:
    key = "cidrIpv6" if ":" in network else "cidrIp"
    return {"ipProtocol": protocol, "fromPort": first, "toPort": last, key: network}


def listed(first: int, last: int, network: str, protocol: str = "tcp") -> dict[str, Any]:
    key, inner = ("ipv6Ranges", "cidrIpv6") if ":" in network else ("ipRanges", "cidrIp")
    rule = {"ipProtocol": protocol, "fromPort": first, "toPort": last}
    return {"ipPermissions": {"items": [rule | {key: {"items": [{inner: network}]}}]}}


@pytest.mark.parametrize("shape", [flat, listed])
@pytest.mark.parametrize(
    ("rule", "everyone", "few"),
    [
        ((22, 22, "0.0.0.0/0"), "22/tcp from 0.0.0.0/0", None),
        ((22, 22, "192.0.2.7/0"), "22/tcp from 0.0.0.0/0", None),
        ((3389, 3389, "::/0"), "3389/tcp from ::/0", None),
        ((5000, 6000, "128.0.0.0/1"), "5000-6000/tcp from 128.0.0.0/1", None),
        ((0, 65535, "0.0.0.0/0"), "all ports from 0.0.0.0/0", None),
        ((-1, -1, "0.0.0.0/0", "-1"), "all ports from 0.0.0.0/0", None),
        ((22, 22, "198.51.100.7/32"), None, "22/tcp from 198.51.100.7/32"),
        ((3306, 3306, "2001:db8::7/128"), None, "3306/tcp from 2001:db8::7/128"),
        ((443, 443, "0.0.0.0/0"), None, None),
        ((80, 8080, "10.0.0.0/8"), None, None),
        ((22, 22, "10.40.0.0/16"), None, None),
        ((22, 22, "fd00::/8"), None, None),
        ((22, 22, "0.0.0.0/0", "udp"), None, None),
        ((22, 22, "not a network"), None, None),
    ],
)
def test_opened_ports(shape: Any, rule: tuple[Any, ...], everyone: Any, few: Any) -> None:
    call = make_call(groupId="sg-1", **shape(*rule))
    assert opens_admin_port(call) == ([f"{everyone} in sg-1"] if everyone else None)
    assert opens_admin_port_to_few(call) == ([f"{few} in sg-1"] if few else None)


@pytest.mark.parametrize(
    "request_", [{}, {"ipPermissions": {}}, {"ipPermissions": {"items": [None, 5]}}, {"cidrIp": 1}]
)
def test_requests_of_other_shapes(request_: dict[str, Any]) -> None:
    assert opens_admin_port(make_call(**request_)) is None
