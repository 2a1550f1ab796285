"""Values of a segmentation policy: identifiers, networks, ports, protocols, countries.

Each function takes the text of one value and raises ValueError with the reason if it is none.
"""

from __future__ import annotations

import ipaddress
import re

from flowbench.text import canonical_address

IDENTIFIERS = {
    name: re.compile(rf"{prefix}-[0-9a-zA-Z-]+")
    for name, prefix in (("subnets", "subnet"), ("vpcs", "vpc"), ("security-groups", "sg"))
}
_PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58}


def identifier(kind: str, text: str) -> str:
    """The identifier of a subnet, VPC or security group; names can be changed by their owners."""
    if not IDENTIFIERS[kind].fullmatch(text):
        raise ValueError(f"'{text}' is not an identifier of {kind}; names are not accepted")
    return text


def network(text: str) -> tuple[str, str]:
    """The first and last address of a network in CIDR notation."""
    try:
        parsed = ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(f"'{text}' is not a network in CIDR notation: {error}") from None
    return str(parsed.network_address), str(parsed.broadcast_address)


def address(text: str) -> tuple[str, str]:
    """An address, as the first and last of a network."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(f"'{text}' is not an address") from None
    parsed = canonical_address(text)
    return parsed, parsed


def country(text: str) -> str:
    """A country code of two capitals (ISO 3166-1)."""
    if not re.fullmatch(r"[A-Z]{2}", text):
        raise ValueError(f"'{text}' is not a country code of two capitals (ISO 3166-1), like CH")
    return text


def ports(text: str) -> tuple[int, int]:
    """The first and last port of a range."""
    match = re.fullmatch(r"([0-9]{1,5})(?:\s*-\s*([0-9]{1,5}))?", text)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 0 < first <= last <= 65_535:
        raise ValueError(f"'{text}' is not a port (1 to 65535) or a range of ports like 8000-8100")
    return first, last


def protocol(text: str) -> int:
    """The IANA number of a protocol, given by name or number."""
    number = _PROTOCOLS.get(text.lower())
    if number is None and re.fullmatch(r"[0-9]{1,3}", text):
        number = int(text)
    if number is None or number > 255:
        names = ", ".join(_PROTOCOLS)
        raise ValueError(f"'{text}' is not a protocol; known are {names} and IANA numbers")
    return number


def describe_rule(
    initiators: tuple[str, ...],
    responders: tuple[str, ...],
    ports: tuple[tuple[int, int], ...],
    protocols: tuple[int, ...],
    *,
    allow: bool,
) -> str:
    """State a rule in words: the name of a rule that has none.

    Finding ids are computed from names, so that these words must not change.
    """
    names = {number: name for name, number in _PROTOCOLS.items()}
    ranges = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in ports)
    by = ", ".join(names.get(number, f"protocol {number}") for number in protocols)
    sentence = f"{', '.join(initiators)} {'may' if allow else 'must not'} reach"
    sentence += f" {', '.join(responders)}"
    return sentence + (f" on {ranges}" if ranges else "") + (f" by {by}" if by else "")
