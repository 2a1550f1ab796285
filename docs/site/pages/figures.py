"""What benchmarks/detection.md has measured of one detector."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pages import markdown

_ORDINARY = "ordinary pairs in findings"


class Measured(NamedTuple):
    """A table of a section, cut to the rows of one detector."""

    section: str
    table: str


def read(root: Path, detector: str) -> list[Measured]:
    """Return what each section of detection.md has about a detector; nothing if it has nothing."""
    text = (root / "benchmarks" / "detection.md").read_text(encoding="utf-8")
    found = []
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        title, _, body = section.partition("\n")
        for head, rows in _tables(body):
            if chosen := _choose(head, rows, detector):
                found.append(Measured(title.strip(), markdown.table(*chosen)))
    return found


def _tables(text: str) -> Iterator[tuple[list[str], list[list[str]]]]:
    """Yield the head and the rows of each table."""
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        lines = [[c.strip() for c in line.strip("|").split("|")] for line in block.splitlines()]
        yield lines[0], lines[2:]


def _choose(
    head: list[str], rows: list[list[str]], detector: str
) -> tuple[list[str], list[list[str]]] | None:
    if head[0] == _ORDINARY:
        if detector not in head:
            return None
        at = head.index(detector)
        kept = [[row[0], row[1], row[at]] for row in rows if row[at] != "0"]
        return ([head[0], head[1], "in findings"], kept) if kept else None
    if head[0] == detector:  # the thresholds of a detector: the whole table is of interest there
        return None
    named = re.compile(rf"(^|, ){re.escape(detector)}( \d+|$)")
    kept = [row for row in rows if any(named.search(value) for value in row)]
    if "detector" in head:
        at = head.index("detector")
        kept = [row for row in kept if row[at] == detector]
        head, *kept = ([*row[:at], *row[at + 1 :]] for row in (head, *kept))
    return (head, kept) if kept else None
