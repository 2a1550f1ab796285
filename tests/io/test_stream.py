"""Bytes in, whole lines out: any content, any compression, any damage."""

from __future__ import annotations

import gzip
import hashlib
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowbench.io import decompress, stream
from flowbench.io.stream import Opened, TooLargeError, digest


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
        assert block.lines == len(texts)
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


def test_utf_16_lines_keep_their_numbers(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(stream, "BLOCK", 100)
    monkeypatch.setattr(decompress, "PIECE", 64)
    text = "\ufeff" + "".join(f"line {n} é\r\n" for n in range(1, 301))
    opened = Opened(written(tmp_path, gzip.compress(text.encode("utf-16-le"))))
    numbered = [
        (number, line)
        for block in opened.blocks()
        for number, line in enumerate(
            block.data.decode().split("\r\n")[: block.lines], block.first_line
        )
    ]
    assert numbered == [(n, f"line {n} é") for n in range(1, 301)]
    assert opened.sha256 == digest(opened._source.path)[0]


@pytest.mark.parametrize("packed", [True, False])
def test_a_file_to_seek_in(tmp_path, packed) -> None:
    data = b"PAR1" + b"x" * 3_000_000 + b"end"
    path = written(tmp_path, gzip.compress(data) if packed else data)
    opened = Opened(path)
    assert opened.head()[:4] == b"PAR1"
    with opened.file() as file:
        file.seek(-3, 2)
        assert (file.read(), file.seek(0), file.read()) == (b"end", 0, data)
    opened.drain()
    assert (opened.sha256, opened.size) == digest(path)


@pytest.mark.parametrize(("name", "value"), [("MOST_ASIDE", 5_000_000), ("KEEP_FREE", 1 << 60)])
def test_unpacking_aside_never_fills_the_disk(tmp_path, monkeypatch, name, value) -> None:
    monkeypatch.setattr(stream, "KEEP_FREE", 1 << 20)
    monkeypatch.setattr(stream, name, value)
    opened = Opened(written(tmp_path, gzip.compress(bytes(20_000_000))))
    opened.head()
    with pytest.raises(TooLargeError, match="Unpack it where there is room and load the folder"):
        opened.file()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("data", "lines"),
    [(b"a\n" * 100_000 + b"no end", 100_001), (b"\n", 1), (b"a", 1), (b"\n\na", 3)],
)
def test_lines_are_counted(tmp_path, data, lines) -> None:
    (block,) = Opened(written(tmp_path, data)).blocks()
    assert block.lines == lines


def test_memory_of_blocks_is_used_again_but_not_while_it_is_looked_at(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(stream, "BLOCK", 1000)
    monkeypatch.setattr(stream, "_PIECE", 64)
    numbers = [b"%08d\n" % n for n in range(10_000)]
    path = written(tmp_path, b"".join(numbers))
    kept = list(Opened(path).blocks())
    assert b"".join(block.view for block in kept) == b"".join(numbers)
    assert [block.first_line for block in kept] == [
        1 + sum(block.lines for block in kept[:place]) for place in range(len(kept))
    ]
    at = {id(block.view.obj) for block in Opened(path).blocks()}
    assert len(at) <= 3 < len(kept)


def test_digesting_a_large_file_can_be_stopped(tmp_path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(
            1 << 40
        )  # a terabyte of nothing: read whole it would take a quarter of an hour
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()
    with pytest.raises(InterruptedError):
        digest(path, stop)
