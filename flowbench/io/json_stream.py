"""A stream of JSON values: one document, one value a line, or values one after the other.

Text is read as it is needed. Memory holds a few megabytes, or one value where that is longer; long
documents that wrap a list of records are handed on in pieces. Invalid text affects only its own
value: the line, the element of the list, or the document.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from flowbench.io.json_text import JsonText, encode_text

__all__ = ["InvalidJson", "encode_text", "read_values"]

MAX_WHOLE = 8 << 20  # characters of a document that is handed on as a whole
MAX_PIECE = 1 << 20  # characters of the elements that are handed on together

# Lists of records, in documents that mean the same with a part of the list.
_LISTS = ("Records", "records", "Events", "events", "logEvents")
_MAX_GARBAGE = 64 << 10  # characters after a value that are looked at
_BLANK = re.compile(r"[ \t\r\n]*")
_IN_LINE = re.compile(r"[ \t\r,\ufeff]*")
_LINE_END = re.compile(r"\n")
_BRACKET_LINE = re.compile(r"\n(?=[{\[])")
_NEXT_IN_LINE = re.compile(r"\}[ \t\r]*(?=\{)|(?=\n)")
_NEXT_ELEMENT = re.compile(r"\}\s*,?\s*(?=\{)")
_NEXT_ELEMENT_IN_LINE = re.compile(r"\}[ \t\r]*,?[ \t\r]*(?=\{)|(?=\n)")


@dataclass(frozen=True)
class InvalidJson:
    """Bytes that are not a JSON value, and the reason why."""

    reason: str
    raw: bytes = b""


def read_values(chunks: Iterator[bytes]) -> Iterator[tuple[int, object]]:
    """Yield each JSON value of a text, in time that grows with its length.

    Documents of more than MAX_WHOLE characters that are a list, or have one of ``_LISTS``, come in
    pieces: several values with a part of the list each, and what stands before the list. So do
    documents with an invalid element.

    Invalid text ends with its line, or before the next object in it; if it began as a value of
    several lines, before the next line that starts with a bracket.

    Args:
        chunks: The text in UTF-8, in chunks of any size.

    Returns:
        The line on which the value starts, from 1, and the value; InvalidJson for invalid text.
    """
    text = JsonText(chunks)
    by_line = False  # whether the last line was a value, or several
    while not text.is_full and text.skip_space():
        line = text.line
        if text.is_hopeless:
            yield line, _read_line(text)
            continue
        try:
            value, length = text.decode(MAX_WHOLE)
        except (ValueError, RecursionError) as error:
            yield from _read_long_or_invalid(text, error, by_line=by_line)
            continue
        if text.char(length) != "\n" and (garbage := _find_garbage(text, value, length)):
            yield line, garbage
            continue
        yield line, value
        text.consume(length)
        if text.line > line:  # others may follow in the same line
            by_line = text.line == line + 1


def _read_long_or_invalid(
    text: JsonText, error: Exception, *, by_line: bool
) -> Iterator[tuple[int, object]]:
    """Yield a value that could not be decoded within MAX_WHOLE, in pieces or as invalid."""
    line, is_long = text.line, text.size > MAX_WHOLE
    reason, offset = text.describe(error), text.offset(error)
    if (found := _find_list(text, None if is_long else offset)) is not None:
        yield from _read_list(text, *found, by_line=by_line and not is_long)
        return
    if is_long:
        try:
            value, length = text.decode()
        except (ValueError, RecursionError) as late:
            reason, offset = text.describe(late), text.offset(late)
        else:
            yield line, value
            text.consume(length)
            return
    if text.is_full:
        yield line, InvalidJson(reason, text.take(None))
    else:
        yield line, InvalidJson(reason, text.take(_invalid_length(text, offset, by_line)))


def _read_line(text: JsonText) -> object:
    """Return the value that a whole line is, or the line as invalid, and pass it."""
    line_end = text.search(_LINE_END, 0)
    raw = text.take(line_end)
    try:
        return json.loads(raw.removesuffix(b",").decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError):
        return InvalidJson(
            "not JSON: the line is not a value; many lines before it are not either", raw
        )


def _find_garbage(text: JsonText, value: object, length: int) -> InvalidJson | None:
    """Return a line with something after its value that is no other value, and pass it."""
    if not isinstance(value, dict | list):
        return None
    if text.peek(_IN_LINE, length) in ("", "\n", "{", "["):
        return None
    line_end = text.search(_LINE_END, length, _MAX_GARBAGE)
    end = len(text.buffer) if line_end is None else text.position + line_end
    rest = text.buffer[text.position + length : end]
    if "{" in rest or "[" in rest or len(rest) > _MAX_GARBAGE:
        return None
    reason = f"not JSON: text after the value on line {text.line}: {rest.strip()[:40]!r}"
    return InvalidJson(reason, text.take(end - text.position))


def _invalid_length(text: JsonText, offset: int | None, by_line: bool) -> int | None:
    """Return the length of invalid text; None to the end of the file.

    Args:
        text: The text, at the start of what is invalid.
        offset: Where it is invalid, from there; None if that is not known.
        by_line: Whether the values before it had a line each.
    """
    line_end = text.search(_LINE_END, 0)
    if by_line or (offset is not None and (line_end is None or offset < line_end)):
        return text.search(_NEXT_IN_LINE, 1)
    return text.search(_BRACKET_LINE, 0)


# ---- lists in pieces ----------------------------------------------------------------------


def _find_list(text: JsonText, end: int | None) -> tuple[dict[str, object], str | None, int] | None:
    """Find the list of a document.

    Args:
        text: The text, at the start of the document.
        end: Where it is invalid; None if that is not known.

    Returns:
        What stands before the list, its name (None where the document is the list), and where its
        elements start. None for a document without one of ``_LISTS``.
    """
    if text.char(0) == "[":
        return {}, None, 1
    if end is not None and text.buffer.find("[", text.position, text.position + end) < 0:
        return None
    before: dict[str, object] = {}
    length = 0
    try:
        while text.char(length) == ("," if before else "{"):
            key, length = text.decode_at(_skip(text, length + 1))
            length = _skip(text, length)
            if not isinstance(key, str) or text.char(length) != ":":
                return None
            length = _skip(text, length + 1)
            if key in _LISTS and text.char(length) == "[":
                return before, key, length + 1
            before[key], length = text.decode_at(length)
            length = _skip(text, length)
    except (ValueError, RecursionError):
        return None
    return None


def _skip(text: JsonText, start: int) -> int:
    blank = _BLANK.match(text.buffer, text.position + start)
    return blank.end() - text.position  # type: ignore[union-attr]  # matches ""


def _read_list(
    text: JsonText, before: dict[str, object], name: str | None, start: int, *, by_line: bool
) -> Iterator[tuple[int, object]]:
    """Yield a document in pieces, from its list on; and its invalid elements.

    Args:
        text: The text, at the start of the document.
        before: What stands before the list.
        name: The name of the list; None where the document is the list.
        start: Where its elements start.
        by_line: Whether the document ends with its line.
    """
    first_line = text.line
    opening = encode_text(text.buffer[text.position : text.position + start])
    elements: list[object] = []
    size, is_opened = 0, False

    def take_piece() -> Iterator[tuple[int, object]]:
        nonlocal size, is_opened
        if elements:
            is_opened = True
            piece = elements.copy()
            yield first_line, piece if name is None else {**before, name: piece}
        elements.clear()
        size = 0

    text.consume(start)
    while text.skip_space() and not (by_line and text.line > first_line):
        if text.char(0) == "]":
            yield from take_piece()
            _pass_end(text, is_object=name is not None)
            return
        try:
            value, length = text.decode()
            after = text.peek(_BLANK, length)
            reason = "" if after in ",]" else f"not JSON: {after!r} after an element of a list"
        except (ValueError, RecursionError) as error:
            reason = text.describe(error)
        if not reason:
            elements.append(value)
            size += length
            text.consume(length)
            if size > MAX_PIECE:
                yield from take_piece()
            continue
        yield from take_piece()
        line = text.line
        raw, is_last = _take_element(text, is_in_line=line == first_line)
        yield line, InvalidJson(reason, raw if is_opened else opening + raw)
        is_opened = True
        if is_last or text.is_hopeless or text.is_full:
            return
    yield from take_piece()
    yield first_line, InvalidJson("the JSON ends early: a list is not closed", opening)


def _take_element(text: JsonText, *, is_in_line: bool) -> tuple[bytes, bool]:
    """Pass an invalid element of a list; return its bytes, and whether the list ends with it."""
    indent = text.before()
    if not is_in_line and not indent.strip():
        # The next line that is indented no more and starts an element or ends the list.
        opening = '{\\["' if text.char(0) == '"' else "{\\["
        pattern = re.compile(rf"\n(?=[ \t]{{0,{len(indent)}}}[{opening}\]])")
        return text.take(text.search(pattern, 0)).removesuffix(b","), False
    pattern = _NEXT_ELEMENT_IN_LINE if is_in_line else _NEXT_ELEMENT
    raw = text.take(text.search(pattern, 1))
    return raw.removesuffix(b","), not raw.endswith(b",")


def _pass_end(text: JsonText, *, is_object: bool) -> None:
    """Pass the bracket that ends a list, and the rest of the object that has it.

    What stands after the list is not needed to read it.
    """
    text.consume(1)
    while is_object and text.skip_space():
        if text.char(0) == "}":
            text.consume(1)
            return
        try:
            key, length = text.decode()
            if not isinstance(key, str) or text.peek(_BLANK, length) != ":":
                return
            text.consume(_skip(text, length) + 1)
            if not text.skip_space():
                return
            _, length = text.decode()
            text.consume(length)
        except (ValueError, RecursionError):
            return
