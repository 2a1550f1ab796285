"""An open archive and the files in it as bytes at positions of the archive.

A member's name is only shown, never used for a path. Only a compressed archive is decompressed,
once, into an unnamed temporary file.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from isal import isal_zlib

from flowbench.io.byte_source import ByteSource
from flowbench.io.decompress import Codec, Decompression
from flowbench.io.stream import EvidenceStream

_CHUNK = 1 << 20  # bytes read at once


class SkippedMember(NamedTuple):
    """A member of an archive that cannot be read, and why; no name: the archive itself."""

    name: str
    reason: str


class Container:
    """The bytes of an archive, decompressed if need be, which several threads may read.

    It is opened when first read and may be closed at any time: the next read opens it again.

    Attributes:
        source: The raw bytes of the archive.
        skipped: What cannot be read of it.
        problem: What was wrong with the compression around it.
        pending_members: Members still to be loaded; the last to be released closes it.
    """

    def __init__(self, source: ByteSource) -> None:
        self.source = source
        self.skipped: list[SkippedMember] = []
        self.problem: str | None = None
        self.pending_members = 0
        self._file: BinaryIO | None = None
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """Size of the decompressed archive in bytes."""
        with self._lock:
            return self._open().seek(0, io.SEEK_END)

    def read_at(self, position: int, size: int) -> bytes:
        """Return up to ``size`` bytes from ``position`` on. Raises TooLargeError, OSError."""
        with self._lock:
            file = self._open()
            file.seek(position)
            return file.read(size)

    def release_member(self) -> None:
        """Note that one member is loaded."""
        with self._lock:
            self.pending_members -= 1
            is_last = self.pending_members == 0
        if is_last:
            self.close()

    def close(self) -> None:
        """Close the file, and free the disk if it was decompressed."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _open(self) -> BinaryIO:
        if self._file is None:
            stream = EvidenceStream(self.source, text=False)
            stream.head()
            self._file = stream.open_seekable()
            self.problem = stream.problem
        return self._file


class ContainerSlice(io.RawIOBase, BinaryIO):
    """A part of a container as a seekable file, of which ``max_read`` bytes may be read at once."""

    def __init__(
        self, container: Container, start: int, size: int, max_read: int = 1 << 62
    ) -> None:
        super().__init__()
        self._container, self._start, self._size = container, start, size
        self._max_read = max_read
        self._position = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position, which may lie beyond the end."""
        self._position = max(0, offset + {0: 0, 1: self._position, 2: self._size}[whence])
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        """Return up to ``size`` bytes, all without it. Raises ValueError above ``max_read``."""
        left = max(0, self._size - self._position)
        size = left if size is None or size < 0 else min(size, left)
        if size > self._max_read:
            raise ValueError(f"a header of {size:,} bytes")
        data = self._container.read_at(self._start + self._position, size) if size else b""
        self._position += len(data)
        return data


class Member:
    """A file in an archive; its raw bytes are those that were put in.

    Args:
        container: The archive.
        name: The member's name in it.
        start: Position of its data.
        size: Size of its data in bytes, as stored.
        method: How the archive compresses it; None where it does not.
        expected: CRC-32 and decompressed size from a zip's directory; None for tar.
    """

    def __init__(
        self,
        container: Container,
        name: str,
        start: int,
        size: int,
        *,
        method: Codec | None = None,
        expected: tuple[int, int] | None = None,
    ) -> None:
        self.container = container
        self.name = name
        self.problem: str | None = None
        self._start, self._size, self._method = start, size, method
        self._expected = expected

    @property
    def temporary_folder(self) -> Path | None:
        """The folder for temporary files."""
        return self.container.source.temporary_folder

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes from first to last; ``problem`` then says whether they are intact."""
        stored = self._stored_chunks()
        decompression = None
        if self._method is not None:
            decompression = Decompression(stored)
            stored = decompression.decompress(self._method, stored)
        crc = size = 0
        for chunk in stored:
            crc = isal_zlib.crc32(chunk, crc) if self._expected is not None else 0
            size += len(chunk)
            yield chunk
        if decompression is not None and decompression.problem:
            self.problem = decompression.problem
        elif self._expected is not None and self._expected != (crc, size):
            self.problem = "damaged in the zip archive: its checksum or size does not match"

    def open_seekable(self) -> BinaryIO | None:
        """Open the bytes as a seekable file; None when the archive compresses them."""
        return None if self._method else ContainerSlice(self.container, self._start, self._size)

    def _stored_chunks(self) -> Iterator[bytes]:
        position, end = self._start, self._start + self._size
        while position < end and (
            chunk := self.container.read_at(position, min(_CHUNK, end - position))
        ):
            position += len(chunk)
            yield chunk
        if position < end:
            self.problem = "the archive ends early: it was cut off; what came before is kept"
