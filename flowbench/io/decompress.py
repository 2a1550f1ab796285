"""Packed bytes to the text inside: gzip, bzip2, xz, zstd, however nested; UTF-16 to UTF-8.

Memory is bounded whatever the bytes hold: nothing is inflated further than one piece at a time.
"""

from __future__ import annotations

import bz2
import codecs
import lzma
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

from isal import igzip_lib

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PIECE = 256 << 10  # bytes inflated at once: as many as fit a processor's cache
DEEPEST = 3  # compressions inside each other; more is no way to keep a log

_BITE = 64 << 10  # packed bytes given at once: what a small member leaves of them is copied
_HEADER = 4 << 10  # bytes that hold any gzip header but one made to be longer
_SALVAGE = 4 * _BITE  # a damaged member of up to this size gives every byte before the damage
_XZ_MEMORY = 256 << 20  # bytes an xz file may ask for, twice what `xz -9` needs
_ERRORS: tuple[type[Exception], ...] = (
    *(OSError, ValueError, EOFError, lzma.LZMAError, zstd.ZstdError),
    igzip_lib.error,  # type: ignore[assignment]  # declared as an instance
)
_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is the start of it
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class Decompressor(Protocol):
    """What bz2, lzma, zstd and isal have in common: one member, frame or stream."""

    @property
    def eof(self) -> bool:
        """Whether the member is at its end."""

    @property
    def needs_input(self) -> bool:
        """Whether nothing more comes out before more is put in."""

    @property
    def unused_data(self) -> bytes:
        """What came after the end of the member."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Up to ``max_length`` bytes more."""


@dataclass(frozen=True)
class Codec:
    """A compression: its name, how its data starts, and what unpacks one member of it."""

    name: str
    start: re.Pattern[bytes]
    new: Callable[[], Decompressor]


CODECS = (
    # isal unpacks at four times zlib's speed, and this is where loading spends its time.
    Codec(
        "gzip",
        re.compile(rb"\x1f\x8b"),
        lambda: igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_GZIP),
    ),
    Codec("bzip2", re.compile(rb"BZh[1-9](1AY&SY|\x17\x72\x45\x38\x50\x90)"), bz2.BZ2Decompressor),
    Codec(
        "zstd",
        re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),  # a frame, or one to skip
        zstd.ZstdDecompressor,
    ),
    Codec(
        "xz",
        re.compile(rb"\xfd7zXZ\0"),
        lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY),
    ),
)


class Inflated:
    """The bytes inside some bytes: every compression undone.

    Members, frames or streams that follow each other are one text. ``codecs`` names the
    compressions, outermost first; ``problem`` says what ended the reading early, if anything did.
    Both are known when the first piece has come, and the last.
    """

    def __init__(self, raw: Iterator[bytes]) -> None:
        self.codecs: list[str] = []
        self.problem: str | None = None
        self._raw = raw

    def pieces(self) -> Iterator[bytes]:
        """The bytes inside, in pieces of no particular size."""
        pieces = self._raw
        while True:
            start, pieces = _peek(pieces, 10)
            codec = next((codec for codec in CODECS if codec.start.match(start)), None)
            if codec is None:
                break
            if len(self.codecs) == DEEPEST:
                self.problem = f"compressed more than {DEEPEST} times over: unpack it"
                break
            self.codecs.append(codec.name)
            pieces = self.inflate(codec, pieces)
        yield from pieces

    def text(self) -> Iterator[bytes]:
        """The same, with text in other Unicode recoded to UTF-8."""
        start, pieces = _peek(self.pieces(), 4)
        encoding = next((name for bom, name in _BOMS if start.startswith(bom)), None)
        if encoding is None:
            yield from pieces
            return
        # A half character becomes bytes that are no UTF-8, so that its line is refused, not bent.
        decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
        try:
            for piece in pieces:
                if text := decoder.decode(piece):
                    yield text.encode("utf-8", "surrogatepass")
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            name = encoding.upper()
            self.problem = f"damaged {name} text ({error.reason}); what came before is kept"

    def inflate(self, codec: Codec, raw: Iterator[bytes]) -> Iterator[bytes]:
        """What members of one compression hold, one after the other."""
        bites = (bytes(p[i : i + _BITE]) for p in raw for i in range(0, len(p), _BITE))
        data = _enough(b"", bites)
        inflater, member, given, fed = codec.new(), 1, 0, data
        while True:
            try:
                out = inflater.decompress(data, PIECE)
            except _ERRORS as error:
                if len(fed) < _SALVAGE and (rest := _until_it_breaks(codec, fed, given)):
                    yield rest
                where = f"in {codec.name} member {member}" if member > 1 else f"{codec.name} data"
                self.problem = f"damaged {where} ({error}); what came before is kept"
                return
            if out:
                given += len(out)
                yield out
            if inflater.eof:
                data = inflater.unused_data.lstrip(b"\0")  # tapes and block devices pad with it
                while not data:
                    if (more := next(bites, None)) is None:
                        return
                    data = more.lstrip(b"\0")
                data = _enough(data, bites)
                if not codec.start.match(data):
                    self.problem = (
                        f"after {codec.name} member {member} something else follows, which is left"
                    )
                    return
                inflater, member, given, fed = codec.new(), member + 1, 0, data
            elif not inflater.needs_input:
                data = b""
            elif data := next(bites, b""):
                fed = fed + data if len(fed) < _SALVAGE else fed
            else:
                self.problem = (
                    f"the {codec.name} data ends early: the file was cut off; what came before is"
                    " kept. Get the file again, or keep what there is"
                )
                return


def _peek(pieces: Iterator[bytes], size: int) -> tuple[bytes, Iterator[bytes]]:
    """At least ``size`` first bytes, if there are as many, and all the pieces."""
    start = b""
    while len(start) < size and (piece := next(pieces, b"")):
        start += piece
    return start, chain([start] if start else [], pieces)


def _enough(data: bytes, bites: Iterator[bytes]) -> bytes:
    """The start of a member with its whole header: isal misreads some that come in two parts."""
    while len(data) < _HEADER and (more := next(bites, b"")):
        data += more
    return data


def _until_it_breaks(codec: Codec, data: bytes, given: int) -> bytes:
    """What a damaged member holds before the damage, less the bytes that were given already."""
    inflater, out, seen = codec.new(), bytearray(), 0
    try:
        for place in range(len(data)):
            bite = data[place : place + 1]
            while not inflater.eof:
                piece = inflater.decompress(bite, PIECE)
                seen += len(piece)
                if fresh := min(len(piece), max(0, seen - given)):
                    out += piece[-fresh:]
                bite = b""
                if inflater.needs_input:
                    break
    except _ERRORS:
        pass
    return bytes(out)
