"""Evidence streams: hashed, decompressed, and what is kept of damaged files."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pytest

from flowbench.io.byte_source import digest
from flowbench.io.stream import HEAD_SIZE, EvidenceStream


def written(folder: Path, data: bytes, name: str = "file") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def test_hash_is_of_the_raw_bytes(tmp_path) -> None:
    packed = gzip.compress(b"a\nb\n")
    path = written(tmp_path, packed)
    stream = EvidenceStream(path)
    assert [block.data for block in stream.blocks()] == [b"a\nb\n"]
    assert stream.sha256 == hashlib.sha256(packed).hexdigest() == digest(path)[0]
    assert stream.size == len(packed)


def test_concatenated_gzip_members(tmp_path) -> None:
    path = written(tmp_path, gzip.compress(b"one\n") + gzip.compress(b"two\n") + b"\0" * 512)
    stream = EvidenceStream(path)
    assert b"".join(stream.chunks()) == b"one\ntwo\n"
    assert stream.problem is None


def test_truncated_gzip_keeps_what_came_before(tmp_path) -> None:
    lines = b"".join(hashlib.sha256(b"%d" % n).hexdigest().encode() + b"\n" for n in range(5000))
    packed = gzip.compress(lines)
    stream = EvidenceStream(written(tmp_path, packed[: len(packed) // 2]))
    got = b"".join(stream.chunks())
    assert lines.startswith(got)
    assert len(got) > len(lines) // 3
    assert "cut off" in stream.problem


def test_damaged_gzip_is_reported_and_fully_hashed(tmp_path) -> None:
    packed = bytearray(gzip.compress(b"x" * 100 + b"\n" * 100))
    packed[15] ^= 0xFF
    path = written(tmp_path, bytes(packed))
    stream = EvidenceStream(path)
    b"".join(stream.chunks())
    assert "damaged" in stream.problem
    assert stream.sha256 == digest(path)[0]


def test_bytes_appended_later_are_not_read(tmp_path) -> None:
    path = written(tmp_path, b"one\n")
    sha256, size = digest(path)
    with path.open("ab") as file:
        file.write(b"two\n")
    stream = EvidenceStream(path, size)
    assert b"".join(stream.chunks()) == b"one\n"
    assert stream.sha256 == sha256


def test_head_does_not_consume_bytes(tmp_path) -> None:
    stream = EvidenceStream(written(tmp_path, gzip.compress(b"abc" * 100_000)))
    assert stream.head() == (b"abc" * 100_000)[:HEAD_SIZE]
    assert len(b"".join(stream.chunks())) == 300_000


@pytest.mark.parametrize("packed", [True, False])
def test_open_seekable(tmp_path, packed) -> None:
    data = b"PAR1" + b"x" * 3_000_000 + b"end"
    path = written(tmp_path, gzip.compress(data) if packed else data)
    stream = EvidenceStream(path)
    assert stream.head()[:4] == b"PAR1"
    with stream.open_seekable() as file:
        file.seek(-3, 2)
        assert (file.read(), file.seek(0), file.read()) == (b"end", 0, data)
    stream.drain()
    assert (stream.sha256, stream.size) == digest(path)
