"""Whether an address is private, and its neighbourhood.

Two questions about an address are answered here and nowhere else: whether it is private
(``is_private``), and which other addresses count as close to it (``neighbourhood``). Which
interface has it is in own_addresses, whether it is internal in monitored_network.
"""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

import ibis

from flowbench.text import split_zone

# RFC 1918, 6598 (carrier-grade NAT), 3927 and 4291 (link-local), 1122 (loopback), 4193 (ULA).
_PRIVATE = (
    r"^(10\.|127\.|192\.168\.|169\.254\.|172\.(1[6-9]|2[0-9]|3[01])\."
    r"|100\.(6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])\.|f[cd][0-9a-f]{2}:|fe[89ab][0-9a-f]:|::1$)"
)

# IANA's special-purpose registries, without the documentation and benchmarking networks, which
# training cases use for the internet (192.0.2.0/24 and the like), and without NAT64, whose
# addresses stand for hosts of the internet.
SPECIAL_PURPOSE = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/127",
    "fc00::/7",
    "fe80::/10",
    "ff00::/8",
)


class Scope(NamedTuple):
    """How far a neighbourhood extends: its prefix length for IPv4 and for IPv6."""

    ipv4: int  # a multiple of 8
    ipv6: int  # a multiple of 16


# Hosts of one subnet: AWS gives an IPv6 subnet a /64; a /24 is a common IPv4 subnet.
SUBNET = Scope(24, 64)
# One site: the longest prefixes that are routed on the internet (and RFC 6177's former /48).
SITE = Scope(24, 48)


def is_private(address: ibis.Value) -> ibis.Value:
    """Whether an address is private, link-local, loopback or carrier-grade NAT, as an expression.

    The documentation networks (192.0.2.0/24 and the like) count as public: training cases use
    them for the internet.
    """
    return address.re_search(_PRIVATE)


def neighbourhood(address: str, scope: Scope) -> str:
    """The network of an address in a scope, in CIDR form. Raises ValueError for no address."""
    address, _zone = split_zone(address)
    bits = scope.ipv6 if ":" in address else scope.ipv4
    return str(ipaddress.ip_network(f"{address}/{bits}", strict=False))


def neighbourhood_key(address: ibis.Value, scope: Scope) -> ibis.Value:
    """A text that addresses have in common if and only if their neighbourhood is the same.

    Args:
        address: A string expression of canonically spelled addresses, with or without a zone.
        scope: How far a neighbourhood extends.

    Returns:
        The leading octets ("203.0.113") or groups ("2001:db8:0:") as a string expression; the
        empty text for IPv4 text that is no address.
    """
    octets, groups = scope.ipv4 // 8, scope.ipv6 // 16
    network, host = rf"\d+(?:\.\d+){{{octets - 1}}}", rf"(?:\.\d+){{{4 - octets}}}"
    ipv4 = address.re_extract(rf"^({network}){host}(?:%.*)?$", 1)
    ipv6 = _expanded(address).re_extract(rf"^((?:[0-9a-f]+:){{{groups}}})", 1)
    return address.contains(":").ifelse(ipv6, ipv4)


def _expanded(address: ibis.Value) -> ibis.Value:
    """An IPv6 address with all of its eight groups, none of them shortened to a "::"."""
    text = address.startswith("::").ifelse("0" + address, address)
    text = text.endswith("::").ifelse(text + "0", text)
    colons = text.length() - text.replace(":", "").length()  # of x::y as many as written groups
    return text.replace("::", ibis.literal(":0:0:0:0:0:0:").substr(0, 1 + 2 * (8 - colons)))
