"""Which field stands where in a flow log line: from a header, a format string, or by default."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import pyarrow as pa

from flowbench.errors import InputError
from flowbench.loaders.flowlogs.validate import (
    ACTIONS,
    ADDRESSES,
    LIMITS,
    NARROW,
    NUMBERS,
    STATUSES,
    aws,
)
from flowbench.schema import DEFAULT_FORMAT, FLOW_FIELDS, TRANSIT_GATEWAY_FORMAT

MARK = b"\xef\xbb\xbf"  # what some Windows programs put before UTF-8

_NAME = re.compile(rb"[a-zA-Z][a-zA-Z0-9_-]{0,62}")
_NUMBER = re.compile(rb"-|[0-9]{1,18}")
_STAMP = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")
_VARIABLE = re.compile(r"\$\{([a-z][a-z0-9_-]{0,62})\}")
_WORDS = {"log_status": STATUSES, "action": (*ACTIONS, "-")}


@dataclass(frozen=True)
class Layout:
    """The fields of a line, in order; ``stamped`` lines have the export task's time before them."""

    columns: tuple[str, ...]
    stamped: bool = False

    @cached_property
    def types(self) -> dict[str, pa.DataType]:
        """How each column is read: whole numbers, times as such, everything else text."""
        return {
            name: pa.int64()
            if name in FLOW_FIELDS and FLOW_FIELDS[name].type in NUMBERS
            else pa.string()
            for name in self.columns
        }

    @cached_property
    def narrow(self) -> dict[str, pa.DataType]:
        """The same, numbers no wider than their field can hold: quicker, and most need no check."""
        found = dict(self.types)
        for _, name in self.numbers:
            wide = pa.int32() if FLOW_FIELDS[name].type == "int32" else pa.int64()
            found[name] = NARROW.get(LIMITS.get(name, 0), wide)
        return found

    @cached_property
    def width(self) -> int:
        """Words in a line."""
        return len(self.columns) + self.stamped

    @cached_property
    def numbers(self) -> list[tuple[int, str]]:
        """Place in the line and name of the fields that hold numbers."""
        return [
            (place, name)
            for place, (name, kind) in enumerate(self.types.items(), self.stamped)
            if kind == pa.int64()
        ]

    def wrong(self, tokens: list[bytes]) -> str | None:
        """Why the words of a line cannot be a record of this layout, or None when they can."""
        if len(tokens) != self.width:
            return f"{len(tokens)} fields where the format has {self.width}"
        if self.stamped and not _STAMP.fullmatch(tokens[0]):
            return "no time before the record, where the other lines have one"
        for place, name in self.numbers:
            if not _NUMBER.fullmatch(tokens[place]):
                shown = tokens[place][:40].decode("utf-8", "backslashreplace")
                return f"{aws(name)} is not a number: {shown!r}"
        try:
            b" ".join(tokens).decode()
        except UnicodeDecodeError:
            return "bytes that are no text (invalid UTF-8)"
        if any(b"\0" in token for token in tokens):
            return "a NUL byte"
        return None

    def fits(self, tokens: list[bytes]) -> bool:
        """Whether the words of a line look like a record of this layout and of hardly another."""
        if self.wrong(tokens):
            return False
        for name, token in zip(self.columns, tokens[self.stamped :], strict=True):
            if name in _WORDS and token.decode() not in _WORDS[name]:
                return False
            if name in ADDRESSES and token != b"-" and b"." not in token and b":" not in token:
                return False
        return True


DEFAULT = Layout(DEFAULT_FORMAT)
_BUILT_IN = (DEFAULT, Layout(TRANSIT_GATEWAY_FORMAT))


@lru_cache(maxsize=64)  # thousands of files have the same
def header(line: bytes) -> Layout | None:
    """The layout that a header line names, or None when the line is no header.

    Names are AWS's, with hyphens or underscores; unknown ones are kept, as text.
    """
    tokens = line.removeprefix(MARK).split()
    if not tokens or not all(_NAME.fullmatch(token) for token in tokens):
        return None
    columns = named(token.decode() for token in tokens)
    return None if columns is None else Layout(columns)


def named(words: Iterable[str]) -> tuple[str, ...] | None:
    """Column names for the names of flow log fields, or None when most are no such names."""
    names = [word.lower().replace("-", "_") for word in words]
    known = sum(name in FLOW_FIELDS for name in names)
    if known < max(2, len(names) / 2) or len(set(names)) < len(names):
        return None
    # `source`, `line` and `item` are ours: a field of that name is kept under another.
    return tuple(f"field_{n}" if n in ("evidence_id", "line", "item") else n for n in names)


def from_format(text: str) -> tuple[str, ...]:
    """The fields of a flow log's format string, ``${version} ${account-id} …``.

    Raises InputError when ``text`` is none.
    """
    words = _VARIABLE.findall(text)
    if not words or _VARIABLE.sub("", text).strip():
        raise InputError(
            f"not a flow log format: {text[:80]!r}; give the LogFormat of the flow log, like"
            " '${version} ${account-id} ${interface-id} …'"
        )
    names = tuple(word.replace("-", "_") for word in words)
    if len(set(names)) < len(names):
        raise InputError("a flow log format that names a field twice")
    return tuple(f"field_{n}" if n in ("evidence_id", "line", "item") else n for n in names)


def known(formats: Iterable[tuple[str, ...]]) -> list[Layout]:
    """The layouts that a line without a header may have: those given, then AWS's own defaults."""
    return [*(Layout(columns) for columns in formats), *_BUILT_IN]


def choose(tokens: list[bytes], layouts: Iterable[Layout]) -> Layout | None:
    """The first of some layouts that a line's words fit, with the export task's time or without."""
    stamped = bool(tokens) and _STAMP.fullmatch(tokens[0]) is not None
    for layout in layouts:
        one = Layout(layout.columns, stamped) if layout.stamped != stamped else layout
        if one.fits(tokens):
            return one
    return None
