"""Bytes of an evidence file: opened once, digested as they pass, decompressed, cut at line ends.

Nothing here knows what the lines mean. Memory is bounded whatever the file holds: what is packed is
inflated piece by piece (see ``inflate``), and a line longer than LONGEST_LINE is counted, not kept.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

from flowbench.io.decompress import Inflated

BLOCK = 8 << 20  # bytes of whole lines parsed at once
LONGEST_LINE = 4 << 20  # no record of any kind read line by line comes near this
HEAD = 64 << 10  # what recognition gets to see

MOST_ASIDE = 256 << 30  # bytes that one archive may take while it is read
KEEP_FREE = 1 << 30  # bytes of the disk that are never taken for it

_PIECE = 1 << 20
_SPARE = 4  # large blocks whose memory a thread keeps
_KEPT = threading.local()
_COUNTED = 64 << 10  # bytes in which line ends are counted at once: they stay in the cache


@dataclass
class Block:
    """Some whole lines, and the number of the first; or, with ``dropped``, the start of one line.

    ``dropped`` is the length in bytes of a line that was too long to keep.
    """

    first_line: int
    view: memoryview
    dropped: int = 0
    returns: bool = True  # whether there may be carriage returns, which some take for line ends

    @cached_property
    def data(self) -> bytes:
        """The lines as bytes of their own; ``view`` costs no copy."""
        return bytes(self.view)

    @cached_property
    def lines(self) -> int:
        """How many lines there are; the last may lack its end.

        Whoever has parsed them may set it: then they need not be counted.
        """
        data = np.frombuffer(self.view, np.uint8)  # bytes.count is slower, and holds the GIL
        ends = sum(
            int(np.count_nonzero(data[place : place + _COUNTED] == ord("\n")))
            for place in range(0, len(data), _COUNTED)
        )
        return ends + (bytes(self.view[-1:]) != b"\n")


class Bytes(Protocol):
    """Bytes as they lie somewhere: in a file, or in an archive."""

    @property
    def problem(self) -> str | None:
        """What was wrong with them, as far as they were read."""

    @property
    def folder(self) -> Path | None:
        """Where they may be unpacked; None: where TMPDIR says."""

    def pieces(self) -> Iterator[bytes]:
        """The bytes from first to last."""

    def file(self) -> BinaryIO | None:
        """The same as a file to seek in, or None when they do not lie in one piece anywhere."""


class OnDisk:
    """The bytes of a file; with ``size`` only so many: what a growing file gains is left."""

    problem: str | None = None

    def __init__(self, path: Path, size: int | None = None, *, folder: Path | None = None) -> None:
        self.path = path
        self.folder = folder
        self._most = size

    def pieces(self) -> Iterator[bytes]:
        """The bytes from first to last."""
        left = self._most
        with self.path.open("rb", buffering=0) as file:
            while piece := file.read(_PIECE if left is None else min(_PIECE, left)):
                left = None if left is None else left - len(piece)
                yield piece

    def file(self) -> BinaryIO:
        """The file itself."""
        return self.path.open("rb")


class InMemory:
    """Bytes that were read already."""

    problem: str | None = None
    folder: Path | None = None

    def __init__(self, data: bytes) -> None:
        self._data = data

    def pieces(self) -> Iterator[bytes]:
        """All the bytes."""
        yield self._data

    def file(self) -> BinaryIO:
        """The same as a file."""
        return io.BytesIO(self._data)


def digest(source: Path | Bytes, stop: threading.Event | None = None) -> tuple[str, int]:
    """SHA-256 (hex) and size of the bytes as they lie there.

    Raises InterruptedError soon after ``stop`` is set: some files take minutes.
    """
    sha256, size = hashlib.sha256(), 0
    for piece in (OnDisk(source) if isinstance(source, Path) else source).pieces():
        if stop is not None and stop.is_set():
            raise InterruptedError
        sha256.update(piece)
        size += len(piece)
    return sha256.hexdigest(), size


class TooLargeError(Exception):
    """What should be unpacked aside needs more room than there is; the message names the remedy."""


def spooled(pieces: Iterator[bytes], folder: Path | None, most: int) -> BinaryIO:
    """Bytes in a temporary file of no name, gone when it is closed, however the program ends.

    It lies in ``folder``, or where TMPDIR says. Raises TooLargeError rather than fill the disk.
    """
    place = folder or Path(tempfile.gettempdir())
    file = tempfile.TemporaryFile(dir=place)  # noqa: SIM115  # the caller closes it
    try:
        size = looked = 0
        for piece in pieces:
            size += len(piece)
            if size > looked:  # others fill the disk too: look again now and then
                looked = size + (KEEP_FREE >> 3)
                if size > most or shutil.disk_usage(place).free < KEEP_FREE:
                    raise TooLargeError(
                        f"unpacked it takes more than {size / 1e9:.1f} GB, and is not read: at most"
                        f" {most / 1e9:.0f} GB are, and {KEEP_FREE / 1e9:.0f} GB of the disk stay"
                        " free. Unpack it where there is room and load the folder"
                    )
            file.write(piece)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


class Opened:
    """The text in a file, decompressed, read once from start to end; or its bytes (``text`` off).

    ``sha256`` and ``size`` are those of the bytes as they lie there, known when all was read.
    ``problem`` says what ended the reading early, if anything did.
    """

    def __init__(self, source: Path | Bytes, size: int | None = None, *, text: bool = True) -> None:
        self._source = OnDisk(source, size) if isinstance(source, Path) else source
        self.size = 0
        self._digest = hashlib.sha256()
        self._raw = self._digested()
        self._inflated = Inflated(self._raw)
        self._pieces = self._inflated.text() if text else self._inflated.pieces()
        self._ahead: list[bytes] = []

    @property
    def sha256(self) -> str:
        """Digest of the bytes read so far; of the file, once all are read."""
        return self._digest.hexdigest()

    @property
    def problem(self) -> str | None:
        """What ended the reading early, or was wrong with the bytes, as far as they were read."""
        return self._source.problem or self._inflated.problem

    @property
    def compressed(self) -> bool:
        """Whether the bytes were packed; known with the first of them."""
        return bool(self._inflated.codecs)

    def head(self) -> bytes:
        """The first HEAD bytes, without using them up."""
        have = sum(map(len, self._ahead))
        while have < HEAD and (piece := next(self._pieces, b"")):
            self._ahead.append(piece)
            have += len(piece)
        return b"".join(self._ahead)[:HEAD]

    def pieces(self) -> Iterator[bytes]:
        """The decompressed bytes, in pieces of no particular size."""
        yield from self._ahead
        self._ahead.clear()
        yield from self._pieces
        self.drain()

    def whole(self, limit: int) -> bytes | None:
        """All the bytes, or None when there are more than ``limit``."""
        parts, have = [], 0
        for piece in self.pieces():
            parts.append(piece)
            have += len(piece)
            if have > limit:
                return None
        return b"".join(parts)

    def file(self, most: int | None = None) -> BinaryIO:
        """The decompressed bytes as a file to seek in; close it.

        What is packed is unpacked aside, if it has no more than ``most`` bytes.

        Nothing else may have been read but the head. Raises TooLargeError.
        """
        if not self.compressed and (file := self._source.file()):
            return file
        return spooled(self.pieces(), self._source.folder, most or MOST_ASIDE)

    def drain(self) -> None:
        """Read on to the end, so that digest and size are those of the whole file."""
        for _ in self._raw:
            pass

    def blocks(self) -> Iterator[Block]:
        """Whole lines in blocks of about BLOCK bytes, each with the number of its first line."""
        line = 1
        held = _Gathered()
        tail = 0  # bytes after the last line end
        too_long = 0  # length so far of a line that is too long to keep; `held` has its start
        for piece in self.pieces():
            rest = memoryview(piece)
            if too_long:
                end = piece.find(b"\n") + 1
                if not end:
                    too_long += len(piece)
                    continue
                yield Block(line, held.take(held.size), too_long + end - 1)
                line, too_long, tail, rest = line + 1, 0, 0, rest[end:]
            end = max(piece.rfind(b"\n") + 1 - (len(piece) - len(rest)), 0)
            held.returns = held.returns or b"\r" in piece
            if end and held.size + end >= BLOCK:
                held.add(rest[:end])
                block = held.block(line, held.size)
                yield block
                line += block.lines
                held.returns = b"\r" in piece
                rest = rest[end:]
                tail = len(rest)
            else:
                tail = len(rest) - end if end else tail + len(rest)
            held.add(rest)
            if tail > LONGEST_LINE:
                if tail < held.size:
                    block = held.block(line, held.size - tail)
                    yield block
                    line += block.lines
                held.cut(LONGEST_LINE >> 8)
                too_long = tail
        if too_long:
            yield Block(line, held.take(held.size), too_long)
        elif held.size:
            yield held.block(line, held.size)

    def _digested(self) -> Iterator[bytes]:
        for piece in self._source.pieces():
            self._digest.update(piece)
            self.size += len(piece)
            yield piece


class _Gathered:
    """Bytes that come piece by piece and go block by block, in memory that is used again.

    New memory costs more than the copy into it, so a thread keeps that of the last large blocks,
    for the next blocks and for the next file. What was taken stays as it is while anybody looks at
    it: memory is used again when nobody does.
    """

    def __init__(self) -> None:
        self.size = 0
        self.returns = False  # whether there may be carriage returns
        self._now = bytearray()  # the first ``size`` bytes count; what follows is old
        self._spare: list[bytearray] = _KEPT.__dict__.setdefault("spare", [])

    def add(self, piece: memoryview) -> None:
        """Bytes after those that are there."""
        size = self.size + len(piece)
        if size > len(self._now):
            old, self._now = self._now, self._room(size)
            self._now[: self.size] = old[: self.size]
        with memoryview(self._now) as room:
            room[self.size : size] = piece
        self.size = size

    def block(self, first_line: int, size: int) -> Block:
        """The first so many bytes as a block; the others stay."""
        return Block(first_line, self.take(size), returns=self.returns)

    def take(self, size: int) -> memoryview:
        """The first so many bytes; the others stay."""
        taken = memoryview(self._now).toreadonly()
        left = taken[size : self.size]
        if len(self._now) >= BLOCK:
            self._spare.append(self._now)
            del self._spare[:-_SPARE]
        self._now, self.size = bytearray(), 0
        self.add(left)
        return taken[:size]

    def cut(self, size: int) -> None:
        """Keep only the first so many bytes."""
        self.size = min(self.size, size)

    def _room(self, size: int) -> bytearray:
        """Memory for so many bytes and some more: what is there and not looked at, or new."""
        if size < BLOCK >> 4:
            return bytearray(size)
        for place, buffer in enumerate(self._spare):
            if len(buffer) >= size:
                with suppress(BufferError):
                    buffer.pop()  # refused while anybody looks at it
                    return self._spare.pop(place)
        return bytearray(max(size, min(2 * size, BLOCK + (BLOCK >> 3))))
