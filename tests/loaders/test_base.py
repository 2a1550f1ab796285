"""The file while it is read: what its quarantine keeps of bad records."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowbench.io import blocks, byte_source
from flowbench.io.stream import EvidenceStream
from flowbench.loaders.base import QUARANTINE, File


def opened(folder: Path, data: bytes = b"") -> File:
    path = folder / "x.log"
    path.write_bytes(data)
    return File("x.log", "flow-logs", EvidenceStream(path))


def test_quarantine_row_has_place_reason_and_bytes(tmp_path) -> None:
    file = opened(tmp_path)
    file.quarantine("not a number", line=7, item=3, raw=b"2 x")
    file.quarantine("damaged")
    assert file.quarantined == 2
    assert file.quarantine_rows[0] == {
        "file": "x.log",
        "kind": "flow-logs",
        "line": 7,
        "item": 3,
        "reason": "not a number",
        "raw": "2 x",
        "raw_bytes": 3,
    }
    whole = file.quarantine_rows[1]
    assert (whole["line"], whole["item"], whole["raw"], whole["raw_bytes"]) == (None, None, "", 0)
    rows = QUARANTINE.rows({**row, "evidence_id": "0a"} for row in file.quarantine_rows)
    assert rows["line"].to_pylist() == [7, None]


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        (b"a\0b", "a\\x00b"),
        (b"a\xff\xfeb", "a\\xff\\xfeb"),
        (b'{"password": "s3cr3t"}', '{"password": "[redacted]"}'),
        (b"x" * 10_000, "x" * 4_096),
        ("ü".encode(), "ü"),
    ],
)
def test_hostile_bytes_are_stored_as_text_without_secrets(tmp_path, raw, kept) -> None:
    file = opened(tmp_path)
    file.quarantine("a\0reason\ud800", raw=raw)
    (row,) = file.quarantine_rows
    assert (row["raw"], row["raw_bytes"]) == (kept, len(raw))
    assert row["reason"] == "a\ufffdreason\ufffd"


def test_oversized_line_is_quarantined_with_its_length(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(blocks, "MAX_LINE", 10_000)
    monkeypatch.setattr(byte_source, "_CHUNK", 1_000)
    file = opened(tmp_path, b"one\n" + b"x" * 20_000 + b"\nthree\n")
    found = [(block.first_line, block.data) for block in file.blocks()]
    assert found == [(1, b"one\n"), (3, b"three\n")]
    (row,) = file.quarantine_rows
    assert (row["line"], row["raw_bytes"], row["raw"]) == (2, 20_000, "x" * 39)
    assert row["reason"] == "a line of 20,000 bytes: longer than any record can be"


def test_damage_of_the_file_is_quarantined_after_its_blocks(tmp_path) -> None:
    file = opened(tmp_path, b"\x1f\x8b\x08\x00")
    assert list(file.blocks()) == []
    assert file.quarantine_rows[0]["reason"].startswith("the gzip data ends early")
