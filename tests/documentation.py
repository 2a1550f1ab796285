"""What tests of the documentation share: the blocks of code of its pages."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import ROOT

PAGES = sorted([*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md"), *ROOT.glob("benchmarks/*.md")])
BLOCK = re.compile(r"^```([^\n`]*)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def blocks(page: Path) -> list[tuple[str, str]]:
    """Return the language and the text of each block of a page."""
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def commands(text: str) -> Iterator[list[str]]:
    """Yield the words of each line of text that calls the command."""
    for line in text.splitlines():
        call = line.strip().removeprefix("$ ").removeprefix(".venv/bin/")
        if call.startswith("flowbench "):
            yield shlex.split(call, comments=True)[1:]


def split_console(text: str) -> list[tuple[str, list[str]]]:
    """Return each command of a console block with the lines that it is shown to print."""
    shown = []
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, *lines = part.splitlines()
        shown.append((command, lines))
    return shown


def assert_shown(lines: list[str], output: str) -> None:
    """Assert that output has the lines shown, in order.

    ``…`` alone stands for lines that are left out, at the end of a line for the rest of it.
    """
    printed = iter(line.rstrip() for line in output.splitlines())
    is_gap = False
    for line in lines:
        if line == "…":
            is_gap = True
            continue
        start, cut, _ = line.partition("…")
        for candidate in printed:
            if candidate == line or (cut and candidate.startswith(start)):
                break
            assert is_gap, f"{line!r} is shown, {candidate!r} is printed"
        else:
            raise AssertionError(f"{line!r} is shown, and not printed")
        is_gap = False
