"""Progress on stderr, if that is a terminal: one line, written again as the work goes on.

The line is written at most once in REFRESH_SECONDS, and only when its text has changed, so that a
recorded terminal session has few of them. It is cleared before a result is printed.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from flowbench.cli.terminal import DEFAULT_WIDTH, find_width
from flowbench.text import escape_controls, format_bytes, format_duration

WAITING_SECONDS = 2.0  # after which a wait is shown
REFRESH_SECONDS = 1.0
QUIET_SECONDS = 10.0  # after which an unchanged line is written with the elapsed time

Progress = Callable[[int, int, str], None]  # done, total, what is being done

_CLEAR = "\r\x1b[2K"


def show_waiting() -> Progress:
    """Return a callback that shows what the command waits for, until that is done.

    Waits of less than WAITING_SECONDS are not shown.
    """
    line = _StatusLine(delay=WAITING_SECONDS)

    def progress(done: int, total: int, what: str) -> None:
        if done >= total:  # a result may be printed from now on
            line.clear()
        else:
            line.update(f"{what} ({done:,} of {total:,} done)")

    click.get_current_context().call_on_close(line.clear)  # however the command ends
    return progress


@contextmanager
def progress_bar(description: str, *, is_bytes: bool = True) -> Iterator[Progress]:
    """Yield a callback that shows how much is done, until the context ends.

    Args:
        description: What is being done, in front of the amounts.
        is_bytes: Whether the callback counts bytes; it counts items otherwise.
    """
    line = _StatusLine(delay=REFRESH_SECONDS / 2)
    started = time.monotonic()

    def progress(done: int, total: int, _what: str) -> None:
        amounts = [format_bytes(n) if is_bytes else f"{n:,}" for n in (done, total)]
        text = f"{description}: {amounts[0]} of {amounts[1]}"
        passed = time.monotonic() - started
        if 0 < done < total and passed > REFRESH_SECONDS:
            text += f", about {format_duration(passed * (total - done) / done)} left"
        line.update(text)

    try:
        yield progress
    finally:
        line.clear()


class _StatusLine:
    """The line. A thread writes it, so that long steps show the elapsed time."""

    def __init__(self, delay: float) -> None:
        self._delay = delay  # seconds before it is first shown
        self._text = ""
        self._is_shown = False
        self._stopped: threading.Event | None = (
            None  # of the thread that writes, while there is one
        )
        self._lock = threading.Lock()
        self._is_used = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def update(self, text: str) -> None:
        """Set the text of the line."""
        if not self._is_used:
            return
        self._text = text
        if self._stopped is None:
            self._stopped = threading.Event()
            threading.Thread(target=self._write, args=(self._stopped,), daemon=True).start()

    def clear(self) -> None:
        """Remove the line until the next update."""
        with self._lock:  # what is being written is complete
            if self._stopped is not None:
                self._stopped.set()
                self._stopped = None
            if self._is_shown:
                self._print(_CLEAR)
                self._is_shown = False

    def _write(self, stopped: threading.Event) -> None:
        started = written_at = time.monotonic()
        written, wait = "", self._delay
        while not stopped.wait(wait):
            wait, now, text = REFRESH_SECONDS, time.monotonic(), self._text
            if text == written and now - written_at < QUIET_SECONDS:
                continue
            shown = text if text != written else f"{text}, {format_duration(now - started)}"
            with self._lock:
                if not stopped.is_set():
                    width = find_width(sys.stderr) or DEFAULT_WIDTH
                    self._print(_CLEAR + escape_controls(shown)[: width - 1])
                    self._is_shown = True
            written, written_at = text, now

    def _print(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()
