"""Decompression of bytes to text: gzip, bzip2, xz, zstd, also nested; UTF-16 to UTF-8.

Memory is bounded whatever the bytes hold: nothing is decompressed beyond one chunk at a time.
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

CHUNK_SIZE = 256 << 10  # bytes decompressed at once: as many as fit a processor's cache
MAX_NESTING = 3  # compressions inside each other; logs are not kept with more

_INPUT_SIZE = 64 << 10  # compressed bytes given at once: the rest of a small member is copied
_MAX_HEADER = 4 << 10  # bytes that hold any gzip header but one made to be longer
_MAX_SALVAGE = 4 * _INPUT_SIZE  # a damaged member up to this size gives all before the damage
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
    """What bz2, lzma, zstd and isal have in common: they decompress one member or frame."""

    @property
    def eof(self) -> bool:
        """Whether the member is at its end."""

    @property
    def needs_input(self) -> bool:
        """Whether more input is needed before there is more output."""

    @property
    def unused_data(self) -> bytes:
        """The input after the end of the member."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Return up to ``max_length`` more bytes."""


@dataclass(frozen=True)
class Codec:
    """A compression format.

    Attributes:
        name: Its name.
        signature: Matches the first bytes of its data.
        new_decompressor: Returns what decompresses one member.
    """

    name: str
    signature: re.Pattern[bytes]
    new_decompressor: Callable[[], Decompressor]


CODECS = (
    # isal decompresses at four times zlib's speed, and loading spends most of its time here.
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


class Decompression:
    """Decompress bytes until no known compression is left.

    Members, frames or streams that follow each other are one text. ``codecs`` names the
    compressions, outermost first, and is complete with the first chunk; ``problem`` says what
    ended the reading early, if anything did, and is known after the last.
    """

    def __init__(self, raw: Iterator[bytes]) -> None:
        self.codecs: list[str] = []
        self.problem: str | None = None
        self._raw = raw

    def chunks(self) -> Iterator[bytes]:
        """Yield the decompressed bytes, in chunks of no particular size."""
        chunks = self._raw
        while True:
            start, chunks = _peek(chunks, 10)
            codec = next((codec for codec in CODECS if codec.signature.match(start)), None)
            if codec is None:
                break
            if len(self.codecs) == MAX_NESTING:
                self.problem = f"compressed more than {MAX_NESTING} times over: unpack it"
                break
            self.codecs.append(codec.name)
            chunks = self.decompress(codec, chunks)
        yield from chunks

    def text(self) -> Iterator[bytes]:
        """Yield the same as ``chunks``, with UTF-16 and UTF-32 recoded to UTF-8."""
        start, chunks = _peek(self.chunks(), 4)
        encoding = next((name for bom, name in _BOMS if start.startswith(bom)), None)
        if encoding is None:
            yield from chunks
            return
        # Half a character becomes invalid UTF-8, so that its line is rejected, not altered.
        decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
        try:
            for chunk in chunks:
                if text := decoder.decode(chunk):
                    yield text.encode("utf-8", "surrogatepass")
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            name = encoding.upper()
            self.problem = f"damaged {name} text ({error.reason}); what came before is kept"

    def decompress(self, codec: Codec, raw: Iterator[bytes]) -> Iterator[bytes]:
        """Yield what the members of one compression hold, one after the other."""
        inputs = (bytes(c[i : i + _INPUT_SIZE]) for c in raw for i in range(0, len(c), _INPUT_SIZE))
        data = _fill_header(b"", inputs)
        decompressor, member, returned, fed = codec.new_decompressor(), 1, 0, data
        while True:
            try:
                output = decompressor.decompress(data, CHUNK_SIZE)
            except _ERRORS as error:
                if len(fed) < _MAX_SALVAGE and (rest := _salvage(codec, fed, returned)):
                    yield rest
                where = f"in {codec.name} member {member}" if member > 1 else f"{codec.name} data"
                self.problem = f"damaged {where} ({error}); what came before is kept"
                return
            if output:
                returned += len(output)
                yield output
            if decompressor.eof:
                data = decompressor.unused_data.lstrip(b"\0")  # tapes and devices pad with zeros
                while not data:
                    if (more := next(inputs, None)) is None:
                        return
                    data = more.lstrip(b"\0")
                data = _fill_header(data, inputs)
                if not codec.signature.match(data):
                    self.problem = (
                        f"after {codec.name} member {member} other data follows, which is not read"
                    )
                    return
                decompressor, member, returned, fed = codec.new_decompressor(), member + 1, 0, data
            elif not decompressor.needs_input:
                data = b""
            elif data := next(inputs, b""):
                fed = fed + data if len(fed) < _MAX_SALVAGE else fed
            else:
                self.problem = (
                    f"the {codec.name} data ends early: the file was cut off; what came before is"
                    " kept. Get the file again, or keep what there is"
                )
                return


def _peek(chunks: Iterator[bytes], size: int) -> tuple[bytes, Iterator[bytes]]:
    """Return at least the first ``size`` bytes, if there are as many, and all the chunks."""
    start = b""
    while len(start) < size and (chunk := next(chunks, b"")):
        start += chunk
    return start, chain([start] if start else [], chunks)


def _fill_header(data: bytes, inputs: Iterator[bytes]) -> bytes:
    """Extend the start of a member to its whole header: isal misreads some that are cut."""
    while len(data) < _MAX_HEADER and (more := next(inputs, b"")):
        data += more
    return data


def _salvage(codec: Codec, data: bytes, returned: int) -> bytes:
    """Return what a damaged member holds before the damage, less its first ``returned`` bytes."""
    decompressor, salvaged, size = codec.new_decompressor(), bytearray(), 0
    try:
        for index in range(len(data)):
            byte = data[index : index + 1]
            while not decompressor.eof:
                output = decompressor.decompress(byte, CHUNK_SIZE)
                size += len(output)
                if new := min(len(output), max(0, size - returned)):
                    salvaged += output[-new:]
                byte = b""
                if decompressor.needs_input:
                    break
    except _ERRORS:
        pass
    return bytes(salvaged)
