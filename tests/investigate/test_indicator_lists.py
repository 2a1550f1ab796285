"""Indicator lists of a hunt: bad lines are skipped and reported; other files are an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowbench.errors import InputError
from flowbench.investigate.indicator_lists import UNREADABLE, read_lists

GOOD = "203.0.113.5"


def read(folder: Path, content: bytes | str, name: str = "list.txt") -> tuple[list[str], list[int]]:
    data = content if isinstance(content, bytes) else content.encode()
    (folder / name).write_bytes(data)
    indicators, unreadable = read_lists([folder / name], folder / "case")
    assert list(unreadable.columns) == UNREADABLE.columns
    assert all(unreadable["reason"])
    return indicators["indicator"].to_pylist(), unreadable["line"].tolist()


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (f"{GOOD}\n", []),
        (f"{GOOD}\nnot an indicator\n", [2]),
        (f"not an indicator\nfoo bar baz\n{GOOD}\n", [1, 2]),
        (f"999.1.1.1\n{GOOD}\n10.0.0.0/99\n", [1, 3]),
        (f"# a comment\n\n{GOOD}\n:::\n", [4]),
        (f"indicator,kind\n{GOOD},c2\nfoo bar,c2\n", [3]),
        (b"\x80\x81\x01\n" + GOOD.encode() + b"\n", [1]),
    ],
)
def test_bad_lines_are_skipped_and_named(
    tmp_path: Path, content: bytes | str, lines: list[int]
) -> None:
    assert read(tmp_path, content) == ([GOOD], lines)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("# Notes\n\nNothing of any kind.\n", "is not an indicator list: of no kind"),
        ("", "is not an indicator list: the file is empty"),
        ('{"a": 1}', "is not an indicator list: JSON of no kind"),
        (b"\x7fELF\0\0\0\0" * 9, "is not an indicator list: binary data"),
        (
            "2 123456789012 eni-1 10.0.0.1 10.0.0.2 1 2 6 1 40 1788232200 1788232259 ACCEPT OK\n",
            "is not an indicator list: it looks like flow-logs",
        ),
        ("indicator,kind\nfoo bar,c2\n", "not an indicator list: "),
    ],
)
def test_what_is_no_list_is_refused(tmp_path: Path, content: bytes | str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        read(tmp_path, content)


def test_other_files_in_a_folder_are_skipped(tmp_path: Path) -> None:
    folder = tmp_path / "feeds"
    folder.mkdir()
    (folder / "README.md").write_text("# Feeds\n\nHow they were made.\n")
    (folder / "list.txt").write_text(f"{GOOD}\n")
    indicators, unreadable = read_lists([folder], tmp_path / "case")
    assert indicators["indicator"].to_pylist() == [GOOD]
    ((file, reason),) = unreadable[["file", "reason"]].to_numpy().tolist()
    assert file.endswith("README.md")
    assert reason.startswith("not an indicator list: it looks like documentation")
    (folder / "list.txt").unlink()
    with pytest.raises(InputError, match="no indicator list"):
        read_lists([folder], tmp_path / "case")
