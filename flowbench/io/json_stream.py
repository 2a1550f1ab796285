"""JSON as it comes in files: one document, one value a line, or values run together.

Text is read as it is needed: memory holds a few megabytes, or one value where that is longer.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

LARGEST = 1 << 30  # characters of one value; a value cannot be read in pieces

_PIECE = 4 << 20  # characters read on at once
_CUT = 16  # a word, number or escape that the end of the text cut is shorter than this
_SPACE = re.compile(r"[ \t\r\n,\ufeff]*")
_NEXT_VALUE = re.compile(r"\n(?=[{\[])")


@dataclass(frozen=True)
class Broken:
    """What stood where a value should: the reason why it is none, and its bytes."""

    reason: str
    raw: bytes = b""


def values(pieces: Iterator[bytes]) -> Iterator[tuple[int, object]]:
    """Each value of a text with the line on which it starts; what is no JSON is Broken.

    A fault costs what follows up to the next line that opens a value.
    """
    text = _Text(pieces)
    decoder = json.JSONDecoder()
    while text.skip_space():
        try:
            value, end = decoder.raw_decode(text.held, text.place)
        except (ValueError, RecursionError) as error:
            if text.may_be_cut(error) and text.grow():
                continue
            following = _NEXT_VALUE.search(text.held, text.place)
            if following is None and text.grow():
                continue
            end = following.start() if following else len(text.held)
            raw = encode(text.held[text.place : end])
            yield text.line, Broken(text.told(error), raw)
            text.leave(end)
            if text.full:
                return
            continue
        if end == len(text.held) and not isinstance(value, dict | list) and text.grow():
            continue  # a number may go on
        yield text.line, value
        text.leave(end)


class _Text:
    """A text that is read on as needed: what is held of it, and the place reached in that."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.held = ""
        self.place = 0
        self.line = 1
        self.full = False  # more than LARGEST is held, and it does not end
        self._line_start = 0  # where in `held` the line of `place` starts; below 0: before it
        self._ended = False
        self._pieces = pieces
        # Bytes that are no UTF-8 become lone surrogates, so that they can be shown as they were.
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")

    def skip_space(self) -> bool:
        """Go to the next value; False when there is none."""
        while True:
            self.leave(self.place)
            if self.place < len(self.held):
                return True
            if not self.grow():
                return False

    def leave(self, end: int) -> None:
        """Leave behind what lies before ``end``, and the space after that."""
        place = _SPACE.match(self.held, end).end()  # type: ignore[union-attr]  # always matches
        if breaks := self.held.count("\n", self.place, place):
            self.line += breaks
            self._line_start = self.held.rfind("\n", self.place, place) + 1
        self.place = place

    def grow(self) -> bool:
        """Hold at least twice what is left, so that all retries together cost little more."""
        left = len(self.held) - self.place
        self.full = left > LARGEST
        if self._ended or self.full:
            return False
        parts, have = [self.held[self.place :]], 0
        while have < max(_PIECE, left) and not self._ended:
            piece = next(self._pieces, None)
            self._ended = piece is None
            parts.append(self._decoder.decode(piece or b"", final=self._ended))
            have += len(parts[-1])
        self._line_start -= self.place
        self.held, self.place = "".join(parts), 0
        return True

    def may_be_cut(self, error: Exception) -> bool:
        """Whether the text may only have ended too early for the value."""
        return isinstance(error, json.JSONDecodeError) and (
            error.pos >= len(self.held) - _CUT or error.msg.startswith("Unterminated")
        )

    def told(self, error: Exception) -> str:
        """The fault in words that a person understands."""
        if self.full:
            return f"a JSON value of more than {LARGEST >> 30} GB: split it into smaller ones"
        if isinstance(error, RecursionError):
            return "JSON nested too deeply to be evidence of any kind"
        if not isinstance(error, json.JSONDecodeError):
            return f"not JSON that can be read: {error}"
        if error.pos >= len(self.held.rstrip()) or error.msg.startswith("Unterminated"):
            return "the JSON ends early: the file was cut off"
        if error.pos == self.place:
            return "not JSON"
        breaks = self.held.count("\n", self.place, error.pos)
        start = self.held.rfind("\n", self.place, error.pos) + 1 if breaks else self._line_start
        return f"not JSON: {error.msg} at line {self.line + breaks}, column {error.pos - start + 1}"


def encode(text: str) -> bytes:
    """A text as the bytes it was read from, or in escapes where it can be none."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace")
