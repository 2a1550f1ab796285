"""The Tor project's own files: exit-addresses (text), and relays as Onionoo gives them (JSON).

Both say what was a relay when the file was made, not since when: their indicators have no period.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from flowbench.errors import BadRecord
from flowbench.loaders.intel import lists
from flowbench.loaders.intel.feed import listed
from flowbench.loaders.values import brief, text

KIND, TABLE = lists.KIND, lists.TABLE

_START = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:@type [^\n]*\n|Downloaded [^\n]*\n)*ExitNode [0-9A-F]{40}\s"
)
_WORDS = ("Published ", "LastStatus ", "@type ", "Downloaded ")


def matches_head(head: bytes) -> bool:
    """Whether a file starts with an exit node."""
    return _START.match(head) is not None


def read_lines(
    lines: Iterable[tuple[int, str]],
    label: str,  # noqa: ARG001  # the list names itself
) -> Iterator[dict[str, Any] | tuple[int, str, str]]:
    """Each exit's addresses, or (line, raw, reason)."""
    node = ""
    for number, line in lines:
        word, _, rest = line.strip().partition(" ")
        if word == "ExitNode":
            node = rest
        elif word == "ExitAddress":
            address, _, tested = rest.partition(" ")
            try:
                found = listed(
                    address, feed="Tor exits", kind="tor", description=f"{node}, tested {tested}"
                )
            except BadRecord as reason:
                yield number, line, str(reason)
                continue
            yield from (each | {"line": number} for each in found)
        elif word and not f"{line.strip()} ".startswith(_WORDS):
            yield number, line, f"no line of an exit list: {brief(word)}"


def matches(value: object) -> list[object] | None:
    """The addresses of Onionoo's relays, each with its relay, or None for anything else."""
    relays = value.get("relays") if isinstance(value, dict) else None
    if not isinstance(relays, list) or not any(
        isinstance(relay, dict) and "or_addresses" in relay for relay in relays
    ):
        return None
    return list(relays)


def to_row(record: object) -> list[dict[str, Any]]:
    """One relay's addresses with the ports on which it takes connections. Raises BadRecord."""
    addresses = record.get("or_addresses") if isinstance(record, dict) else None
    if not isinstance(record, dict) or not isinstance(addresses, list) or not addresses:
        raise BadRecord("a relay without or_addresses")
    name = text(record.get("nickname")) or text(record.get("fingerprint"))
    return [
        # An exit speaks from the same address on other ports: the address counts.
        each | {"port": None}
        for address in addresses
        for each in listed(address, feed="Tor relays", kind="tor", description=name)
    ]
