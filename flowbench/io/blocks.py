"""Text cut at line ends into blocks of whole lines, with line numbers.

Memory is bounded whatever the text holds: a line longer than MAX_LINE is measured, not kept.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

import numpy as np

BLOCK_SIZE = 8 << 20  # bytes of whole lines parsed at once
MAX_LINE = 4 << 20  # bytes; no record of any kind that is read by line comes near this

_SPARE_BUFFERS = 4  # large buffers that a thread keeps
_THREAD = threading.local()
_COUNTED_AT_ONCE = 64 << 10  # bytes in which line ends are counted at once: they fit the cache


@dataclass
class Block:
    """Whole lines and the number of the first; or the start of one line that is too long.

    Attributes:
        first_line: Number of the first line, from 1.
        view: The lines.
        oversized: Length in bytes of a line that is too long to keep, of which ``view`` has the
            start; 0 for a block of whole lines.
        may_have_returns: Whether there may be carriage returns, which some parsers take for line
            ends.
    """

    first_line: int
    view: memoryview
    oversized: int = 0
    may_have_returns: bool = True

    @cached_property
    def data(self) -> bytes:
        """A copy of the lines as bytes; ``view`` costs no copy."""
        return bytes(self.view)

    @cached_property
    def lines(self) -> list[bytes]:
        """The lines without their line feeds; empty after the last line feed."""
        return self.data.split(b"\n")

    def line(self, number: int) -> bytes:
        """Return a line by its number in the file."""
        return self.lines[number - self.first_line]

    @cached_property
    def line_count(self) -> int:
        """How many lines there are; the last may lack its line end.

        Code that has parsed the lines may set this, so that they need not be counted.
        """
        data = np.frombuffer(self.view, np.uint8)  # bytes.count is slower, and holds the GIL
        ends = sum(
            int(np.count_nonzero(data[start : start + _COUNTED_AT_ONCE] == ord("\n")))
            for start in range(0, len(data), _COUNTED_AT_ONCE)
        )
        return ends + (bytes(self.view[-1:]) != b"\n")


def cut_blocks(chunks: Iterator[bytes]) -> Iterator[Block]:
    """Yield whole lines in blocks of about BLOCK_SIZE bytes."""
    line = 1
    buffer = _BlockBuffer()
    tail = 0  # bytes after the last line end
    oversized = 0  # length so far of a line that is too long to keep; the buffer has its start
    for chunk in chunks:
        rest = memoryview(chunk)
        if oversized:
            end = chunk.find(b"\n") + 1
            if not end:
                oversized += len(chunk)
                continue
            yield Block(line, buffer.take(buffer.size), oversized + end - 1)
            line, oversized, tail, rest = line + 1, 0, 0, rest[end:]
        end = max(chunk.rfind(b"\n") + 1 - (len(chunk) - len(rest)), 0)
        buffer.may_have_returns = buffer.may_have_returns or b"\r" in chunk
        if end and buffer.size + end >= BLOCK_SIZE:
            buffer.add(rest[:end])
            block = buffer.take_block(line, buffer.size)
            yield block
            line += block.line_count
            buffer.may_have_returns = b"\r" in chunk
            rest = rest[end:]
            tail = len(rest)
        else:
            tail = len(rest) - end if end else tail + len(rest)
        buffer.add(rest)
        if tail > MAX_LINE:
            if tail < buffer.size:
                block = buffer.take_block(line, buffer.size - tail)
                yield block
                line += block.line_count
            buffer.truncate(MAX_LINE >> 8)
            oversized = tail
    if oversized:
        yield Block(line, buffer.take(buffer.size), oversized)
    elif buffer.size:
        yield buffer.take_block(line, buffer.size)


class _BlockBuffer:
    """Bytes that arrive in chunks and leave in blocks, in memory that is used again.

    To allocate memory costs more than to copy into it, so a thread keeps the last large buffers
    for the next blocks and the next file. A buffer is used again only when no view of it is left,
    so what was taken never changes.
    """

    def __init__(self) -> None:
        self.size = 0
        self.may_have_returns = False
        self._buffer = bytearray()  # the first ``size`` bytes are valid; the rest is old
        self._spare: list[bytearray] = _THREAD.__dict__.setdefault("spare", [])

    def add(self, chunk: memoryview) -> None:
        """Append bytes."""
        size = self.size + len(chunk)
        if size > len(self._buffer):
            old, self._buffer = self._buffer, self._allocate(size)
            self._buffer[: self.size] = old[: self.size]
        with memoryview(self._buffer) as view:
            view[self.size : size] = chunk
        self.size = size

    def take_block(self, first_line: int, size: int) -> Block:
        """Take the first ``size`` bytes as a block; the others stay."""
        return Block(first_line, self.take(size), may_have_returns=self.may_have_returns)

    def take(self, size: int) -> memoryview:
        """Take the first ``size`` bytes; the others stay."""
        taken = memoryview(self._buffer).toreadonly()
        left = taken[size : self.size]
        if len(self._buffer) >= BLOCK_SIZE:
            self._spare.append(self._buffer)
            del self._spare[:-_SPARE_BUFFERS]
        self._buffer, self.size = bytearray(), 0
        self.add(left)
        return taken[:size]

    def truncate(self, size: int) -> None:
        """Keep only the first ``size`` bytes."""
        self.size = min(self.size, size)

    def _allocate(self, size: int) -> bytearray:
        """Return a buffer of at least ``size`` bytes: new, or a spare one without views."""
        if size < BLOCK_SIZE >> 4:
            return bytearray(size)
        for index, buffer in enumerate(self._spare):
            if len(buffer) > size:
                with suppress(BufferError):
                    buffer.pop()  # takes a byte, or raises while a view of the buffer exists
                    return self._spare.pop(index)
        return bytearray(max(size, min(2 * size, BLOCK_SIZE + (BLOCK_SIZE >> 3))))
