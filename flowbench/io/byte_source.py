"""Raw bytes of evidence, before decompression: in a file, in memory, or in an archive."""

from __future__ import annotations

import hashlib
import io
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

MAX_TEMPORARY_FILE = 256 << 30  # bytes that one archive may take on the disk while it is read
MIN_FREE_DISK = 1 << 30  # bytes of the disk that are never taken for it

_CHUNK = 1 << 20  # bytes read at once


class ByteSource(Protocol):
    """The raw bytes of one evidence file or archive member."""

    @property
    def problem(self) -> str | None:
        """What was wrong with the bytes read so far."""

    @property
    def temporary_folder(self) -> Path | None:
        """The folder for temporary files; None for the system's own (TMPDIR)."""

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes from first to last."""

    def open_seekable(self) -> BinaryIO | None:
        """Open the bytes as a seekable file; None when they are compressed in their archive."""


class FileBytes:
    """The bytes of a file, or its first ``size`` bytes: what a growing file gains is not read."""

    problem: str | None = None

    def __init__(
        self, path: Path, size: int | None = None, *, temporary_folder: Path | None = None
    ) -> None:
        self.path = path
        self.temporary_folder = temporary_folder
        self._size = size

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes from first to last."""
        left = self._size
        with self.path.open("rb", buffering=0) as file:
            while chunk := file.read(_CHUNK if left is None else min(_CHUNK, left)):
                left = None if left is None else left - len(chunk)
                yield chunk

    def open_seekable(self) -> BinaryIO:
        """Open the file itself."""
        return self.path.open("rb")


class MemoryBytes:
    """Bytes that have been read already."""

    problem: str | None = None
    temporary_folder: Path | None = None

    def __init__(self, data: bytes) -> None:
        self._data = data

    def chunks(self) -> Iterator[bytes]:
        """Yield all bytes at once."""
        yield self._data

    def open_seekable(self) -> BinaryIO:
        """Open the bytes as a file."""
        return io.BytesIO(self._data)


def digest(source: Path | ByteSource, stop: threading.Event | None = None) -> tuple[str, int]:
    """Hash raw bytes.

    Args:
        source: A path, or bytes from elsewhere.
        stop: Ends the hashing early when it is set: some files take minutes.

    Returns:
        SHA-256 in hex digits, and the number of bytes.

    Raises:
        InterruptedError: ``stop`` was set.
        OSError: The bytes cannot be read.
    """
    sha256, size = hashlib.sha256(), 0
    for chunk in (FileBytes(source) if isinstance(source, Path) else source).chunks():
        if stop is not None and stop.is_set():
            raise InterruptedError
        sha256.update(chunk)
        size += len(chunk)
    return sha256.hexdigest(), size


class TooLargeError(Exception):
    """Decompressed data needs more disk than there is; the message names the remedy."""


def write_temporary(chunks: Iterator[bytes], folder: Path | None, max_size: int) -> BinaryIO:
    """Write bytes to an unnamed temporary file, which disappears when it is closed.

    Args:
        chunks: The bytes.
        folder: Where the file is created; None for the system's own folder (TMPDIR).
        max_size: The most bytes to write.

    Raises:
        TooLargeError: There are more bytes, or less than MIN_FREE_DISK of the disk stays free.
    """
    location = folder or Path(tempfile.gettempdir())
    file = tempfile.TemporaryFile(dir=location)  # noqa: SIM115  # the caller closes it
    try:
        size = next_check = 0
        for chunk in chunks:
            size += len(chunk)
            if size > next_check:  # other programs fill the disk too: check again now and then
                next_check = size + (MIN_FREE_DISK >> 3)
                if size > max_size or shutil.disk_usage(location).free < MIN_FREE_DISK:
                    raise TooLargeError(
                        f"decompressed it takes more than {size / 1e9:.1f} GB and is not read: the"
                        f" limit is {max_size / 1e9:.0f} GB, and {MIN_FREE_DISK / 1e9:.0f} GB of"
                        " the disk must stay free. Unpack it where there is room and load the"
                        " folder"
                    )
            file.write(chunk)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file
