"""Bytes of an evidence file: opened once, digested as they pass, decompressed, cut at line ends.

Nothing here knows what the lines mean. Memory is bounded whatever the file holds: what is packed is
inflated piece by piece (see ``inflate``), and a line longer than LONGEST_LINE is counted, not kept.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

from flowbench.load.inflate import Inflated

BLOCK = 8 << 20  # bytes of whole lines parsed at once
LONGEST_LINE = 4 << 20  # no record of any kind read line by line comes near this
HEAD = 64 << 10  # what recognition gets to see

MOST_ASIDE = 256 << 30  # bytes that one archive may take while it is read
KEEP_FREE = 1 << 30  # bytes of the disk that are never taken for it

_PIECE = 1 << 20
_COUNTED = 64 << 10  # bytes in which line ends are counted at once: they stay in the cache


@dataclass(frozen=True)
class Block:
    """Some whole lines, and the number of the first; or, with ``dropped``, the start of one line.

    ``dropped`` is the length in bytes of a line that was too long to keep.
    """

    first_line: int
    data: bytes
    dropped: int = 0

    @cached_property
    def lines(self) -> int:
        """How many lines there are; the last may lack its end."""
        data = np.frombuffer(self.data, np.uint8)  # bytes.count is slower, and holds the GIL
        ends = sum(
            int(np.count_nonzero(data[place : place + _COUNTED] == ord("\n")))
            for place in range(0, len(data), _COUNTED)
        )
        return ends + (not self.data.endswith(b"\n"))


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


def digest(source: Path | Bytes) -> tuple[str, int]:
    """SHA-256 (hex) and size of the bytes as they lie there."""
    sha256, size = hashlib.sha256(), 0
    for piece in (OnDisk(source) if isinstance(source, Path) else source).pieces():
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
        held: list[bytes | memoryview] = []  # joined once a block: each byte is copied once
        tail = 0  # bytes after the last line end
        too_long = 0  # length so far of a line that is too long to keep; `held` has its start
        have = 0
        for piece in self.pieces():
            rest = piece
            if too_long:
                end = piece.find(b"\n")
                if end < 0:
                    too_long += len(piece)
                    continue
                yield Block(line, bytes(held[0]), dropped=too_long + end)
                line, too_long, rest = line + 1, 0, piece[end + 1 :]
                held, have, tail = [], 0, 0
            end = rest.rfind(b"\n") + 1
            if end and have + end >= BLOCK:
                block = Block(line, b"".join([*held, memoryview(rest)[:end]]))
                yield block
                line += block.lines
                held, have, rest = [], 0, rest[end:]
                tail = len(rest)
            else:
                tail = len(rest) - end if end else tail + len(rest)
            held.append(rest)
            have += len(rest)
            if tail > LONGEST_LINE:
                data = b"".join(held)
                if tail < have:
                    block = Block(line, data[: have - tail])
                    yield block
                    line += block.lines
                held, too_long = [data[have - tail :][: LONGEST_LINE >> 8]], tail
        if too_long:
            yield Block(line, bytes(held[0]), dropped=too_long)
        elif have:
            yield Block(line, b"".join(held))

    def _digested(self) -> Iterator[bytes]:
        for piece in self._source.pieces():
            self._digest.update(piece)
            self.size += len(piece)
            yield piece
