"""Whole lines in blocks with their numbers, whatever the bytes and the compression."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowbench.io import blocks, byte_source, decompress
from flowbench.io.byte_source import digest
from flowbench.io.stream import EvidenceStream
from tests.io.test_stream import written


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.binary(max_size=40).filter(lambda b: b"\n" not in b), max_size=30), st.booleans()
)
def test_every_line_is_in_a_block_at_its_number(tmp_path_factory, lines, packed) -> None:
    data = b"\n".join(lines)
    path = written(tmp_path_factory.mktemp("f"), gzip.compress(data) if packed else data)
    if not packed and data.startswith(b"\x1f\x8b"):
        return
    found = {}
    for block in EvidenceStream(path).blocks():
        texts = block.data.removesuffix(b"\n").split(b"\n")
        assert block.line_count == len(texts)
        found.update(enumerate(texts, block.first_line))
    kept = lines[:-1] if lines and lines[-1] == b"" else lines
    assert found == dict(enumerate(kept, 1))


def test_small_blocks_keep_line_numbers(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_SIZE", 100)
    monkeypatch.setattr(byte_source, "_CHUNK", 64)
    path = written(tmp_path, b"".join(b"line %d\n" % n for n in range(1, 501)))
    numbered = [
        (number, line)
        for block in EvidenceStream(path).blocks()
        for number, line in enumerate(block.data.splitlines(), block.first_line)
    ]
    assert numbered == [(n, b"line %d" % n) for n in range(1, 501)]


@pytest.mark.parametrize("after", [b"", b"\nnext\n"])
def test_oversized_line_is_measured_not_kept(tmp_path, after) -> None:
    length = 10_000_000
    stream = EvidenceStream(written(tmp_path, b"first\n" + b"x" * length + after))
    blocks = list(stream.blocks())
    assert blocks[0].data == b"first\n"
    assert (blocks[1].first_line, blocks[1].oversized) == (2, length)
    assert len(blocks[1].data) < 100_000
    assert [b.data for b in blocks[2:]] == ([b"next\n"] if after else [])
    assert [b.first_line for b in blocks[2:]] == ([3] if after else [])


def test_utf_16_lines_keep_line_numbers(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_SIZE", 100)
    monkeypatch.setattr(decompress, "CHUNK_SIZE", 64)
    text = "\ufeff" + "".join(f"line {n} é\r\n" for n in range(1, 301))
    stream = EvidenceStream(written(tmp_path, gzip.compress(text.encode("utf-16-le"))))
    numbered = [
        (number, line)
        for block in stream.blocks()
        for number, line in enumerate(
            block.data.decode().split("\r\n")[: block.line_count], block.first_line
        )
    ]
    assert numbered == [(n, f"line {n} é") for n in range(1, 301)]
    assert stream.sha256 == digest(stream._source.path)[0]


@pytest.mark.parametrize(
    ("data", "lines"),
    [(b"a\n" * 100_000 + b"no end", 100_001), (b"\n", 1), (b"a", 1), (b"\n\na", 3)],
)
def test_lines_are_counted(tmp_path, data, lines) -> None:
    (block,) = EvidenceStream(written(tmp_path, data)).blocks()
    assert block.line_count == lines


def test_buffers_are_reused_when_no_view_is_left(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_SIZE", 1000)
    monkeypatch.setattr(byte_source, "_CHUNK", 64)
    numbers = [b"%08d\n" % n for n in range(10_000)]
    path = written(tmp_path, b"".join(numbers))
    kept = list(EvidenceStream(path).blocks())
    assert b"".join(block.view for block in kept) == b"".join(numbers)
    assert [block.first_line for block in kept] == [
        1 + sum(block.line_count for block in kept[:index]) for index in range(len(kept))
    ]
    at = {id(block.view.obj) for block in EvidenceStream(path).blocks()}
    assert len(at) <= 3 < len(kept)


def test_buffers_of_blocks_say_whether_there_are_carriage_returns() -> None:
    (block,) = blocks.cut_blocks(iter([b"a\nb\r\n", b"c\n"]))
    assert (block.data, block.may_have_returns, block.line_count) == (b"a\nb\r\nc\n", True, 3)
    (block,) = blocks.cut_blocks(iter([b"a\n"]))
    assert block.may_have_returns is False
    assert list(blocks.cut_blocks(iter([]))) == []


@pytest.mark.parametrize("cut", [1, 7, 4_000])
def test_oversized_line_between_short_ones(monkeypatch, cut) -> None:
    monkeypatch.setattr(blocks, "MAX_LINE", 2_560)
    data = b"first\n" + b"x" * 5_000 + b"\nlast\n"
    chunks = (data[start : start + cut] for start in range(0, len(data), cut))
    found = [(b.first_line, b.data, b.oversized) for b in blocks.cut_blocks(chunks)]
    assert found == [(1, b"first\n", 0), (2, b"x" * 10, 5_000), (3, b"last\n", 0)]


@pytest.mark.parametrize("extra", [0, 1, 7])
def test_blocks_of_equal_size_use_a_buffer_again(monkeypatch, extra) -> None:
    monkeypatch.setattr(blocks, "BLOCK_SIZE", 1_000)
    monkeypatch.setattr(blocks, "_THREAD", type("Empty", (), {})())
    chunk = b"x" * (1_200 + extra) + b"\n"  # above the size that buffers are rounded up to
    for _ in range(5):
        read = [bytes(block.view) for block in blocks.cut_blocks(iter([chunk] * 4))]
        assert b"".join(read) == chunk * 4
