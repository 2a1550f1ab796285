"""Record formats: which field is where in a line, by header, format string or default."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import pyarrow as pa

from flowbench.errors import InputError
from flowbench.loaders.flowlogs import validate
from flowbench.loaders.flowlogs.column_names import (
    column_names,
    field_of,
    has_flow_columns,
    number_repeats,
    rename_reserved,
)
from flowbench.schema import DEFAULT_FORMAT, FLOW_FIELDS, TRANSIT_GATEWAY_FORMAT, VPC_FIELDS

_NAME = re.compile(rb"[a-zA-Z][a-zA-Z0-9_-]{0,62}")
_NUMBER = re.compile(rb"-|[0-9]{1,18}")
_TIMESTAMP = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")
_VARIABLE = re.compile(r"\$\{([a-z][a-z0-9_-]{0,62})\}")
_WORDS = {
    "log_status": validate.STATUSES,
    "action": (*validate.ACTIONS, "-"),
    "type": ("IPv4", "IPv6", "EFA", "-"),
    "flow_direction": ("ingress", "egress", "-"),
}


@dataclass(frozen=True)
class RecordFormat:
    """The fields of a line, in order.

    Attributes:
        columns: The columns for the fields; of a field that is there twice, the second is numbered
            (see ``column_names.number_repeats``).
        has_timestamp: Whether a timestamp comes before them, as in files of an export task of
            CloudWatch Logs.
    """

    columns: tuple[str, ...]
    has_timestamp: bool = False

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """The fields, each once."""
        return tuple(dict.fromkeys(map(field_of, self.columns)))

    @cached_property
    def types(self) -> dict[str, pa.DataType]:
        """How each column is read: numbers and times as integers, everything else as text."""
        return {
            name: pa.int64()
            if (field := field_of(name)) in FLOW_FIELDS
            and FLOW_FIELDS[field].type in validate.NUMBERS
            else pa.string()
            for name in self.columns
        }

    @cached_property
    def narrow_types(self) -> dict[str, pa.DataType]:
        """The same with the narrowest type for each number: quicker, and most need no check."""
        types = dict(self.types)
        for _, name in self.numbers:
            field = field_of(name)
            wide = pa.int32() if FLOW_FIELDS[field].type == "int32" else pa.int64()
            types[name] = validate.NARROW.get(validate.LIMITS.get(field, 0), wide)
        return types

    @cached_property
    def token_count(self) -> int:
        """Number of tokens in a line."""
        return len(self.columns) + self.has_timestamp

    @cached_property
    def numbers(self) -> list[tuple[int, str]]:
        """Index in the line and column of the fields that hold numbers."""
        return [
            (index, name)
            for index, (name, kind) in enumerate(self.types.items(), self.has_timestamp)
            if kind == pa.int64()
        ]

    def find_mismatch(self, tokens: list[bytes]) -> str | None:
        """Return why the tokens of a line cannot be a record of this format; None if they can."""
        if len(tokens) != self.token_count:
            return f"{len(tokens)} fields where the format has {self.token_count}"
        if self.has_timestamp and not _TIMESTAMP.fullmatch(tokens[0]):
            return "no time before the record, where the other lines have one"
        for index, name in self.numbers:
            if not _NUMBER.fullmatch(tokens[index]):
                shown = tokens[index][:40].decode("utf-8", "backslashreplace")
                return validate.not_a_number(name, shown)
        try:
            b" ".join(tokens).decode()
        except UnicodeDecodeError:
            return "bytes that are not text (invalid UTF-8)"
        if any(b"\0" in token for token in tokens):
            return "a NUL byte"
        return None

    def is_likely(self, tokens: list[bytes]) -> bool:
        """Whether the tokens of a line look like a record of this format and of hardly another."""
        if self.find_mismatch(tokens):
            return False
        for name, token in zip(self.columns, tokens[self.has_timestamp :], strict=True):
            if name in _WORDS and token.decode() not in _WORDS[name]:
                return False
            is_address = token == b"-" or b"." in token or b":" in token
            if name in validate.ADDRESSES and not is_address:
                return False
        return True


DEFAULT = RecordFormat(DEFAULT_FORMAT)
# Every field up to some version, in the order of AWS's table: flow logs with "all fields".
_VERSIONS = {name: field.version or 0 for name, field in VPC_FIELDS.items()}
_ALL_FIELDS = tuple(
    RecordFormat(tuple(name for name, version in _VERSIONS.items() if version <= highest))
    for highest in sorted(set(_VERSIONS.values()) - {2})
)
_BUILT_IN = (DEFAULT, RecordFormat(TRANSIT_GATEWAY_FORMAT), *_ALL_FIELDS)


@lru_cache(maxsize=64)  # thousands of files have the same
def parse_header(line: bytes) -> RecordFormat | None:
    """Return the format that a header line names, or None when the line is not a header.

    Names are AWS's or another tool's (see ``column_names``); unknown ones become columns of text.
    """
    tokens = line.removeprefix(codecs.BOM_UTF8).split()
    if not tokens or not all(_NAME.fullmatch(token) for token in tokens):
        return None
    columns = column_names(token.decode() for token in tokens)
    return RecordFormat(tuple(columns)) if has_flow_columns(columns) else None


def parse_format_string(text: str) -> tuple[str, ...]:
    """Return the columns for a flow log's format string, ``${version} ${account-id} …``.

    A field that it names twice is numbered, as by ``column_names.number_repeats``.

    Raises:
        InputError: The text is not a format string.
    """
    text = text.replace("$${", "${")  # as Terraform has it
    fields = _VARIABLE.findall(text)
    if not fields or _VARIABLE.sub("", text).strip():
        raise InputError(
            f"not a flow log format: {text[:80]!r}; give the LogFormat of the flow log, like"
            " '${version} ${account-id} ${interface-id} …'"
        )
    return tuple(number_repeats(rename_reserved(field.replace("-", "_")) for field in fields))


def known_formats(formats: Iterable[tuple[str, ...]] = ()) -> list[RecordFormat]:
    """Return the formats of lines without a header: those given, then AWS's defaults."""
    return [*(RecordFormat(columns) for columns in formats), *_BUILT_IN]


def choose_format(tokens: list[bytes], formats: Iterable[RecordFormat]) -> RecordFormat | None:
    """Return the first format that a line's tokens fit, with or without a timestamp first."""
    has_timestamp = bool(tokens) and _TIMESTAMP.fullmatch(tokens[0]) is not None
    for known in formats:
        candidate = known
        if known.has_timestamp != has_timestamp:
            candidate = RecordFormat(known.columns, has_timestamp)
        if candidate.is_likely(tokens):
            return candidate
    return None
