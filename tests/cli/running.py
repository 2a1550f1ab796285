"""Run the command in tests, as a person types it."""

from __future__ import annotations

import contextlib
import os
import re
import struct
import sys
import threading
from collections.abc import Callable
from unittest import mock

from click.testing import CliRunner, Result

from flowbench.cli import main

RECORD = (
    "2 123456789012 eni-0a 10.0.1.10 198.51.100.7 51544 443 6 18 3120"
    " 1788232200 1788232259 ACCEPT OK"
)
NODATA = "2 unknown eni-1 - - - - - - - 1788232200 1788232259 - NODATA"


def run(*arguments: object) -> Result:
    """Run the command; anything but an exit code is an error of the test."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    if isinstance(result.exception, Exception):
        raise result.exception
    return result


def load(case: object, *paths: object) -> Result:
    """Load evidence without connections, which take a second of processor time."""
    result = run("ingest", "--no-connections", case, *paths)
    assert result.exit_code == 0, result.output
    return result


def run_on_terminal(width: int, *arguments: object) -> str:
    """Run the command on a pseudo-terminal; return what that received, without its colours."""

    def command() -> None:
        with contextlib.suppress(SystemExit):
            main.main([str(argument) for argument in arguments], prog_name="flowbench")

    return on_terminal(width, command)


def on_terminal(width: int, act: Callable[[], object]) -> str:
    """Do something with a pseudo-terminal of this width as standard output and error."""
    import fcntl  # neither on Windows, where no test calls this
    import termios

    reader, writer = os.openpty()
    fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    received: list[bytes] = []
    thread = threading.Thread(target=_read_all, args=(reader, received))
    thread.start()
    environment = {name: text for name, text in os.environ.items() if name != "COLUMNS"}
    with (
        open(writer, "w", encoding="utf-8", buffering=1) as terminal,  # noqa: PTH123  # a descriptor
        mock.patch.dict(os.environ, environment | {"TERM": "xterm"}, clear=True),
        mock.patch.object(sys, "stdout", terminal),
        mock.patch.object(sys, "stderr", terminal),
    ):
        act()
    thread.join()
    os.close(reader)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", b"".join(received).decode())


def _read_all(reader: int, received: list[bytes]) -> None:
    try:
        while piece := os.read(reader, 65_536):
            received.append(piece)
    except OSError:  # Linux: the other end is closed
        pass
