"""Archives of evidence: zip and tar, packed or plain, whose members are read where they lie.

A member is bytes at a place in the archive; its name is shown, and never used for a path. Only a
packed archive is unpacked, once and aside, into a file without a name. Zip members are inflated by
our own means, because Python's zipfile inflates some methods without bound and others slowly.
"""

from __future__ import annotations

import io
import struct
import tarfile
import threading
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from isal import igzip_lib, isal_zlib

from flowbench.io.decompress import CODECS, Codec, Inflated
from flowbench.io.stream import Bytes, Opened, TooLargeError

MOST_MEMBERS = 1_000_000  # more would not fit the memory
LARGEST_READ = 128 << 20  # bytes of a zip's directory, or of a name in a tar, read at once

_PIECE = 1 << 20
_STEP = 4 << 10  # bytes unpacked to see what is inside
_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_LOCAL = struct.Struct("<4s22xHH")  # a zip member's own header: its mark, lengths of what follows
_ENCRYPTED = 0x1
_STORED, _DEFLATED = 0, 8
_DEFLATE = Codec(
    "deflate", CODECS[0].start, lambda: igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_DEFLATE)
)
_METHODS = {_DEFLATED: _DEFLATE} | {
    number: codec
    for name, number in (("bzip2", 12), ("zstd", 93), ("xz", 95))
    for codec in CODECS
    if codec.name == name
}
_OTHERS = {1: "Shrink", 6: "Implode", 9: "Deflate64", 14: "LZMA", 98: "PPMd", 99: "AES"}
_BROKEN = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, struct.error, EOFError, OSError),
    *(ValueError, TypeError, KeyError, IndexError, AttributeError),
    *(OverflowError, RecursionError, NotImplementedError),
)


