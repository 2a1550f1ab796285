"""An evidence file as a stream: opened once, hashed as it is read, decompressed, cut at line ends.

Nothing here knows what the lines mean. Memory is bounded whatever the file holds: compressed data
is decompressed chunk by chunk (see ``decompress``), and long lines are not kept (see ``blocks``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from flowbench.io import byte_source
from flowbench.io.blocks import Block, cut_blocks
from flowbench.io.byte_source import ByteSource, FileBytes
from flowbench.io.decompress import Decompression

HEAD_SIZE = 64 << 10  # bytes at the start of a file by which its kind is recognised


class EvidenceStream:
    """The text in a file, decompressed, read once from start to end; or its bytes (``text`` off).

    ``sha256`` and ``size`` are those of the raw bytes read so far, and of the file once all are
    read. ``problem`` says what ended the reading early, if anything did.
    """

    def __init__(
        self, source: Path | ByteSource, size: int | None = None, *, text: bool = True
    ) -> None:
        self._source = FileBytes(source, size) if isinstance(source, Path) else source
        self.size = 0
        self._digest = hashlib.sha256()
        self._raw = self._hash_chunks()
        self._decompression = Decompression(self._raw)
        self._chunks = self._decompression.text() if text else self._decompression.chunks()
        self._peeked: list[bytes] = []

    @property
    def sha256(self) -> str:
        """SHA-256 of the raw bytes read so far, in hex digits."""
        return self._digest.hexdigest()

    @property
    def problem(self) -> str | None:
        """What ended the reading early, or was wrong with the bytes read so far."""
        return self._source.problem or self._decompression.problem

    @property
    def is_compressed(self) -> bool:
        """Whether the raw bytes are compressed; known once some are read."""
        return bool(self._decompression.codecs)

    def head(self) -> bytes:
        """Return the first HEAD_SIZE bytes without consuming them."""
        size = sum(map(len, self._peeked))
        while size < HEAD_SIZE and (chunk := next(self._chunks, b"")):
            self._peeked.append(chunk)
            size += len(chunk)
        return b"".join(self._peeked)[:HEAD_SIZE]

    def chunks(self) -> Iterator[bytes]:
        """Yield the decompressed bytes, in chunks of no particular size."""
        yield from self._peeked
        self._peeked.clear()
        yield from self._chunks
        self.drain()

    def blocks(self) -> Iterator[Block]:
        """Yield the decompressed text as blocks of whole lines."""
        return cut_blocks(self.chunks())

    def read_all(self, limit: int) -> bytes | None:
        """Return all decompressed bytes, or None when there are more than ``limit``."""
        chunks, size = [], 0
        for chunk in self.chunks():
            chunks.append(chunk)
            size += len(chunk)
            if size > limit:
                return None
        return b"".join(chunks)

    def open_seekable(self, max_size: int | None = None) -> BinaryIO:
        """Open the decompressed bytes as a seekable file, which the caller closes.

        Compressed data of up to ``max_size`` bytes goes to a temporary file. Nothing but the head
        may have been read before.

        Raises:
            TooLargeError: There is more data, or too little room on the disk.
        """
        if not self.is_compressed and (file := self._source.open_seekable()):
            return file
        return byte_source.write_temporary(
            self.chunks(),
            self._source.temporary_folder,
            max_size or byte_source.MAX_TEMPORARY_FILE,
        )

    def drain(self) -> None:
        """Read to the end, so that ``sha256`` and ``size`` are those of the whole file."""
        for _ in self._raw:
            pass

    def _hash_chunks(self) -> Iterator[bytes]:
        for chunk in self._source.chunks():
            self._digest.update(chunk)
            self.size += len(chunk)
            yield chunk
