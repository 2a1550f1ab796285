"""DShield's block list: start, end, prefix length, number of targets, name, country, e-mail."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from flowbench.errors import BadRecord
from flowbench.loaders.intel import indicators
from flowbench.loaders.intel.feed import indicator_rows
from flowbench.loaders.intel.indicators import Rejected, Row

KIND, TABLE = indicators.KIND, indicators.TABLE

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
    label: str,  # noqa: ARG001  # the list has a fixed name
) -> Iterator[Row | Rejected]:
    """Read the networks, or rejected lines."""
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
        owner = ", ".join(filter(None, (parts[5], parts[6])))
        description = f"{parts[4]} targets" + (f"; {owner}" if owner else "")
        try:
            rows = indicator_rows(
                f"{parts[1]}-{parts[2]}", feed="DShield", kind="scanner", description=description
            )
        except BadRecord as reason:
            yield number, line, str(reason)
            continue
        for row in rows:
            yield row | {"line": number}
