"""Raw bytes of files and memory: hashed, read in chunks, written to temporary files."""

from __future__ import annotations

import gzip
import hashlib
import threading

import pytest

from flowbench.io import byte_source
from flowbench.io.byte_source import FileBytes, MemoryBytes, TooLargeError, digest
from flowbench.io.stream import EvidenceStream
from tests.io.test_stream import written


@pytest.mark.parametrize(
    ("name", "value"), [("MAX_TEMPORARY_FILE", 5_000_000), ("MIN_FREE_DISK", 1 << 60)]
)
def test_temporary_files_never_fill_the_disk(tmp_path, monkeypatch, name, value) -> None:
    monkeypatch.setattr(byte_source, "MIN_FREE_DISK", 1 << 20)
    monkeypatch.setattr(byte_source, name, value)
    stream = EvidenceStream(written(tmp_path, gzip.compress(bytes(20_000_000))))
    stream.head()
    with pytest.raises(TooLargeError, match="Unpack it where there is room and load the folder"):
        stream.open_seekable()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_hashing_a_large_file_can_be_stopped(tmp_path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # a terabyte of zeros: minutes to hash
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()
    with pytest.raises(InterruptedError):
        digest(path, stop)


def test_file_bytes_end_at_the_given_size(tmp_path) -> None:
    path = written(tmp_path, b"0123456789")
    assert b"".join(FileBytes(path, 4).chunks()) == b"0123"
    assert b"".join(FileBytes(path).chunks()) == b"0123456789"
    with FileBytes(path, 4).open_seekable() as file:
        assert file.seek(0, 2) == 10


def test_memory_and_file_have_the_same_hash(tmp_path) -> None:
    data = b"evidence" * 1000
    expected = (hashlib.sha256(data).hexdigest(), len(data))
    assert digest(MemoryBytes(data)) == digest(written(tmp_path, data)) == expected
    with MemoryBytes(data).open_seekable() as file:
        assert file.read() == data


def test_file_that_is_not_there(tmp_path) -> None:
    with pytest.raises(FileNotFoundError):
        digest(tmp_path / "missing")


def test_temporary_file_has_no_name_and_starts_at_the_start(tmp_path) -> None:
    with byte_source.write_temporary(iter([b"ab", b"c"]), tmp_path, 3) as file:
        assert list(tmp_path.iterdir()) == []
        assert file.read() == b"abc"
    with pytest.raises(TooLargeError, match=r"more than 0\.0 GB"):
        byte_source.write_temporary(iter([b"ab", b"cd"]), tmp_path, 1)
