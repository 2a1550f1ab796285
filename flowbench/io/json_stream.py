"""A stream of JSON values: one document, one value a line, or values one after the other.

Text is read as it is needed: memory holds a few megabytes, or one value where that is longer.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_VALUE = 1 << 30  # characters of one value, which is read as a whole

_CHUNK = 4 << 20  # characters read at once
_MAX_TOKEN = 16  # characters of a word, number or escape that the end of the text may cut
_SPACE = re.compile(r"[ \t\r\n,\ufeff]*")
_NEXT_VALUE = re.compile(r"\n(?=[{\[])")


@dataclass(frozen=True)
class InvalidJson:
    """Bytes that are not a JSON value, and the reason why."""

    reason: str
    raw: bytes = b""


def read_values(chunks: Iterator[bytes]) -> Iterator[tuple[int, object]]:
    """Yield each JSON value of a text.

    Invalid text is skipped up to the next line that starts with an opening bracket.

    Args:
        chunks: The text in UTF-8, in chunks of any size.

    Returns:
        The line on which the value starts, from 1, and the value; InvalidJson for invalid text.
    """
    text = _TextBuffer(chunks)
    decoder = json.JSONDecoder()
    while text.skip_space():
        try:
            value, end = decoder.raw_decode(text.buffer, text.position)
        except (ValueError, RecursionError) as error:
            if text.may_be_incomplete(error) and text.grow():
                continue
            following = _NEXT_VALUE.search(text.buffer, text.position)
            if following is None and text.grow():
                continue
            end = following.start() if following else len(text.buffer)
            raw = encode_text(text.buffer[text.position : end])
            yield text.line, InvalidJson(text.describe(error), raw)
            text.consume(end)
            if text.is_full:
                return
            continue
        if end == len(text.buffer) and not isinstance(value, dict | list) and text.grow():
            continue  # a number may go on
        yield text.line, value
        text.consume(end)


class _TextBuffer:
    """The part of a text that is in memory, and the position reached in it."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.buffer = ""
        self.position = 0
        self.line = 1
        self.is_full = False  # it holds more than MAX_VALUE of one value that does not end
        self._line_start = 0  # where the current line starts in `buffer`; below 0: before it
        self._ended = False
        self._chunks = chunks
        # Invalid UTF-8 becomes lone surrogates, so that it can be shown as it was.
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")

    def skip_space(self) -> bool:
        """Go to the next value; return False when there is none."""
        while True:
            self.consume(self.position)
            if self.position < len(self.buffer):
                return True
            if not self.grow():
                return False

    def consume(self, end: int) -> None:
        """Go to ``end``, and beyond the space that follows it."""
        position = _SPACE.match(self.buffer, end).end()  # type: ignore[union-attr]  # matches ""
        if breaks := self.buffer.count("\n", self.position, position):
            self.line += breaks
            self._line_start = self.buffer.rfind("\n", self.position, position) + 1
        self.position = position

    def grow(self) -> bool:
        """Read on to at least twice what is left, so that all retries together stay cheap."""
        left = len(self.buffer) - self.position
        self.is_full = left > MAX_VALUE
        if self._ended or self.is_full:
            return False
        parts, size = [self.buffer[self.position :]], 0
        while size < max(_CHUNK, left) and not self._ended:
            chunk = next(self._chunks, None)
            self._ended = chunk is None
            parts.append(self._decoder.decode(chunk or b"", final=self._ended))
            size += len(parts[-1])
        self._line_start -= self.position
        self.buffer, self.position = "".join(parts), 0
        return True

    def may_be_incomplete(self, error: Exception) -> bool:
        """Whether the value may only need more text."""
        return isinstance(error, json.JSONDecodeError) and (
            error.pos >= len(self.buffer) - _MAX_TOKEN or error.msg.startswith("Unterminated")
        )

    def describe(self, error: Exception) -> str:
        """Say what is wrong, and where."""
        if self.is_full:
            return f"a JSON value of more than {MAX_VALUE >> 30} GB: split it into smaller ones"
        if isinstance(error, RecursionError):
            return "JSON nested too deeply to be evidence of any kind"
        if not isinstance(error, json.JSONDecodeError):
            return f"not JSON that can be read: {error}"
        if error.pos >= len(self.buffer.rstrip()) or error.msg.startswith("Unterminated"):
            return "the JSON ends early: the file was cut off"
        if error.pos == self.position:
            return "not JSON"
        breaks = self.buffer.count("\n", self.position, error.pos)
        start = (
            self.buffer.rfind("\n", self.position, error.pos) + 1 if breaks else self._line_start
        )
        return f"not JSON: {error.msg} at line {self.line + breaks}, column {error.pos - start + 1}"


def encode_text(text: str) -> bytes:
    """Return the bytes from which a text was decoded, with escapes for what has none."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace")
