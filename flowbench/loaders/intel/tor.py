"""The Tor project's own files: exit-addresses (text), and relays from Onionoo (JSON).

Both list the relays of the moment at which the file was made: their indicators have no period.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from flowbench.errors import BadRecord
from flowbench.loaders.intel import indicators
from flowbench.loaders.intel.feed import indicator_rows
from flowbench.loaders.intel.indicators import Rejected, Row
from flowbench.loaders.values import abbreviate, text

KIND, TABLE = indicators.KIND, indicators.TABLE

_START = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:@type [^\n]*\n|Downloaded [^\n]*\n)*ExitNode [0-9A-F]{40}\s"
)
_OTHER_LINES = ("Published ", "LastStatus ", "@type ", "Downloaded ")


def matches_head(head: bytes) -> bool:
    """Whether a file starts with an exit node."""
    return _START.match(head) is not None


def read_lines(
    lines: Iterable[tuple[int, str]],
    label: str,  # noqa: ARG001  # the list has a fixed name
) -> Iterator[Row | Rejected]:
    """Read the addresses of each exit, or rejected lines."""
    node = ""
    for number, line in lines:
        word, _, rest = line.strip().partition(" ")
        if word == "ExitNode":
            node = rest
        elif word == "ExitAddress":
            address, _, tested = rest.partition(" ")
            try:
                rows = indicator_rows(
                    address, feed="Tor exits", kind="tor", description=f"{node}, tested {tested}"
                )
            except BadRecord as reason:
                yield number, line, str(reason)
                continue
            yield from (row | {"line": number} for row in rows)
        elif word and not f"{line.strip()} ".startswith(_OTHER_LINES):
            yield number, line, f"not a line of an exit list: {abbreviate(word)}"


def matches(value: object) -> list[object] | None:
    """Return the relays in Onionoo's response, or None for anything else."""
    relays = value.get("relays") if isinstance(value, dict) else None
    if not isinstance(relays, list) or not any(
        isinstance(relay, dict) and "or_addresses" in relay for relay in relays
    ):
        return None
    return list(relays)


def to_row(record: object) -> list[Row]:
    """Convert the addresses of one relay. Raises BadRecord."""
    addresses = record.get("or_addresses") if isinstance(record, dict) else None
    if not isinstance(record, dict) or not isinstance(addresses, list) or not addresses:
        raise BadRecord("a relay without or_addresses")
    name = text(record.get("nickname")) or text(record.get("fingerprint"))
    return [
        # An exit connects from the same address with other ports.
        row | {"port": None}
        for address in addresses
        for row in indicator_rows(address, feed="Tor relays", kind="tor", description=name)
    ]
