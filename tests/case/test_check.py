"""The comparison of a file with its record."""

from __future__ import annotations

import hashlib

import pytest

from flowbench.case.check import compare_file, make_check

SHA256 = hashlib.sha256(b"evidence").hexdigest()


def test_a_file_is_intact_altered_or_missing(tmp_path) -> None:
    path = tmp_path / "a"
    assert compare_file(path, SHA256)[0] == "missing"
    assert compare_file(path / "b", SHA256)[0] == "missing"
    path.write_bytes(b"evidence")
    assert compare_file(path, SHA256, 8) == ("intact", "")
    assert compare_file(path / "b", SHA256)[0] == "missing"
    path.write_bytes(b"evidense")
    result, detail = compare_file(path, SHA256, 8)
    assert result == "altered"
    assert detail.startswith(f"changed (same size): SHA-256 was {SHA256}, is ")
    path.write_bytes(b"")
    assert "(8 bytes when recorded, 0 now)" in compare_file(path, SHA256, 8)[1]


def test_what_cannot_be_read_fails_and_is_not_altered(tmp_path) -> None:
    assert compare_file(tmp_path, SHA256)[0] == "not readable"


@pytest.mark.parametrize(
    ("result", "ok"),
    [
        ("intact", True),
        ("note", True),
        ("not available", True),
        ("altered", False),
        ("missing", False),
        ("not readable", False),
        ("unrecorded", False),
    ],
)
def test_only_what_does_not_match_fails(result, ok) -> None:
    assert make_check("table", "x", result).ok == ok
