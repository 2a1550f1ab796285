"""A JSON text of any length in memory piece by piece, and the values in it decoded one by one."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator

MAX_VALUE = 1 << 30  # characters of one value, which is read as a whole

_CHUNK = 16 << 10  # characters read at once: the cost of an error is that of what is in memory
_MAX_TOKEN = 16  # characters of a word, number or escape that the end of the text may cut
_SPACES = " \t\r\n,\ufeff"
_SPACE = re.compile(r"[ \t\r\n,\ufeff]*")
_DECODER = json.JSONDecoder()
_MAX_FAILED = 1 << 20  # characters decoded without a value, beyond ten times those passed


class JsonText:
    """The part of a text that is in memory, and the position reached in it.

    Attributes:
        buffer: The part in memory.
        position: The position in it.
        line: The line of the position, from 1.
        is_full: Whether it holds more than MAX_VALUE of one value that does not end.
        is_hopeless: Whether too much was decoded without a value to continue in this way.
    """

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.buffer = ""
        self.position = 0
        self.line = 1
        self.is_full = False
        self.is_hopeless = False
        self._line_start = 0  # where the current line starts in `buffer`; below 0: before it
        self._ended = False
        self._chunks = _cut(chunks)
        self._passed = self._failed = 0  # characters
        # Invalid UTF-8 becomes lone surrogates, so that it can be shown as it was.
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")

    @property
    def size(self) -> int:
        """Characters in memory from the position on."""
        return len(self.buffer) - self.position

    def decode(self, limit: int = MAX_VALUE) -> tuple[object, int]:
        """Decode the value at the position; return it and its length.

        Args:
            limit: Characters beyond which no more text is read for it.

        Raises:
            ValueError: There is no value, or it is not whole within the limit.
            RecursionError: It is nested too deeply.
        """
        while True:
            try:
                value, end = _DECODER.raw_decode(self.buffer, self.position)
            except json.JSONDecodeError as error:
                is_cut = error.pos >= len(self.buffer) - _MAX_TOKEN
                if is_cut or error.msg.startswith("Unterminated"):
                    if self.size > limit:
                        raise
                    if self.grow():
                        continue
                self._note_failure(error.pos - self.position)
                raise
            except RecursionError:
                self._note_failure(_CHUNK)
                raise
            if end == len(self.buffer) and not isinstance(value, dict | list) and self.grow():
                continue  # a number may go on
            return value, end - self.position

    def decode_at(self, start: int) -> tuple[object, int]:
        """Decode the value at ``start`` from what is in memory; return it and where it ends."""
        value, end = _DECODER.raw_decode(self.buffer, self.position + start)
        return value, end - self.position

    def char(self, start: int) -> str:
        """Return the character at ``start``, "" beyond what is in memory."""
        return self.buffer[self.position + start : self.position + start + 1]

    def skip_space(self) -> bool:
        """Go to the next value; return False when there is none."""
        while self.char(0) in _SPACES:  # also at the end
            self.consume(0)
            if not self.size and not self.grow():
                return False
        return True

    def consume(self, length: int) -> None:
        """Go on by ``length``, and beyond the space that follows."""
        position = _SPACE.match(self.buffer, self.position + length).end()  # type: ignore[union-attr]  # matches ""
        if (last := self.buffer.rfind("\n", self.position, position)) >= 0:
            self.line += self.buffer.count("\n", self.position, last) + 1
            self._line_start = last + 1
        self._passed += position - self.position
        self.position = position
        if position > 2 * _CHUNK:  # the cost of an error is that of the text before it
            self._drop_passed()

    def take(self, length: int | None) -> bytes:
        """Go on by ``length``, or past all that is in memory; return what was passed, in bytes."""
        length = self.size if length is None else length
        raw = encode_text(self.buffer[self.position : self.position + length].rstrip())
        self.consume(length)
        self._note_failure(0)
        return raw

    def search(self, pattern: re.Pattern[str], start: int, limit: int = MAX_VALUE) -> int | None:
        """Find a pattern from ``start`` on, reading on for it; both count from the position.

        Returns:
            Where the match ends; None where there is none, or none within the limit.
        """
        while not (found := pattern.search(self.buffer, self.position + start)):
            # A match may begin a few characters before the end of what was there.
            start = max(start, self.size - _MAX_TOKEN)
            if start > limit or not self.grow():
                return None
        return found.end() - self.position

    def peek(self, pattern: re.Pattern[str], start: int) -> str:
        """Return the character after a pattern that matches at ``start``; "" at the end."""
        while (end := pattern.match(self.buffer, self.position + start).end()) == len(self.buffer):  # type: ignore[union-attr]
            if not self.grow():
                return ""
        return self.buffer[end]

    def grow(self) -> bool:
        """Read on to at least twice what is left, so that all retries together stay cheap."""
        left = self.size
        self.is_full = self.is_full or left > MAX_VALUE
        if self._ended or self.is_full:
            return False
        self._drop_passed()
        parts, size = [self.buffer], 0
        while size < max(_CHUNK, left) and not self._ended:
            chunk = next(self._chunks, None)
            self._ended = chunk is None
            parts.append(self._decoder.decode(chunk or b"", final=self._ended))
            size += len(parts[-1])
        self.buffer = "".join(parts)
        return True

    def describe(self, error: Exception) -> str:
        """Describe an error and its position; to be called before more text is read."""
        if self.is_full:
            return f"a JSON value of more than {MAX_VALUE >> 30} GB: split it into smaller ones"
        if isinstance(error, RecursionError):
            return "JSON nested too deeply to be evidence of any kind"
        if not isinstance(error, json.JSONDecodeError):
            return f"not JSON that can be read: {error}"
        at_end = _SPACE.match(self.buffer, error.pos).end() == len(self.buffer)  # type: ignore[union-attr]
        is_open = error.msg.startswith("Unterminated") and "\n" not in self.buffer[error.pos :]
        if self._ended and (at_end or is_open):
            return "the JSON ends early: the file was cut off"
        if error.pos == self.position:
            return "not JSON"
        breaks = self.buffer.count("\n", self.position, error.pos)
        start = (
            self.buffer.rfind("\n", self.position, error.pos) + 1 if breaks else self._line_start
        )
        return f"not JSON: {error.msg} at line {self.line + breaks}, column {error.pos - start + 1}"

    def offset(self, error: Exception) -> int | None:
        """Return where an error is, from the position; None where that is not known."""
        return error.pos - self.position if isinstance(error, json.JSONDecodeError) else None

    def before(self) -> str:
        """Return what comes before the position in its line, as far as it is in memory."""
        return self.buffer[max(0, self._line_start) : self.position]

    def _note_failure(self, characters: int) -> None:
        self._failed += characters
        self.is_hopeless = self._failed > 10 * self._passed + _MAX_FAILED

    def _drop_passed(self) -> None:
        self._line_start -= self.position
        self.buffer, self.position = self.buffer[self.position :], 0


def encode_text(text: str) -> bytes:
    """Return the bytes from which a text was decoded, with escapes for what has none."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace")


def _cut(chunks: Iterator[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        for start in range(0, len(chunk), _CHUNK):
            yield chunk[start : start + _CHUNK]
