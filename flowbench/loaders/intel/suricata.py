"""Suricata and Snort rules that name addresses, as Emerging Threats' botcc.rules does."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from flowbench.errors import BadRecord
from flowbench.loaders.intel import lists
from flowbench.loaders.intel.feed import listed

KIND, TABLE = lists.KIND, lists.TABLE

_RULE = re.compile(
    r"(?:alert|drop|reject|block)\s+\S+\s+(\S+)\s+(\S+)\s+(?:->|<>)\s+(\S+)\s+(\S+)\s*\((.*)\)\s*"
)
_MESSAGE = re.compile(r'msg:\s*"([^"]*)"')


def matches_head(head: bytes) -> bool:
    """Whether the first line that is no comment is a rule."""
    for line in head.decode("utf-8-sig", "replace").splitlines():
        if line.strip() and not line.startswith("#"):
            return re.match(r"(alert|drop|reject|block) \w+ \S+ \S+ (->|<>) ", line) is not None
    return False


def read_lines(
    lines: Iterable[tuple[int, str]], label: str
) -> Iterator[dict[str, Any] | tuple[int, str, str]]:
    """The addresses that each rule names on one of its sides, or (line, raw, reason)."""
    for number, line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        rule = _RULE.fullmatch(line)
        told = _MESSAGE.search(rule[5]) if rule else None
        name = told[1] if told else label
        sides = ((rule[1], rule[2]), (rule[3], rule[4])) if rule else ()
        named = 0
        for side, ports in sides:
            for value in side.strip("[]").split(","):
                if value[:1] in ("$", "!") or value == "any":
                    continue
                named += 1
                told_port = int(ports) if ports.isdigit() and 0 < int(ports) < 1 << 16 else None
                kind = lists.kind_in(name) or lists.kind_in(label)
                try:
                    found = listed(value, feed=label, kind=kind, port=told_port, description=name)
                except BadRecord as reason:
                    yield number, line, str(reason)
                    continue
                yield from (each | {"line": number} for each in found)
        if not named:
            yield number, line, "a rule that names no address" if rule else "no rule"
