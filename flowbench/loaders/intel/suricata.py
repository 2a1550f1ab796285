"""Suricata and Snort rules with addresses, such as Emerging Threats' botcc.rules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from flowbench.errors import BadRecord
from flowbench.loaders.intel import indicators
from flowbench.loaders.intel.feed import indicator_rows
from flowbench.loaders.intel.indicators import Rejected, Row

KIND, TABLE = indicators.KIND, indicators.TABLE

_RULE = re.compile(
    r"(?:alert|drop|reject|block)\s+\S+\s+(\S+)\s+(\S+)\s+(?:->|<>)\s+(\S+)\s+(\S+)\s*\((.*)\)\s*"
)
_MESSAGE = re.compile(r'msg:\s*"([^"]*)"')


def matches_head(head: bytes) -> bool:
    """Whether the first line that is not a comment is a rule."""
    for line in head.decode("utf-8-sig", "replace").splitlines():
        if line.strip() and not line.startswith("#"):
            return re.match(r"(alert|drop|reject|block) \w+ \S+ \S+ (->|<>) ", line) is not None
    return False


def read_lines(lines: Iterable[tuple[int, str]], label: str) -> Iterator[Row | Rejected]:
    """Read the addresses on either side of each rule, or rejected lines."""
    for number, line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        rule = _RULE.fullmatch(line)
        message = _MESSAGE.search(rule[5]) if rule else None
        name = message[1] if message else label
        sides = ((rule[1], rule[2]), (rule[3], rule[4])) if rule else ()
        address_count = 0
        for side, ports in sides:
            for value in side.strip("[]").split(","):
                if value[:1] in ("$", "!") or value == "any":
                    continue
                address_count += 1
                port = int(ports) if ports.isdigit() and 0 < int(ports) < 1 << 16 else None
                kind = indicators.find_kind(name, label)
                try:
                    rows = indicator_rows(value, feed=label, kind=kind, port=port, description=name)
                except BadRecord as reason:
                    yield number, line, str(reason)
                    continue
                yield from (row | {"line": number} for row in rows)
        if not address_count:
            yield number, line, "a rule without addresses" if rule else "not a rule"
