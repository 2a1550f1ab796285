"""abuse.ch in CSV: ThreatFox, URLhaus, Feodo Tracker, SSLBL; told by the columns of their headers.

They name themselves, and may hold so many hashes and pages that no reader of lists would know them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from flowbench.loaders.intel import lists

KIND, TABLE = lists.KIND, lists.TABLE

_FEEDS = {
    "ThreatFox": r'ioc_id"?, ?"?ioc_value"?, ?"?ioc_type',
    "URLhaus": r'dateadded"?, ?"?url"?, ?"?url_status',
    "Feodo Tracker": r'(?:first_seen_utc|Firstseen)"?, ?"?(?:dst_ip|DstIP)"?, ?'
    r'"?(?:dst_port|DstPort)"?, ?"?(?:c2_status|LastOnline)',
    "SSLBL C2": r"Firstseen, ?DstIP, ?DstPort\s*$",
}
_HEADERS = {name: re.compile(f"(?m){told}") for name, told in _FEEDS.items()}


def matches_head(head: bytes) -> bool:
    """Whether a file starts as one of these does."""
    return b"\0" not in head and _feed(head.decode("utf-8", "replace")) is not None


def read_lines(
    lines: Iterable[tuple[int, str]], label: str
) -> Iterator[dict[str, object] | tuple[int, str, str]]:
    """The items as lists.read_lines gives them, under the feed's own name."""
    before: list[tuple[int, str]] = []
    reader = iter(lines)
    for numbered in reader:
        before.append(numbered)
        if (name := _feed(numbered[1])) is not None:
            label = name
            break
    # The long comments before the header speak of other lists of the maker: the feed's name counts.
    told = [(n, line) for n, line in before[:-1] if not line.lstrip().startswith("#")]
    yield from lists.read_lines(_chained(told + before[-1:], reader), label)


def _chained(
    first: list[tuple[int, str]], rest: Iterator[tuple[int, str]]
) -> Iterator[tuple[int, str]]:
    yield from first
    yield from rest


def _feed(text: str) -> str | None:
    return next((name for name, header in _HEADERS.items() if header.search(text)), None)
