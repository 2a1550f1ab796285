"""Tables for a terminal: columns that do not fit are left out; numbers are never cut.

Numbers, times and words (addresses, ids, names) are shown whole. Text is broken between words, and
after MAX_LINES lines shortened with "…"; so are only words longer than MAX_WORD that are no
address. Columns are chosen in their order: one that no longer fits is left out, and the caller
reports it. In a pipe there is no width: every row is one line, with every column.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from rich.cells import cell_len, chop_cells

from flowbench.text import escape_controls, is_address

MAX_LINES = 5  # of a cell
MAX_WORD = 40  # characters; an IPv6 address has up to 39, an event id 36

_TEXT_WIDTH = 36  # characters that a column of text gets at least
_PATH_WIDTH = 24
_MAX_CELL = 600
_MAX_CELL_OF = {"raw": 100}
_GAP = "  "
_POSITIONS = ("line", "item")  # in a file: of no use without it
_FILES = ("file", "evidence_id")
# A code of text.escape_controls, or any character.
_CHARACTERS = re.compile(r"\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|\\U[0-9a-f]{8}|.", re.DOTALL)
_UNBROKEN = re.compile(r"(?<=\d) (?=\d\d:\d\d|(?:UTC|[kMG]?B|h|min|s|days)\b)")  # blanks in a value
# Whole numbers that are no quantities, and are copied rather than read.
_IDENTIFIER = re.compile(r"port$|(?:^|_)(?:line|item|protocol|version|tcp_flags|traffic_path)$")


@dataclass(frozen=True)
class Table:
    """A table laid out for a width.

    Attributes:
        lines: The header and the rows.
        omitted: The names of the columns that did not fit.
        is_shortened: Whether some text was.
    """

    lines: list[str]
    omitted: list[str]
    is_shortened: bool


@dataclass
class _Column:
    name: str
    cells: list[str]
    is_number: bool
    width: int = 0  # as shown

    def __post_init__(self) -> None:
        self.most = max(map(cell_len, [self.name, *self.cells]))
        self.least = self.most if self.is_number else self._find_least()
        self.is_empty = not any(self.cells)

    def _find_least(self) -> int:
        """Return the width that the longest word needs, and text to be readable."""
        if self.name == "file":
            return min(self.most, _PATH_WIDTH)
        words = {word for cell in self.cells for word in cell.split(" ")}
        widths = [width for word in words if not _is_breakable(word, width := cell_len(word))]
        return max(len(self.name), *widths, min(self.most, _TEXT_WIDTH), 1)

    def lay_out(self, cell: str) -> list[str]:
        """Return a cell in lines of the column's width."""
        if self.name == "file":
            return [_keep_end(cell, self.width)]
        lines = list(wrap(cell, self.width)) if cell_len(cell) > self.width else [cell]
        if len(lines) > MAX_LINES:
            lines[MAX_LINES - 1 :] = [_add_ellipsis(lines[MAX_LINES - 1], self.width)]
        return lines

    def justify(self, text: str) -> str:
        blanks = " " * (self.width - cell_len(text))
        return blanks + text if self.is_number else text + blanks


def lay_out(
    rows: Sequence[Mapping[str, object]], columns: Mapping[str, bool], width: int | None
) -> Table:
    """Lay out rows for a terminal.

    Args:
        rows: The rows, as Python values.
        columns: The columns in the order in which they are wanted, and whether each is a number.
        width: Characters of a line; None for a pipe.
    """
    made = [
        _Column(name, [format_cell(row[name], name) for row in rows], is_number)
        for name, is_number in columns.items()
    ]
    shown = made if width is None else _choose(made, width)
    _set_widths(shown, width)
    cells = [[column.lay_out(column.cells[i]) for column in shown] for i in range(len(rows))]
    lines = [_join(shown, [column.name for column in shown])]
    for row in cells:
        lines += (_join(shown, parts) for parts in zip_longest(*row, fillvalue=""))
    return Table(
        lines,
        [column.name for column in made if column not in shown],
        any("…" in part for row in cells for parts in row for part in parts),
    )


def _choose(columns: list[_Column], width: int) -> list[_Column]:
    """Choose the columns that fit, the first in any case, those without any value last."""
    room = width - columns[0].least
    chosen = {columns[0].name}
    has_files = any(column.name in _FILES for column in columns)
    for column in sorted(columns[1:], key=lambda column: column.is_empty):
        if column.name in _POSITIONS and has_files and chosen.isdisjoint(_FILES):
            continue
        if (needed := column.least + len(_GAP)) <= room:
            room -= needed
            chosen.add(column.name)
    return [column for column in columns if column.name in chosen]


def _set_widths(columns: list[_Column], width: int | None) -> None:
    """Give each column its least width, and what remains to those that could use it."""
    for column in columns:
        column.width = column.most if width is None else column.least
    if width is None:
        return
    spare = width - sum(column.width + len(_GAP) for column in columns) + len(_GAP)
    while spare > 0 and (wanting := [c for c in columns if c.width < c.most]):
        share = max(spare // len(wanting), 1)
        for column in wanting:
            more = min(share, column.most - column.width, spare)
            column.width += more
            spare -= more


def _join(columns: Iterable[_Column], parts: Iterable[str]) -> str:
    pairs = zip(columns, parts, strict=True)
    return _GAP.join(column.justify(part) for column, part in pairs).rstrip()


def wrap(text: str, width: int) -> Iterator[str]:
    """Break text between words; words longer than a line are continued on the next.

    A time stays with its date, and a number with its unit.
    """
    line = ""
    for joined_word in _UNBROKEN.sub("\0", text).split(" "):
        word = joined_word.replace("\0", " ")
        joined = f"{line} {word}" if line else word
        if cell_len(joined) <= width:
            line = joined
            continue
        if line:
            yield line.rstrip()
        *full, line = _chop(word, width)
        yield from full
    yield line.rstrip()


def _chop(word: str, width: int) -> list[str]:
    """Break a word that is longer than a line; a code of ``escape_controls`` stays whole."""
    pieces = [""]
    for character in _CHARACTERS.findall(word):
        if pieces[-1] and cell_len(pieces[-1] + character) > width:
            pieces.append("")
        pieces[-1] += character
    return pieces


def _is_breakable(word: str, width: int) -> bool:
    return width > MAX_WORD and not is_address(word.strip("()[],;."))


def _add_ellipsis(line: str, width: int) -> str:
    """Return a line that ends in "…", without the words that no longer fit before it."""
    while cell_len(line) > width - 2 and " " in line:
        line = line.rpartition(" ")[0]
    if cell_len(line) > width - 2:
        line = chop_cells(line, max(width - 2, 1))[0]
    return f"{line} …"


def _keep_end(path: str, width: int) -> str:
    """Return the end of a path, which distinguishes files, after "…"."""
    if cell_len(path) <= width:
        return path
    return "…" + chop_cells(path[::-1], width - 1)[0][::-1]


def format_cell(value: object, name: str) -> str:
    """Return a value as a terminal shows it; ``name`` is that of its column."""
    if value is None:
        return ""
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    if isinstance(value, dict):
        value = ", ".join(f"{key}={inner}" for key, inner in value.items())
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if _IDENTIFIER.search(name) else f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"
    text, most = escape_controls(value), _MAX_CELL_OF.get(name, _MAX_CELL)
    if len(text) <= most:
        return text
    head, blank, _ = text[: most - 1].rpartition(" ")
    return f"{head} …" if blank else text[: most - 1] + "…"
