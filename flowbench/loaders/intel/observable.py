"""One item of an indicator list in any of its forms: address, network, range or domain.

Defanged forms (``1[.]2[.]3[.]4``, ``hxxp://``), ports, URLs of bare addresses, netmasks, ranges
and the trailing counts and comments of plain lists are understood.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace

from flowbench.loaders.values import Address, parse_address

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Observable:
    """What an indicator covers, in canonical spelling, with the item's port and comment."""

    indicator: str
    type: str  # address, network or domain
    port: int | None = None
    description: str | None = None


NOT_AN_ITEM = "not an address, network, range or domain"
_EVERYTHING = "covers every address"
_PAGE = "a page on a site: flow logs and DNS logs know the site only"

_DEFANGED = (
    *((dot, ".") for dot in ("[.]", "(.)", "{.}", "[dot]", "(dot)", "[.", ".]")),
    *(("[:]", ":"), ("[://]", "://"), ("[/]", "/")),
)
_URL = re.compile(
    r"(?i)(?P<scheme>[a-z][a-z0-9+.-]*)://(?:[^/@\s]*@)?"
    r"(?P<host>\[[^\]\s]+\]|[^/:?#\s]+)(?::(?P<port>\d{1,5}))?(?P<path>[/?#]\S*)?"
)
_WITH_PORT = re.compile(r"(?:\[([^\]\s]+)\]|([^:|\s]+))[:|](\d{1,5})")
# As PeerGuardian's lists have it, after a name that may have any characters.
_NAMED_RANGE = re.compile(
    r"(.*):\s*((?:\d{1,3}\.){3}\d{1,3}\s*-\s*(?:\d{1,3}\.){3}\d{1,3})", re.ASCII
)
_RANGE = re.compile(r"([0-9a-f.:]+)(\s*-\s*|\t)([0-9a-f.:]+)(.*)", re.IGNORECASE)
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_DOMAIN = re.compile(rf"(?:{_LABEL}\.)+(?:[a-z]{{2,63}}|xn--[a-z0-9-]{{1,59}})")
_MAX_DOMAIN = 253
_MAX_PORT = 65535
# File names look like domains, but do not end in a top-level domain.
_FILES = re.compile(
    r".*\.(bak|bin|bmp|cfg|class|conf|css|csv|dll|docx?|elf|exe|gif|gz|html?|ini|jar|jpg|jsonl?|js"
    r"|log|lst|parquet|pcap|pdf|php|png|pyc|tar|tmp|txt|xlsx?|xml|ya?ml)",
    re.IGNORECASE,
)
_SINK_ADDRESSES = {"0.0.0.0", "127.0.0.1", "::1", "::"}  # noqa: S104  # of hosts files


def in_line(line: str) -> list[Observable] | str:
    """Read the items of a line of a plain list (a range may be several), or the reason for none."""
    line = line.strip()
    if not line:
        return NOT_AN_ITEM
    if (bare := parse_address(line)) is not None:  # most lines of most lists
        return [Observable(str(_unmapped(bare)), "address")]
    if named := _NAMED_RANGE.fullmatch(line):
        found = _range(named[2])
        if isinstance(found, list):
            return [replace(each, description=named[1].strip() or None) for each in found]
        return found or NOT_AN_ITEM
    line = _refang(line)
    found = _range(line)
    if found is not None:
        return found
    first, *others = line.split(None, 1)
    rest = others[0] if others else ""
    if "://" not in first and (mark := re.search(r"[#;]", first)):
        first, rest = first[: mark.start()], f"{first[mark.start() :]} {rest}"
    rest = rest.strip()
    comment = re.match(r"(?:#|;|//)+\s*", rest)
    if comment:
        rest = rest[comment.end() :].strip()
    elif re.fullmatch(r"\d{1,12}", rest):
        rest = f"count: {rest}"
    elif rest and first in _SINK_ADDRESSES:
        first, rest = rest.split()[0], ""
    elif rest:
        return NOT_AN_ITEM
    found = in_cell(first)
    if isinstance(found, str) or not rest:
        return found
    return [replace(each, description=rest) for each in found]


def in_cell(value: str) -> list[Observable] | str:
    """Read the items of a value without a comment, or the reason for none."""
    value = _refang(value.strip().strip("\"'"))
    if (url := _URL.fullmatch(value)) is not None:
        return _from_url(url)
    if "/" in value:
        return _from_network(value)
    if (found := _range(value)) is not None:
        return found
    if (host := _host(value)) is not None:
        return [host]
    if (parts := _WITH_PORT.fullmatch(value)) is not None:
        host = _host(parts[1] or parts[2])
        if host is not None and 0 < int(parts[3]) <= _MAX_PORT:
            return [replace(host, port=int(parts[3]))]
    return "a file name, not a domain" if _FILES.fullmatch(value) else NOT_AN_ITEM


def _refang(value: str) -> str:
    if "[" in value or "(" in value or "{" in value:
        for defanged, real in _DEFANGED:
            value = value.replace(defanged, real)
    return re.sub(r"(?i)^(h)(?:xx|\*\*)(ps?\b)", r"\1tt\2", value)


def _host(value: str) -> Observable | None:
    """A bare address or domain."""
    found = parse_address(value.removeprefix("[").removesuffix("]"))
    if found is not None:
        return Observable(str(_unmapped(found)), "address")
    name = value.lower().removeprefix("*.").strip(".")
    if len(name) > _MAX_DOMAIN:
        return None
    if not name.isascii():
        try:
            name = name.encode("idna").decode()
        except UnicodeError:
            return None
    if _FILES.fullmatch(name) or not _DOMAIN.fullmatch(name):
        return None
    return Observable(name, "domain")


def _unmapped(found: Address) -> Address:
    """The IPv4 address in an IPv4-mapped IPv6 address, as flow logs have it; else the address."""
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def _from_url(url: re.Match[str]) -> list[Observable] | str:
    host = _host(url["host"])
    if host is None:
        return NOT_AN_ITEM
    if host.type == "domain" and (url["path"] or "/") != "/":
        return _PAGE
    port = int(url["port"] or 0)
    if port > _MAX_PORT:
        return NOT_AN_ITEM
    return [replace(host, port=port or None, description=url[0])]


def _from_network(value: str) -> list[Observable] | str:
    try:
        network = ipaddress.ip_network(value, strict=False)
    except ValueError:
        host = _host(value.partition("/")[0])
        return _PAGE if host and host.type == "domain" else NOT_AN_ITEM
    return [_from_parsed(network)] if network.prefixlen else _EVERYTHING


def _range(value: str) -> list[Observable] | str | None:
    """The networks that a range of addresses consists of; None for a value that is no range."""
    parts = _RANGE.fullmatch(value)
    first, last = (parse_address(parts[1]), parse_address(parts[3])) if parts else (None, None)
    if parts is None or first is None or last is None:
        return None
    if first.version != last.version or int(first) > int(last):
        return "a range that ends before it starts"
    networks: list[Network] = list(ipaddress.summarize_address_range(first, last))
    if networks[0].prefixlen == 0:
        return _EVERYTHING
    rest = re.sub(r"[\s#;]+", " ", parts[4]).strip()
    return [replace(each, description=rest or None) for each in map(_from_parsed, networks)]


def _from_parsed(network: Network) -> Observable:
    if network.num_addresses == 1:
        return Observable(str(_unmapped(network.network_address)), "address")
    return Observable(str(network), "network")
