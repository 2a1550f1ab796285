"""abuse.ch in CSV: ThreatFox, URLhaus, Feodo Tracker and SSLBL, recognised by their headers.

Their name comes from the header, and they may have so many hashes and pages that the reader of
lists would not recognise them.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator

from flowbench.loaders.intel import indicators, lists
from flowbench.loaders.intel.indicators import Rejected, Row

KIND, TABLE = indicators.KIND, indicators.TABLE

_FEEDS = {
    "ThreatFox": r'ioc_id"?, ?"?ioc_value"?, ?"?ioc_type',
    "URLhaus": r'dateadded"?, ?"?url"?, ?"?url_status',
    "Feodo Tracker": r'(?:first_seen_utc|Firstseen)"?, ?"?(?:dst_ip|DstIP)"?, ?'
    r'"?(?:dst_port|DstPort)"?, ?"?(?:c2_status|LastOnline)',
    "SSLBL C2": r"Firstseen, ?DstIP, ?DstPort\s*$",
}
_HEADERS = {name: re.compile(f"(?m){header}") for name, header in _FEEDS.items()}


def matches_head(head: bytes) -> bool:
    """Whether a file has the header of one of these near its start."""
    return b"\0" not in head and _feed(head.decode("utf-8", "replace")) is not None


def read_lines(lines: Iterable[tuple[int, str]], label: str) -> Iterator[Row | Rejected]:
    """Read the items as lists.read_lines does, with the feed's own name."""
    start: list[tuple[int, str]] = []
    rest = iter(lines)
    for numbered in rest:
        start.append(numbered)
        if (name := _feed(numbered[1])) is not None:
            label = name
            break
    # The comments before the header name other lists of the maker, and would decide the kind.
    items = [(n, line) for n, line in start[:-1] if not line.lstrip().startswith("#")]
    yield from lists.read_lines(itertools.chain(items, start[-1:], rest), label)


def _feed(text: str) -> str | None:
    return next((name for name, header in _HEADERS.items() if header.search(text)), None)
