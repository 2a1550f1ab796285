"""Decompression of any codec: the whole text, or the intact part of it and the reason."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import struct
import subprocess
import sys
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowbench.io.decompress import MAX_NESTING, Decompression, zstd

PACKERS = {
    "gzip": gzip.compress,
    "bzip2": lambda data: bz2.compress(data, 1),
    "xz": lambda data: lzma.compress(data, preset=0),
    "zstd": zstd.compress,
}
TEXT = b"".join(hashlib.sha256(b"%d" % n).hexdigest().encode() + b"\n" for n in range(8_000))

packer = pytest.mark.parametrize("name", PACKERS)


def unpacked(data: bytes, step: int = 1 << 20) -> tuple[bytes, Decompression]:
    decompression = Decompression(data[n : n + step] for n in range(0, len(data), step))
    return b"".join(decompression.text()), decompression


@packer
@pytest.mark.parametrize("step", [1 << 20, 997])
def test_concatenated_members_and_padding(name, step) -> None:
    pack = PACKERS[name]
    data = pack(TEXT) + pack(b"") + b"\0" * 70_000 + pack(b"end\n") + b"\0" * 512
    text, decompression = unpacked(data, step)
    assert text == TEXT + b"end\n"
    assert (decompression.problem, decompression.codecs) == (None, [name])


@packer
@pytest.mark.parametrize("step", [1 << 20, 997])
def test_truncated_data_keeps_what_came_before(name, step) -> None:
    packed = PACKERS[name](TEXT)
    text, decompression = unpacked(packed[: len(packed) * 3 // 4], step)
    assert TEXT.startswith(text)
    assert len(text) > len(TEXT) // 3
    assert decompression.problem.startswith(f"the {name} data ends early: the file was cut off")


@packer
def test_wrong_checksum_is_reported_and_a_small_file_kept(name) -> None:
    whole = TEXT[:65_000]
    packed = bytearray(PACKERS[name](whole))
    packed[{"gzip": -6, "bzip2": -2, "xz": -30, "zstd": len(packed) // 2}[name]] ^= 0x55
    text, decompression = unpacked(bytes(packed))
    if name == "zstd":  # written without a checksum: damage shows in the text, or not at all
        assert len(text) == len(whole) or decompression.problem
        return
    assert whole.startswith(text)
    assert len(text) == len(whole) or name == "bzip2"  # which returns intact blocks only
    assert decompression.problem.startswith(f"damaged {name} data")
    assert "what came before is kept" in decompression.problem


def test_damaged_member_is_named() -> None:
    packed = gzip.compress(b"one\n") + gzip.compress(b"two\n") + b"rubbish"
    damaged = gzip.compress(b"x")[:-8] + b"checksum"
    text, decompression = unpacked(packed)
    assert text == b"one\ntwo\n"
    assert decompression.problem == "after gzip member 2 other data follows, which is not read"
    assert "damaged in gzip member 2" in unpacked(gzip.compress(b"1") + damaged)[1].problem


def test_skippable_zstd_frames() -> None:
    skip = b"\x52\x2a\x4d\x18" + struct.pack("<I", 4) + b"abcd"
    assert unpacked(skip + zstd.compress(b"a\n") + skip + zstd.compress(b"b\n"))[0] == b"a\nb\n"


def test_gzip_header_with_every_field() -> None:
    body = zlib.compressobj(wbits=-15)
    deflated = body.compress(b"text\n") + body.flush()
    extra = struct.pack("<H", 900) + b"e" * 900 + b"name" * 200 + b"\0" + b"comment\0"
    head = b"\x1f\x8b\x08\x1e" + b"\0" * 6 + extra
    head += struct.pack("<H", zlib.crc32(head) & 0xFFFF)
    data = head + deflated + struct.pack("<II", zlib.crc32(b"text\n"), 5)
    assert gzip.decompress(data) == b"text\n"
    for step in (1, 7, 1 << 20):
        assert unpacked(data * 3, step)[0] == b"text\n" * 3


def test_nested_compressions() -> None:
    data = zstd.compress(bz2.compress(gzip.compress(b"deep\n")))
    text, decompression = unpacked(data)
    assert (text, decompression.problem) == (b"deep\n", None)
    assert decompression.codecs == ["zstd", "bzip2", "gzip"]
    data = gzip.compress(data)
    text, decompression = unpacked(data)
    assert text == gzip.compress(b"deep\n")
    assert decompression.problem == f"compressed more than {MAX_NESTING} times over: unpack it"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("step", [1 << 20, 5, 1])
def test_utf_16_and_utf_32_become_utf_8(encoding, packed, step) -> None:
    text = "version srcaddr\n2 10.0.0.1\n\u20ac \U0001f980 \u2028\n"
    data = ("\ufeff" + text).encode(encoding)
    found, decompression = unpacked(gzip.compress(data) if packed else data, step)
    assert (found.decode(), decompression.problem) == (text, None)


def test_damaged_utf_16() -> None:
    text, decompression = unpacked("\ufeffone\ntwo\n".encode("utf-16-le") + b"x")
    assert text == b"one\ntwo\n"
    assert decompression.problem.startswith("damaged UTF-16 text")
    half = "\ufeffa\n".encode("utf-16-le") + b"\x00\xd8" + "\nb\n".encode("utf-16-le")
    found, decompression = unpacked(half)
    assert found == b"a\n\xed\xa0\x80\nb\n"  # invalid UTF-8: only this line is rejected
    assert decompression.problem is None


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([*PACKERS]), st.binary(max_size=200)), max_size=3),
    st.integers(20, 300),
    st.data(),
)
def test_arbitrary_damage_is_survived(members, step, data) -> None:
    packed = bytearray(b"".join(PACKERS[name](text) for name, text in members))
    if packed and data.draw(st.booleans()):
        packed[data.draw(st.integers(0, len(packed) - 1))] ^= data.draw(st.integers(1, 255))
    unpacked(bytes(packed), step)


BOMB = """
import resource, sys
from pathlib import Path
from flowbench.io.stream import EvidenceStream
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
stream = EvidenceStream(Path(sys.argv[1]))
blocks = [(b.first_line, len(b.data), b.oversized) for b in stream.blocks()]
print(blocks, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kilobytes on Linux")
@packer
def test_decompression_bomb_uses_little_memory(name, tmp_path) -> None:
    size = 1 << 27
    path = tmp_path / "bomb"
    if name == "zstd":
        path.write_bytes(zstd.compress(bytes(size)))
    else:
        small = PACKERS[name](bytes(1 << 24))
        path.write_bytes(small * (size >> 24))  # concatenated members
    shown = subprocess.run(
        [sys.executable, "-c", BOMB, str(path)], capture_output=True, text=True, check=True
    ).stdout
    blocks, grown = shown.rsplit(" ", 1)
    assert blocks == f"[(1, 16384, {size})]"
    assert int(grown) < 50_000  # kilobytes: the chunks, and a line up to its limit
