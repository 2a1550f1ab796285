"""Bytes of an evidence file: opened once, digested as they pass, decompressed, cut at line ends.

Nothing here knows what the lines mean. Memory is bounded whatever the file holds: a compressed
file is inflated piece by piece, and a line longer than LONGEST_LINE is counted, not kept.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BLOCK = 16 << 20  # bytes of whole lines parsed at once
LONGEST_LINE = 4 << 20  # no record of any kind read line by line comes near this
HEAD = 64 << 10  # what recognition gets to see

_PIECE = 1 << 20
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class Block:
    """Some whole lines, and the number of the first; or, with ``dropped``, the start of one line.

    ``dropped`` is the length in bytes of a line that was too long to keep.
    """

    first_line: int
    data: bytes
    dropped: int = 0


def digest(path: Path) -> tuple[str, int]:
    """SHA-256 (hex) and size in bytes of a file as it lies on disk."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return sha256, file.tell()


class Opened:
    """A file's decompressed bytes, read once from start to end.

    With ``size``, only that many bytes of the file are read: what a growing file gains is left.
    ``sha256`` and ``size`` are those of the file as it lies on disk, known when all was read.
    ``problem`` says what ended the reading early, if anything did.
    """

    def __init__(self, path: Path, size: int | None = None) -> None:
        self.path = path
        self._most = size
        self.problem: str | None = None
        self.compressed = False
        self.size = 0
        self._digest = hashlib.sha256()
        self._pieces = self._inflate(self._raw())
        self._ahead: list[bytes] = []

    @property
    def sha256(self) -> str:
        """Digest of the bytes read so far; of the file, once all are read."""
        return self._digest.hexdigest()

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

    def whole(self, limit: int) -> bytes | None:
        """All the bytes, or None when there are more than ``limit``."""
        parts, have = [], 0
        for piece in self.pieces():
            parts.append(piece)
            have += len(piece)
            if have > limit:
                return None
        return b"".join(parts)

    def drain(self) -> None:
        """Read on to the end, so that digest and size are those of the whole file."""
        for _ in self.pieces():
            pass

    def blocks(self) -> Iterator[Block]:
        """Whole lines in blocks of about BLOCK bytes, each with the number of its first line."""
        line, pending = 1, bytearray()
        long_line = 0  # length so far of a line that is too long to keep
        for piece in self.pieces():
            if long_line:
                end = piece.find(b"\n")
                if end < 0:
                    long_line += len(piece)
                    continue
                yield Block(line, bytes(pending), dropped=long_line + end)
                line, long_line = line + 1, 0
                pending = bytearray(piece[end + 1 :])
            else:
                pending += piece
            if len(pending) < BLOCK and len(pending) <= LONGEST_LINE:
                continue
            cut = pending.rfind(b"\n") + 1
            if cut and (len(pending) >= BLOCK or len(pending) - cut > LONGEST_LINE):
                data = bytes(pending[:cut])
                yield Block(line, data)
                line += data.count(b"\n")
                del pending[:cut]
            if len(pending) > LONGEST_LINE and b"\n" not in pending:
                long_line = len(pending)
                del pending[LONGEST_LINE >> 8 :]
        if long_line:
            yield Block(line, bytes(pending), dropped=long_line)
        elif pending:
            yield Block(line, bytes(pending))

    def _raw(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            while piece := file.read(
                _PIECE if self._most is None else min(_PIECE, self._most - self.size)
            ):
                self._digest.update(piece)
                self.size += len(piece)
                yield piece

    def _inflate(self, raw: Iterator[bytes]) -> Iterator[bytes]:
        first = next(raw, b"")
        if not first.startswith(_GZIP):
            if first:
                yield first
            yield from raw
            return
        self.compressed = True
        # Several gzip members may follow each other; each needs an inflater of its own.
        inflater, data, member = zlib.decompressobj(wbits=31), first, 1
        try:
            while True:
                out = inflater.decompress(data, _PIECE)
                if out:
                    yield out
                if inflater.eof:
                    data = (inflater.unused_data or next(raw, b"")).lstrip(b"\0")
                    while not data and (more := next(raw, b"")):
                        data = more.lstrip(b"\0")
                    if not data:
                        return
                    inflater, member = zlib.decompressobj(wbits=31), member + 1
                    continue
                data = inflater.unconsumed_tail
                if not data and len(out) < _PIECE:
                    data = next(raw, b"")
                    if not data:
                        self.problem = (
                            "the gzip data ends early: the file was cut off; what came before is"
                            " kept. Get the file again, or keep what there is"
                        )
                        return
        except zlib.error as error:
            where = f"in gzip member {member}" if member > 1 else "in the gzip data"
            self.problem = f"damaged {where} ({error}); what came before is kept"
            for _ in raw:  # the digest covers the whole file, damaged or not
                pass
