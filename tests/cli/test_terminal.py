"""Tests of the width of a terminal."""

from __future__ import annotations

import io
import os
import struct
import sys

import pytest

from flowbench.cli.terminal import find_width, print_note
from tests.cli.running import on_terminal

posix = pytest.mark.skipif(sys.platform == "win32", reason="terminals are POSIX")


@posix
@pytest.mark.parametrize(
    ("columns", "variable", "width"),
    [(100, None, 100), (0, None, 80), (100, "132", 132), (100, "0", 100), (100, "wide", 100)],
)
def test_the_width_of_a_terminal(
    columns: int, variable: str | None, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    if variable is not None:
        monkeypatch.setenv("COLUMNS", variable)
    import fcntl
    import termios

    reader, writer = os.openpty()
    fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    with open(writer, "w", encoding="utf-8") as terminal:  # noqa: PTH123  # a descriptor
        assert find_width(terminal) == width
    os.close(reader)


def test_other_streams_have_none() -> None:
    assert find_width(io.StringIO()) is None


@posix
def test_a_note_is_broken_between_words() -> None:
    shown = on_terminal(30, lambda: print_note("  10.40.0.203 was seen at 2026-09-01 19:12 UTC"))
    assert shown.splitlines() == ["  10.40.0.203 was seen at", "  2026-09-01 19:12 UTC"]
