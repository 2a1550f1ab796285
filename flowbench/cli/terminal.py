"""The width of the terminal that a stream writes to."""

from __future__ import annotations

import os
from typing import TextIO

DEFAULT_WIDTH = 80  # of a terminal that does not say


def find_width(stream: TextIO) -> int | None:
    """Return the characters of a line, or None if the stream is no terminal.

    The environment variable COLUMNS overrides what the terminal says.
    """
    if not stream.isatty():
        return None
    if (columns := os.environ.get("COLUMNS", "")).isdecimal() and int(columns):
        return int(columns)
    try:
        return os.get_terminal_size(stream.fileno()).columns or DEFAULT_WIDTH
    except (OSError, ValueError):
        return DEFAULT_WIDTH
