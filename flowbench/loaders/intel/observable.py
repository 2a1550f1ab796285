"""One item of an indicator list, however it is written: address, network, range or domain.

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
    """What can be looked for: its normal spelling, and what the item said beside it."""

    indicator: str
    type: str  # address, network or domain
    port: int | None = None
    description: str | None = None


NOT_ONE = "not an address, network, range or domain"
_EVERYTHING = "covers every address there is"
_ONLY_A_PAGE = "a page on a site: neither flows nor DNS can tell it from the rest of the site"

_DEFANGED = (
    *((dot, ".") for dot in ("[.]", "(.)", "{.}", "[dot]", "(dot)", "[.", ".]")),
    *(("[:]", ":"), ("[://]", "://"), ("[/]", "/")),
)
_URL = re.compile(
    r"(?i)(?P<scheme>[a-z][a-z0-9+.-]*)://(?:[^/@\s]*@)?"
    r"(?P<host>\[[^\]\s]+\]|[^/:?#\s]+)(?::(?P<port>\d{1,5}))?(?P<path>[/?#]\S*)?"
)
_WITH_PORT = re.compile(r"(?:\[([^\]\s]+)\]|([^:|\s]+))[:|](\d{1,5})")
_RANGE = re.compile(r"([0-9a-f.:]+)(\s*-\s*|\t)([0-9a-f.:]+)(.*)", re.IGNORECASE)
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_DOMAIN = re.compile(rf"(?:{_LABEL}\.)+(?:[a-z]{{2,63}}|xn--[a-z0-9-]{{1,59}})")
_LONGEST_DOMAIN = 253
_HIGHEST_PORT = 65535
# What looks like a domain but ends in no top-level domain: lists of files are not indicators.
_FILES = re.compile(
    r".*\.(bak|bin|bmp|cfg|class|conf|css|csv|dll|docx?|elf|exe|gif|gz|html?|ini|jar|jpg|jsonl?|js"
    r"|log|lst|parquet|pcap|pdf|php|png|pyc|tar|tmp|txt|xlsx?|xml|ya?ml)",
    re.IGNORECASE,
)
_NOWHERE = {"0.0.0.0", "127.0.0.1", "::1", "::"}  # noqa: S104  # what hosts files point to


def in_line(line: str) -> list[Observable] | str:
    """The items of a line of a plain list (a range may be several), or why there is none."""
    line = line.strip()
    if not line:
        return NOT_ONE
    if (bare := parse_address(line)) is not None:  # most lines of most lists
        return [Observable(str(_plain(bare)), "address")]
    line = _refang(line)
    found = _range(line)
    if found is not None:
        return found
    first, *others = line.split(None, 1)
    rest = others[0] if others else ""
    if "://" not in first and (glued := re.search(r"[#;]", first)):
        first, rest = first[: glued.start()], f"{first[glued.start() :]} {rest}"
    rest = rest.strip()
    comment = re.match(r"(?:#|;|//)+\s*", rest)
    if comment:
        rest = rest[comment.end() :].strip()
    elif re.fullmatch(r"\d{1,12}", rest):
        rest = f"count: {rest}"
    elif rest and first in _NOWHERE:
        first, rest = rest.split()[0], ""
    elif rest:
        return NOT_ONE
    found = in_cell(first)
    if isinstance(found, str) or not rest:
        return found
    return [replace(each, description=rest) for each in found]


def in_cell(value: str) -> list[Observable] | str:
    """The items of a value that holds nothing else, or why there is none."""
    value = _refang(value.strip().strip("\"'"))
    if (url := _URL.fullmatch(value)) is not None:
        return _of_url(url)
    if "/" in value:
        return _of_network(value)
    if (found := _range(value)) is not None:
        return found
    if (one := _host(value)) is not None:
        return [one]
    if (parts := _WITH_PORT.fullmatch(value)) is not None:
        one = _host(parts[1] or parts[2])
        if one is not None and 0 < int(parts[3]) <= _HIGHEST_PORT:
            return [replace(one, port=int(parts[3]))]
    return "a file name, not a domain" if _FILES.fullmatch(value) else NOT_ONE


def _refang(value: str) -> str:
    if "[" in value or "(" in value or "{" in value:
        for defanged, real in _DEFANGED:
            value = value.replace(defanged, real)
    return re.sub(r"(?i)^(h)(?:xx|\*\*)(ps?\b)", r"\1tt\2", value)


def _host(value: str) -> Observable | None:
    """A bare address or domain."""
    found = parse_address(value.removeprefix("[").removesuffix("]"))
    if found is not None:
        return Observable(str(_plain(found)), "address")
    name = value.lower().removeprefix("*.").strip(".")
    if len(name) > _LONGEST_DOMAIN:
        return None
    if not name.isascii():
        try:
            name = name.encode("idna").decode()
        except UnicodeError:
            return None
    if _FILES.fullmatch(name) or not _DOMAIN.fullmatch(name):
        return None
    return Observable(name, "domain")


def _plain(found: Address) -> Address:
    """An IPv4 address that was written as an IPv6 one is an IPv4 address to a flow log."""
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def _of_url(url: re.Match[str]) -> list[Observable] | str:
    one = _host(url["host"])
    if one is None:
        return NOT_ONE
    if one.type == "domain" and (url["path"] or "/") != "/":
        return _ONLY_A_PAGE
    port = int(url["port"] or 0)
    if port > _HIGHEST_PORT:
        return NOT_ONE
    return [replace(one, port=port or None, description=url[0])]


def _of_network(value: str) -> list[Observable] | str:
    try:
        network = ipaddress.ip_network(value, strict=False)
    except ValueError:
        host = _host(value.partition("/")[0])
        return _ONLY_A_PAGE if host and host.type == "domain" else NOT_ONE
    return [_of(network)] if network.prefixlen else _EVERYTHING


def _range(value: str) -> list[Observable] | str | None:
    """The networks that make a range of addresses, or None when the value is no range."""
    parts = _RANGE.fullmatch(value)
    first, last = (parse_address(parts[1]), parse_address(parts[3])) if parts else (None, None)
    if parts is None or first is None or last is None:
        return None
    if first.version != last.version or int(first) > int(last):
        return "a range whose end lies before its start"
    networks: list[Network] = list(ipaddress.summarize_address_range(first, last))
    if networks[0].prefixlen == 0:
        return _EVERYTHING
    rest = re.sub(r"[\s#;]+", " ", parts[4]).strip()
    return [replace(each, description=rest or None) for each in map(_of, networks)]


def _of(network: Network) -> Observable:
    if network.num_addresses == 1:
        return Observable(str(_plain(network.network_address)), "address")
    return Observable(str(network), "network")
