"""The width of the terminal that a stream writes to, and notes on it."""

from __future__ import annotations

import os
import sys
from typing import TextIO

import click

DEFAULT_WIDTH = 80  # of a terminal that does not report its width


def find_width(stream: TextIO) -> int | None:
    """Return the characters of a line, or None if the stream is no terminal.

    The environment variable COLUMNS overrides the width that the terminal reports.
    """
    if not stream.isatty():
        return None
    if (columns := os.environ.get("COLUMNS", "")).isdecimal() and int(columns):
        return int(columns)
    try:
        return os.get_terminal_size(stream.fileno()).columns or DEFAULT_WIDTH
    except (OSError, ValueError):
        return DEFAULT_WIDTH


def print_note(text: str) -> None:
    """Print a note to stderr; on a terminal, lines are broken between words."""
    if width := find_width(sys.stderr):
        from flowbench.cli.table import wrap

        indent = " " * (len(text) - len(text.lstrip(" ")))
        lines = wrap(text.lstrip(" "), max(width - len(indent), 1))
        text = "\n".join(indent + line for line in lines)
    click.echo(text, err=True)
