"""Bytes in, whole lines out: any content, any compression, any damage."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowbench.load import stream
from flowbench.load.stream import Opened, digest


def written(folder: Path, data: bytes, name: str = "file") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.binary(max_size=40).filter(lambda b: b"\n" not in b), max_size=30), st.booleans()
)
def test_blocks_give_back_every_line_at_its_number(tmp_path_factory, lines, packed) -> None:
    data = b"\n".join(lines)
    path = written(tmp_path_factory.mktemp("f"), gzip.compress(data) if packed else data)
    if not packed and data.startswith(b"\x1f\x8b"):
        return
    found = {}
    for block in Opened(path).blocks():
        texts = block.data.removesuffix(b"\n").split(b"\n")
        found.update(enumerate(texts, block.first_line))
    kept = lines[:-1] if lines and lines[-1] == b"" else lines
    assert found == dict(enumerate(kept, 1))


def test_small_blocks_keep_numbers(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(stream, "BLOCK", 100)
    monkeypatch.setattr(stream, "_PIECE", 64)
    path = written(tmp_path, b"".join(b"line %d\n" % n for n in range(1, 501)))
    numbered = [
        (number, line)
        for block in Opened(path).blocks()
        for number, line in enumerate(block.data.splitlines(), block.first_line)
    ]
    assert numbered == [(n, b"line %d" % n) for n in range(1, 501)]


def test_digest_is_of_the_file_not_of_its_content(tmp_path) -> None:
    packed = gzip.compress(b"a\nb\n")
    path = written(tmp_path, packed)
    opened = Opened(path)
    assert [block.data for block in opened.blocks()] == [b"a\nb\n"]
    assert opened.sha256 == hashlib.sha256(packed).hexdigest() == digest(path)[0]
    assert opened.size == len(packed)


def test_gzip_members_follow_each_other(tmp_path) -> None:
    path = written(tmp_path, gzip.compress(b"one\n") + gzip.compress(b"two\n") + b"\0" * 512)
    opened = Opened(path)
    assert b"".join(opened.pieces()) == b"one\ntwo\n"
    assert opened.problem is None


def test_cut_gzip_gives_what_came_before_and_says_so(tmp_path) -> None:
    lines = b"".join(hashlib.sha256(b"%d" % n).hexdigest().encode() + b"\n" for n in range(5000))
    packed = gzip.compress(lines)
    opened = Opened(written(tmp_path, packed[: len(packed) // 2]))
    got = b"".join(opened.pieces())
    assert lines.startswith(got)
    assert len(got) > len(lines) // 3
    assert "cut off" in opened.problem


def test_damaged_gzip_says_so_and_the_digest_is_still_the_files(tmp_path) -> None:
    packed = bytearray(gzip.compress(b"x" * 100 + b"\n" * 100))
    packed[15] ^= 0xFF
    path = written(tmp_path, bytes(packed))
    opened = Opened(path)
    b"".join(opened.pieces())
    assert "damaged" in opened.problem
    assert opened.sha256 == digest(path)[0]


@pytest.mark.parametrize("after", [b"", b"\nnext\n"])
def test_a_line_too_long_to_hold_is_counted_not_kept(tmp_path, after) -> None:
    length = 10_000_000
    opened = Opened(written(tmp_path, b"first\n" + b"x" * length + after))
    blocks = list(opened.blocks())
    assert blocks[0].data == b"first\n"
    assert (blocks[1].first_line, blocks[1].dropped) == (2, length)
    assert len(blocks[1].data) < 100_000
    assert [b.data for b in blocks[2:]] == ([b"next\n"] if after else [])
    assert [b.first_line for b in blocks[2:]] == ([3] if after else [])


def test_what_a_growing_file_gains_is_left(tmp_path) -> None:
    path = written(tmp_path, b"one\n")
    sha256, size = digest(path)
    with path.open("ab") as file:
        file.write(b"two\n")
    opened = Opened(path, size)
    assert b"".join(opened.pieces()) == b"one\n"
    assert opened.sha256 == sha256


def test_head_does_not_use_up_the_bytes(tmp_path) -> None:
    opened = Opened(written(tmp_path, gzip.compress(b"abc" * 100_000)))
    assert opened.head() == (b"abc" * 100_000)[: stream.HEAD]
    assert len(b"".join(opened.pieces())) == 300_000
