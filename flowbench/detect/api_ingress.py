"""Conditions of rules on security groups: administrative ports that are opened to the internet."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from flowbench.detect.api_requests import ApiCall, find_texts
from flowbench.enrich.ownership import SPECIAL_PURPOSE

_SPECIAL = [ipaddress.ip_network(network) for network in SPECIAL_PURPOSE]
_EVERYONE = 8  # longest prefix that counts as everyone: 0.0.0.0/1 and 128.0.0.0/1 together are
# SSH, RDP, WinRM, SMB, Docker, Kubernetes, databases: what brute-force tools and worms look for.
ADMIN_PORTS = frozenset(
    {22, 23, 135, 139, 445, 1433, 1521, 2375, 2376, 3306, 3389, 5432, 5900, 5985, 5986, 6379}
    | {6443, 9200, 10250, 11211, 27017}
)


def opens_admin_port(call: ApiCall) -> list[str] | None:
    """Match a security group rule that opens an administrative port to the internet."""
    return _opened(call, lambda network: network.prefixlen <= _EVERYONE)


def opens_admin_port_to_few(call: ApiCall) -> list[str] | None:
    """Match a security group rule that opens an administrative port to a public network."""
    return _opened(call, lambda network: network.prefixlen > _EVERYONE)


def _opened(call: ApiCall, is_wanted: Callable[[Any], bool]) -> list[str] | None:
    opened = []
    for rule in _ingress_rules(call.request):
        if not (port := _admin_port(rule)):
            continue
        for text in find_texts(rule, {"cidrIp", "cidrIpv6", "cidrIpv4"}):
            network = _public_network(text)
            if network is not None and is_wanted(network):
                opened.append(f"{port} from {network}")
    group = call.text("groupId", "groupName")
    return [f"{each} in {group}" if group else each for each in opened] or None


@lru_cache(maxsize=65_536)
def _public_network(text: str) -> Any:
    """Return a network that is not private, or None."""
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
    is_special = any(
        network.version == special.version and network.subnet_of(special)  # type: ignore[arg-type]  # same version
        for special in _SPECIAL
    )
    return None if is_special else network


def _ingress_rules(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the rules of a request, which has them flat or in a list."""
    if "cidrIp" in request or "cidrIpv6" in request:
        yield request
    permissions = request.get("ipPermissions")
    items = permissions.get("items") if isinstance(permissions, dict) else None
    if isinstance(items, list):
        yield from (item for item in items if isinstance(item, dict))


def _admin_port(rule: dict[str, Any]) -> str | None:
    """Return the administrative ports in a rule: '22/tcp', or 'all ports'."""
    protocol = str(rule.get("ipProtocol", "-1")).lower()
    first, last = rule.get("fromPort"), rule.get("toPort")
    if protocol == "-1":
        return "all ports"
    if not isinstance(first, int):
        return None
    last = last if isinstance(last, int) else first
    if (first, last) in {(0, 65535), (-1, -1)}:
        return "all ports"
    if protocol not in ("tcp", "6"):
        return None
    inside = sorted(port for port in ADMIN_PORTS if first <= port <= last)
    if not inside:
        return None
    return f"{inside[0]}/tcp" if first == last else f"{first}-{last}/tcp"