class Container:
    """An archive's own bytes, unpacked if need be, for several threads to read at any place.

    It is opened when first read and may be closed at any time: the next read opens it again.
    """

    def __init__(self, source: Bytes) -> None:
        self.source = source
        self.refused: list[tuple[str, str]] = []  # (member, reason); '' is the archive itself
        self.problem: str | None = None  # of what it is packed in
        self.waiting = 0  # members still to be loaded; the last to be done closes it
        self._file: BinaryIO | None = None
        self._lock = threading.Lock()

    def read_at(self, place: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``place`` on. Raises TooLargeError, OSError."""
        with self._lock:
            file = self._opened()
            file.seek(place)
            return file.read(size)

    @property
    def size(self) -> int:
        """How many bytes there are."""
        with self._lock:
            return self._opened().seek(0, io.SEEK_END)

    def done(self) -> None:
        """One member less to be loaded."""
        with self._lock:
            self.waiting -= 1
            last = self.waiting == 0
        if last:
            self.close()

    def close(self) -> None:
        """Give back the file, and the disk if it was unpacked."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _opened(self) -> BinaryIO:
        if self._file is None:
            opened = Opened(self.source, text=False)
            opened.head()
            self._file = opened.file()
            self.problem = opened.problem
        return self._file


class Window(io.RawIOBase, BinaryIO):
    """Part of a container as a file to seek in; ``most`` bytes of it may be read at once."""

    def __init__(self, container: Container, start: int, size: int, most: int = 1 << 62) -> None:
        super().__init__()
        self._container, self._start, self._size = container, start, size
        self._most = most
        self._place = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, place: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place."""
        self._place = max(0, place + {0: 0, 1: self._place, 2: self._size}[whence])
        return self._place

    def tell(self) -> int:
        """The place."""
        return self._place

    def read(self, size: int | None = -1) -> bytes:
        """The bytes from here on."""
        left = max(0, self._size - self._place)
        size = left if size is None or size < 0 else min(size, left)
        if size > self._most:
            raise ValueError(f"a header of {size:,} bytes")
        data = self._container.read_at(self._start + self._place, size) if size else b""
        self._place += len(data)
        return data


class Member:
    """One file in an archive: its bytes as they were put in."""

    def __init__(
        self,
        container: Container,
        name: str,
        start: int,
        size: int,
        *,
        method: Codec | None = None,
        unpacked: tuple[int, int] | None = None,
    ) -> None:
        self.container = container
        self.name = name
        self.problem: str | None = None
        self._start, self._size, self._method = start, size, method
        self._unpacked = unpacked  # CRC-32 and size that a zip's directory says

    @property
    def folder(self) -> Path | None:
        """Where it may be unpacked to."""
        return self.container.source.folder

    def pieces(self) -> Iterator[bytes]:
        """The bytes from first to last; ``problem`` then says whether they are whole."""
        raw = self._raw()
        if self._method is not None:
            inflated = Inflated(raw)
            raw = inflated.inflate(self._method, raw)
        crc = size = 0
        for piece in raw:
            crc = isal_zlib.crc32(piece, crc) if self._unpacked is not None else 0
            size += len(piece)
            yield piece
        if self._method is not None and inflated.problem:
            self.problem = inflated.problem
        elif self._unpacked is not None and self._unpacked != (crc, size):
            self.problem = "damaged in the zip archive: its checksum or size is not what it says"

    def file(self) -> BinaryIO | None:
        """The same as a file to seek in, when the archive does not pack it."""
        return None if self._method else Window(self.container, self._start, self._size)

    def _raw(self) -> Iterator[bytes]:
        place, end = self._start, self._start + self._size
        while place < end and (piece := self.container.read_at(place, min(_PIECE, end - place))):
            place += len(piece)
            yield piece
        if place < end:
            self.problem = "the archive ends early: it was cut off; what came before is kept"


def kind_of(source: Bytes) -> str | None:
    """'zip' or 'tar' when the bytes, unpacked, are such an archive."""
    steps = (p[i : i + _STEP] for p in source.pieces() for i in range(0, len(p), _STEP))
    head = b""
    for piece in Inflated(steps).pieces():
        head += piece
        if len(head) >= tarfile.BLOCKSIZE:
            break
    if head.startswith(_ZIP):
        return "zip"
    try:
        tarfile.TarInfo.frombuf(head[: tarfile.BLOCKSIZE], "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError):
        return None
    return "tar"


def members(container: Container, kind: str) -> list[Member]:
    """The files in an archive, in its order; the rest stands in its ``refused``, with reasons."""
    found: list[Member] = []
    refused = container.refused
    try:
        for thing in (_in_zip if kind == "zip" else _in_tar)(container):
            if isinstance(thing, Member):
                found.append(thing)
            else:
                refused.append(thing)
            if len(found) + len(refused) > MOST_MEMBERS:
                reason = f"more than {MOST_MEMBERS:,} members: unpack it and load the folder"
                refused.append(("", reason))
                break
    except TooLargeError as error:
        refused.append(("", str(error)))
    except _BROKEN as error:
        reason = (
            f"the zip's directory, at its end, is missing or damaged ({error}): get the file again,"
            " or repair it with `zip -FF` and load what comes out"
            if kind == "zip"
            else f"the tar archive is cut off or damaged ({error}); what came before is kept"
        )
        refused.append(("", reason))
    if container.problem:  # of what it is packed in: the reason for the others
        refused[:] = [
            *((name, reason) for name, reason in refused if name),
            ("", container.problem),
        ]
    container.waiting = len(found)
    return found


def _whole(container: Container) -> Window:
    return Window(container, 0, container.size, LARGEST_READ)


def _in_zip(container: Container) -> Iterator[Member | tuple[str, str]]:
    with zipfile.ZipFile(_whole(container)) as archive:
        infos = archive.infolist()
    overlapping, end = set(), 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < end:
            overlapping.add(id(info))
        else:
            end = info.header_offset + _LOCAL.size + info.compress_size
    for info in infos:
        if info.is_dir():
            continue
        name = info.filename
        header = container.read_at(max(0, info.header_offset), _LOCAL.size)
        mark, *lengths = _LOCAL.unpack(header) if len(header) == _LOCAL.size else (b"", 0, 0)
        if id(info) in overlapping:  # how a few bytes are made to unpack to petabytes
            yield name, "shares its bytes with another member: a zip bomb"
        elif mark != _ZIP[0]:
            yield name, "damaged: the zip's directory leads to bytes that are no member"
        elif info.flag_bits & _ENCRYPTED:
            yield name, "encrypted: unpack it with its password and load what comes out"
        elif info.compress_type not in (_STORED, *_METHODS):
            method = _OTHERS.get(info.compress_type, f"method {info.compress_type}")
            yield name, f"packed in a way flowbench does not know ({method}): unpack it"
        else:
            yield Member(
                container,
                name,
                info.header_offset + _LOCAL.size + sum(lengths),
                info.compress_size,
                method=_METHODS.get(info.compress_type),
                unpacked=(info.CRC, info.file_size),
            )


def _in_tar(container: Container) -> Iterator[Member | tuple[str, str]]:
    window = _whole(container)
    with tarfile.open(fileobj=window, mode="r:", encoding="utf-8") as archive:
        before = -1
        while (info := archive.next()) is not None:
            if archive.offset <= before or info.size < 0:  # a size that leads back: without end
                raise tarfile.ReadError("a header that leads nowhere")
            before = archive.offset
            archive.members = []  # type: ignore[attr-defined]  # or it would keep them all
            if info.sparse is not None:
                yield info.name, "a sparse file of a tar archive: unpack it"
            elif info.isreg():
                yield Member(container, info.name, info.offset_data, info.size)
            elif not info.isdir() and not info.islnk():  # a hard link is a member already
                yield info.name, "a link or device of the tar archive, not a file: nothing to read"
        window.seek(archive.offset)
        rest = iter(lambda: window.read(_PIECE), b"")
        first = next(rest, b"")
        if not first:
            yield "", "the tar archive has no end: it was cut off, or is still being written"
        elif first.strip(b"\0") or any(piece.strip(b"\0") for piece in rest):
            yield (
                "",
                f"from byte {archive.offset:,} on the tar archive is damaged, or another follows",
            )
