"""The comparison of a file with its record."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from flowbench.case import check
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


def test_what_cannot_be_read_fails_and_is_not_altered(tmp_path, monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    (tmp_path / "a").write_bytes(b"evidence")
    monkeypatch.setattr(check, "digest", refuse)
    result, detail = compare_file(tmp_path / "a", SHA256)
    assert (result, detail.endswith("Permission denied")) == ("not readable", True)


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
        ("not trusted", False),
    ],
)
def test_only_what_does_not_match_fails(result, ok) -> None:
    assert make_check("table", "x", result).ok == ok


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "link to a device"])
def test_what_is_no_regular_file_is_altered_and_not_waited_for(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "part"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path = Path("/dev/zero")
    else:
        path.symlink_to("/dev/zero")
    result, detail = compare_file(path, "0" * 64)
    assert (result, detail) == ("altered", f"{path} is not a regular file")
