"""DShield's block list: start, end, prefix length, number of targets, name, country, e-mail."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from flowbench.errors import BadRecord
from flowbench.loaders.intel import lists
from flowbench.loaders.intel.feed import listed

KIND, TABLE = lists.KIND, lists.TABLE

_NETWORK = re.compile(r"([\d.]+)\t([\d.]+)\t(\d{1,2})\t(\d+)(?:\t([^\t]*))?(?:\t([^\t]*))?.*")
_HEADER = re.compile(r"start\s+end\s+netblock.*", re.IGNORECASE)


def matches_head(head: bytes) -> bool:
    """Whether the first line that is neither comment nor header is a network of this list."""
    for line in head.decode("utf-8-sig", "replace").splitlines():
        if line.strip() and not line.startswith("#") and not _HEADER.match(line):
            return _NETWORK.fullmatch(line) is not None
    return False


def read_lines(
    lines: Iterable[tuple[int, str]],
    label: str,  # noqa: ARG001  # the list names itself
) -> Iterator[dict[str, Any] | tuple[int, str, str]]:
    """The networks, or (line, raw, reason)."""
    for number, line in lines:
        if not line.strip() or line.startswith("#") or _HEADER.match(line):
            continue
        parts = _NETWORK.fullmatch(line)
        if parts is None:
            yield (
                number,
                line,
                "not a network of DShield's list: start, end, prefix length, targets",
            )
            continue
        whose = ", ".join(filter(None, (parts[5], parts[6])))
        told = f"{parts[4]} targets" + (f"; {whose}" if whose else "")
        try:
            found = listed(
                f"{parts[1]}-{parts[2]}", feed="DShield", kind="scanner", description=told
            )
        except BadRecord as reason:
            yield number, line, str(reason)
            continue
        for each in found:
            yield each | {"line": number}
