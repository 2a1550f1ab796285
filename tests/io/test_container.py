"""Containers: members read at positions of an archive, opened and closed again, and damage."""

from __future__ import annotations

import gzip
import io
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from flowbench.io.archive import list_members
from flowbench.io.byte_source import MemoryBytes
from flowbench.io.container import Container, ContainerSlice, Member
from flowbench.io.decompress import CODECS
from tests.io.test_archive import tarred, zipped

DATA = bytes(range(256)) * 8


def container(data: bytes = DATA) -> Container:
    return Container(MemoryBytes(data))


@pytest.mark.parametrize("data", [DATA, gzip.compress(DATA)], ids=["plain", "gzip"])
def test_reads_at_any_position_also_after_close(data) -> None:
    archive = container(data)
    assert archive.size == len(DATA)
    assert archive.read_at(250, 10) == DATA[250:260]
    archive.close()
    archive.close()
    assert archive.read_at(0, 3) == DATA[:3]
    assert archive.read_at(len(DATA), 3) == b""
    archive.close()


def test_threads_read_one_container() -> None:
    archive = container()
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda at: archive.read_at(at, 16), range(0, len(DATA), 16)))
    assert b"".join(parts) == DATA
    archive.close()


def test_last_released_member_closes_the_container() -> None:
    archive = container(tarred({"a": b"1", "b": b"2"}))
    list_members(archive, "tar")
    assert archive.pending_members == 2
    archive.release_member()
    assert archive._file is not None
    archive.release_member()
    assert archive._file is None


def test_damaged_compression_around_an_archive_is_its_problem() -> None:
    archive = container(gzip.compress(tarred({"a": b"1"}))[:-4])
    (member,) = list_members(archive, "tar")
    assert member.name == "a"
    assert [name for name, _ in archive.skipped] == [""]
    assert archive.skipped[0].reason.startswith("the gzip data ends early")
    archive.close()


def test_slice_is_a_seekable_file_within_its_bounds() -> None:
    archive = container()
    part = ContainerSlice(archive, 100, 50)
    assert (part.readable(), part.seekable(), part.tell()) == (True, True, 0)
    assert part.read() == DATA[100:150]
    assert part.read(5) == b""
    assert part.seek(-10, io.SEEK_END) == 40
    assert part.read(100) == DATA[140:150]
    assert part.seek(-60, io.SEEK_CUR) == 0  # never before the start
    assert part.seek(500) == 500
    assert part.read(1) == b""
    archive.close()


def test_slice_refuses_to_read_more_than_its_limit() -> None:
    part = ContainerSlice(container(), 0, len(DATA), max_read=16)
    assert part.read(16) == DATA[:16]
    with pytest.raises(ValueError, match="a header of 17 bytes"):
        part.read(17)


def test_stored_member_is_seekable_and_a_compressed_one_is_not() -> None:
    archive = container(zipped({"a": DATA}))
    (member,) = list_members(archive, "zip")
    assert member.open_seekable() is None
    assert b"".join(member.chunks()) == DATA
    archive.close()
    stored = Member(container(), "a", 10, 20)
    file = stored.open_seekable()
    assert file is not None
    assert file.read() == DATA[10:30] == b"".join(stored.chunks())


@pytest.mark.parametrize(
    ("expected", "problem"),
    [
        ((zlib.crc32(DATA[:20]), 20), None),
        ((zlib.crc32(DATA[:20]) ^ 1, 20), "its checksum or size does not match"),
        ((zlib.crc32(DATA[:20]), 21), "its checksum or size does not match"),
    ],
)
def test_checksum_and_size_of_a_member(expected, problem) -> None:
    member = Member(container(), "a", 0, 20, expected=expected)
    assert b"".join(member.chunks()) == DATA[:20]
    assert problem is None if member.problem is None else problem in member.problem


def test_member_beyond_the_end_of_the_archive() -> None:
    member = Member(container(), "a", len(DATA) - 5, 20)
    assert b"".join(member.chunks()) == DATA[-5:]
    assert member.problem == "the archive ends early: it was cut off; what came before is kept"


def test_member_whose_compressed_data_is_damaged() -> None:
    member = Member(container(b"not gzip at all"), "a", 0, 15, method=CODECS[0], expected=(0, 9))
    assert b"".join(member.chunks()) == b""
    assert member.problem is not None
    assert member.problem.startswith("damaged gzip data")
