"""Indicator lists as text or CSV: addresses, networks and domains.

A plain list has one item a line; comments at its start may be settings: ``# feed: …``,
``# kind: tor``, ``# confidence: 90``, ``# valid_from: …`` and ``# valid_until: …``. A CSV list has
a header (it may be a comment) that names an indicator column, or one that the user's map of columns
names. Quoted line breaks are not read.

``# kind: allow`` makes it an allow list, ``# reason: …`` gives the reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from flowbench.io.stream import HEAD_SIZE
from flowbench.loaders.intel import indicators
from flowbench.loaders.intel.indicators import (
    LEAST_SPECIFIC,
    NO_VALUE,
    UNSPECIFIED,
    Rejected,
    Row,
    find_kind,
    normalize_kind,
    parse_end,
)
from flowbench.loaders.intel.list_columns import (
    COMMENT,
    LINES_CHECKED,
    Layout,
    find_layout,
    split_line,
)
from flowbench.loaders.intel.observable import Observable, in_cell, in_line
from flowbench.loaders.values import abbreviate, integer, port, text, time
from flowbench.text import replace_unstorable

KIND, TABLE = indicators.KIND, indicators.TABLE

_SETTING = re.compile(
    r"(feed|kind|category|confidence|reason|valid_from|valid_until)\s*:\s*(.+)", re.I
)
_TIMES = {"valid_from": time, "valid_until": parse_end}
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_BARE_ADDRESS = re.compile(rf"(?:{_OCTET}\.){{3}}{_OCTET}")
_COLUMNS = [name for name in TABLE.columns if name != "evidence_id"]
_REQUIRED_SHARE = 0.8


@dataclass
class _List:
    """What a list states of all of its items, as far as it has been read.

    Attributes:
        label: The name of the file.
        columns: The user's map of columns.
        layout: The columns of a CSV list.
        possible_layout: The columns of a comment that may be the header.
        settings: The settings in comments.
        comments: The other comments before the first item.
        bare_row: The row of a line that consists of an address.
        kind: The kind by the words of label and comments, decided at the first item.
    """

    label: str
    columns: Mapping[str, str]
    layout: Layout | None = None
    possible_layout: Layout | None = None
    settings: Row = field(default_factory=dict)
    comments: list[str] = field(default_factory=list)
    bare_row: Row | None = None
    kind: str | None = None


def matches_head(head: bytes) -> bool:
    """Whether a file that starts with ``head`` is an indicator list.

    At least four in five of its first 200 lines that are no comments must have an indicator.
    """
    if b"\0" in head:
        return False
    lines = head.decode("utf-8-sig", "replace").split("\n")
    if len(head) >= HEAD_SIZE and len(lines) > 1:
        lines.pop()  # it may be cut
    good = bad = 0
    for found in read_lines(enumerate(lines, 1), ""):
        good, bad = (good, bad + 1) if isinstance(found, tuple) else (good + 1, bad)
        if good + bad == LINES_CHECKED:
            break
    return good > 0 and good >= _REQUIRED_SHARE * (good + bad)


def read_lines(
    lines: Iterable[tuple[int, str]], label: str, columns: Mapping[str, str] | None = None
) -> Iterator[Row | Rejected]:
    """Read the items of a list: rows of TABLE without ``evidence_id``, or rejected lines.

    Args:
        lines: Decoded lines with their numbers.
        label: The name of the feed where the list has none; its words may indicate the kind.
        columns: The user's map of columns.

    Yields:
        Rows; a range of addresses becomes the networks that it consists of.
    """
    state = _List(label, columns or {})
    for number, raw in lines:
        if state.bare_row is not None and _BARE_ADDRESS.fullmatch(raw):  # most lines of large lists
            yield {**state.bare_row, "indicator": raw, "line": number}
            continue
        line = replace_unstorable(raw).strip("\ufeff \r\n")  # no tabs: they may be empty columns
        if not line.strip():
            continue
        if comment := COMMENT.fullmatch(line):
            state.bare_row = None  # the comment may be a setting
            if reason := _read_comment(state, comment[1].strip()):
                yield number, raw, reason
            continue
        if state.kind is None and _starts_with_header(state, line):
            continue
        found = _from_csv(state, state.layout, line) if state.layout else _from_plain(state, line)
        if isinstance(found, str):
            yield number, raw, found
            continue
        yield from (row | {"line": number} for row in found)
        if state.bare_row is None and state.layout is None:
            state.bare_row = _row(state, Observable("", "address"), {})


def _read_comment(state: _List, comment: str) -> str | None:
    """Note a comment; the reason when its setting cannot be understood."""
    setting = _SETTING.fullmatch(comment)
    if not setting:
        if state.kind is None:
            state.comments.append(comment)
            layout = find_layout(comment, state.columns, is_comment=True)
            if layout and layout.width > 1:
                state.possible_layout = layout
        return None
    name, text_value = setting[1].lower(), setting[2].strip()
    value: object = text_value
    if name in _TIMES:
        value = _TIMES[name](text_value)
    elif name == "confidence":
        value = integer(text_value.removesuffix("%"), 0, 100)
    if value is None:
        return f"{name} of the list cannot be understood: {abbreviate(text_value)}"
    state.settings["kind" if name == "category" else name] = value
    return None


def _starts_with_header(state: _List, line: str) -> bool:
    """Decide kind and layout at the first line; whether this line is the header."""
    state.kind = _kind_of_list(state)
    state.layout = find_layout(line, state.columns)
    if state.layout:
        return True
    possible = state.possible_layout
    if possible and (
        len(split_line(line, possible.delimiter)) == possible.width
        if possible.is_certain
        else not isinstance(_from_csv(state, possible, line), str)
    ):
        state.layout = possible
    return False


def _kind_of_list(state: _List) -> str:
    """The kind by the words of the label and of the comments; a specific one if there is one."""
    # Links in comments name the sites of others, not the content of this list.
    comments = [re.sub(r"\S+://\S+|reference:.*", "", c, flags=re.I) for c in state.comments]
    kinds = [kind for each in (state.label, *comments) if (kind := find_kind(each))]
    specific = (kind for kind in kinds if kind != LEAST_SPECIFIC)
    return next(specific, kinds[0] if kinds else UNSPECIFIED)


def _from_csv(state: _List, layout: Layout, line: str) -> list[Row] | str:
    cells = split_line(line, layout.delimiter)
    if len(cells) > layout.width and layout.positions["indicator"] == 0:
        return _from_wide_row(state, layout, cells)
    if len(cells) != layout.width:
        return f"not {layout.width} columns as in the header"
    cell = {name: cells[position].strip() for name, position in layout.positions.items()}
    found = in_cell(cell["indicator"])
    if isinstance(found, str):
        return found
    values: Row = {}
    for name, parse in _TIMES.items():
        value = cell.get(name, "")
        if value.lower() not in NO_VALUE:
            values[name] = parse(value)
            if values[name] is None:
                return f"{name} is not a time: {abbreviate(value)}"
    values["confidence"] = integer(cell.get("confidence"), 0, 100)
    values["port"] = port(cell.get("port")) or None
    values["feed"] = text(cell.get("feed"))
    values["kind"] = normalize_kind(cell.get("kind"))
    values["description"] = text(cell.get("description"))
    return [_row(state, item, values) for item in found]


def _from_wide_row(state: _List, layout: Layout, cells: list[str]) -> list[Row] | str:
    """Read a row with too many cells: delimiters in a value that is not quoted.

    Its first cell is the indicator; the columns of the others are not known.
    """
    found = in_cell(cells[0])
    if isinstance(found, str):
        return found
    rest = f"{layout.delimiter} ".join(cell.strip() for cell in cells[1:])
    return [_row(state, item, {"description": rest}) for item in found]


def _from_plain(state: _List, line: str) -> list[Row] | str:
    found = in_line(line)
    return found if isinstance(found, str) else [_row(state, item, {}) for item in found]


def _row(state: _List, item: Observable, values: Row) -> Row:
    """Each column by its most specific source: the line, the list's settings, its words."""
    settings = state.settings
    row: Row = {name: values.get(name) for name in _COLUMNS}
    for name in ("confidence", "valid_from", "valid_until"):
        row[name] = values[name] if values.get(name) is not None else settings.get(name)
    row["feed"] = values.get("feed") or settings.get("feed") or state.label or None
    row["kind"] = values.get("kind") or normalize_kind(text(settings.get("kind"))) or state.kind
    if row["kind"] == UNSPECIFIED and values:
        row["kind"] = find_kind(f"{values.get('feed')} {values.get('description')}") or UNSPECIFIED
    row["indicator"], row["type"] = item.indicator, item.type
    row["port"] = item.port or values.get("port")
    row["description"] = values.get("description") or item.description or settings.get("reason")
    return row
