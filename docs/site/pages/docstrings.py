"""Docstrings as autodoc gets them: columns of text stay columns."""

from __future__ import annotations

import re
from collections.abc import Iterable

_COLUMNS = re.compile(r" {4}\S.*?\S {2,}\S")  # an indented line in columns


def keep_columns(lines: list[str]) -> None:
    """Mark indented blocks that have columns as literal, in place.

    A block starts after an empty line; the parts of Google's form (`Args:`) do not, and stay.
    """
    kept = list(_mark(lines))
    lines[:] = kept


def _mark(lines: list[str]) -> Iterable[str]:
    is_block = False
    before = ""
    for number, line in enumerate(lines):
        is_start = not before.strip() and not is_block and line.startswith("    ")
        if is_start and any(_COLUMNS.match(each) for each in _block(lines[number:])):
            yield from ("::", "")
            is_block = True
        elif line.strip() and not line.startswith(" "):
            is_block = False
        yield line
        before = line


def _block(lines: list[str]) -> Iterable[str]:
    for line in lines:
        if line.strip() and not line.startswith(" "):
            return
        yield line
