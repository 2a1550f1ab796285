"""What commands share: the group, exit codes, options, and how a case is opened."""

from __future__ import annotations

import errno
import functools
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from flowbench.cli.terminal import print_note
from flowbench.errors import FlowbenchError, StoppedError
from flowbench.text import cut_message, escape_controls
from flowbench.version import __version__

if TYPE_CHECKING:
    import ibis
    import pandas as pd
    import pyarrow as pa

    from flowbench.case import Case

EXIT_PROBLEMS = 1  # the check was done and found problems
EXIT_USAGE = 2  # the usage or the input is wrong
EXIT_ERROR = 70  # an error in flowbench; EX_SOFTWARE of sysexits.h
EXIT_STOPPED = 130  # by Ctrl-C: 128 and the number of the signal, as shells report it

MAX_TERMINAL_ROWS = 200  # rows that a terminal gets without --limit
COLUMNS_HELP = (
    "Column names of CSV indicator lists: 'indicator=IP,kind=Threat,valid_until=Expires'"
    " (also feed, confidence, valid_from, port, description)."
)
_NOT_WRITTEN = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG)
_NO_PATH = (errno.ENAMETOOLONG, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ELOOP)
_FORMATS = ("table", "json", "jsonl", "csv", "parquet")  # output.FORMATS, without importing it


class CommandGroup(click.Group):
    """A group of commands, listed as they were added, whose errors are one line."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run as a program."""
        _interrupt_queries_on_sigint()
        if sys.stdout is None or sys.stderr is None:  # closed by who started it: `>&-`
            _open_closed_streams()
        try:
            try:
                return super().__call__(*args, **kwargs)
            except SystemExit:
                _flush_answer()
                raise
        except Exception:  # noqa: BLE001  # Python's exit code would be that of a failed check
            traceback.print_exc()
            note("flowbench: an internal error: please report it with the lines above")
            sys.exit(EXIT_ERROR)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """Return the names of the commands in the order in which they were added."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command and turn errors into a message and an exit code."""
        try:
            return super().invoke(ctx)
        except FlowbenchError as error:
            note(f"flowbench: {escape_controls(error)}")
            sys.exit(EXIT_STOPPED if isinstance(error, StoppedError) else EXIT_USAGE)
        except KeyboardInterrupt:
            _exit_stopped()
        except BrokenPipeError:  # `flowbench flows … | head`
            sys.stderr.close()
            sys.exit(0)
        except click.ClickException as error:
            full = error.format_message()
            if (cut := cut_message(full)) == full:
                raise
            raise click.UsageError(cut, getattr(error, "ctx", None)) from None
        except OSError as error:
            if error.errno in _NO_PATH and error.filename is not None:
                note(cut_message(f"flowbench: {escape_controls(error.filename)}: {error.strerror}"))
                sys.exit(EXIT_USAGE)
            if error.errno not in _NOT_WRITTEN or error.filename is not None:
                raise
            _exit_not_written(error)
        except Exception as error:
            if is_interrupt(error):
                _exit_stopped()
            if "duckdb" not in type(error).__module__:
                raise
            # An engine error that no module foresaw: most likely a damaged table.
            first = escape_controls(cut_message(str(error).splitlines()[0]))
            note(f"flowbench: the case's tables cannot be read: {first}")
            note("`flowbench verify CASE` lists what changed since it was loaded.")
            sys.exit(EXIT_USAGE)


def _interrupt_queries_on_sigint() -> None:
    """Interrupt running queries at Ctrl-C, which the engine does not see while it is busy."""
    if threading.current_thread() is not threading.main_thread():
        return
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)

    def wait(reader: socket.socket, _writer: socket.socket) -> None:
        while signals := reader.recv(64):
            engine = sys.modules.get("flowbench.engine")  # not imported: no query is running
            if engine is not None and signal.SIGINT in signals:
                engine.interrupt()

    threading.Thread(target=wait, args=(reader, writer), daemon=True).start()


def _open_closed_streams() -> None:
    """Give closed standard streams a place to write to, and refuse to lose an answer."""
    is_answer_lost = sys.stdout is None
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
    if is_answer_lost:
        note("flowbench: standard output is closed: the answer cannot be written")
        sys.exit(EXIT_USAGE)


def _flush_answer() -> None:
    """Write what is left of the answer, so that a full disk is no silent loss."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        sys.stderr.close()
    except OSError as error:
        _exit_not_written(error)


def _exit_not_written(error: OSError) -> NoReturn:
    note(f"flowbench: cannot write the answer: {error.strerror}")
    # Python would try again at its end, and fail with a traceback.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(EXIT_USAGE)


def _exit_stopped() -> NoReturn:
    note("flowbench: stopped")
    sys.exit(EXIT_STOPPED)


def is_interrupt(error: BaseException) -> bool:
    """Return whether an error is how the engine reports Ctrl-C during a query."""
    return type(error).__name__ == "InterruptException" or (
        type(error) is RuntimeError and str(error) == "Query interrupted"
    )


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="flowbench")
def main() -> None:
    """Cloud network forensics on VPC flow logs: from evidence to findings, timeline and report.

    Start with `flowbench demo`, or with your own logs:

    \b
      flowbench new CASE
      flowbench ingest CASE LOGS…
      flowbench detect CASE
      flowbench report CASE

    All times are UTC. Exit codes: 0 done, 1 the check found problems, 2 usage or input wrong, 70 an
    error in flowbench, 130 stopped by Ctrl-C.
    """  # noqa: D301  # click looks for the character


def note(text: str) -> None:
    """Print a note to stderr, which keeps stdout for the result."""
    print_note(text)


@dataclass(frozen=True)
class Output:
    """How and where a command writes its result."""

    format: str = "table"
    path: Path | None = None

    @property
    def is_terminal(self) -> bool:
        """Whether the result is a table for a person to read, not a file or a data format."""
        return self.format == "table" and self.path is None

    def write(
        self, data: pd.DataFrame | pa.RecordBatchReader, columns: Sequence[str] | None = None
    ) -> None:
        """Write a frame or a stream; ``columns`` are those that a terminal shows."""
        from flowbench.cli import output

        output.write(data, self.format, self.path, columns=columns)

    def write_table(
        self, case: Case, rows: ibis.Table, columns: Sequence[str] | None, limit: int | None
    ) -> None:
        """Write ``limit`` rows of a case's table, and note on a terminal how many there are."""
        row_limit = limit or (MAX_TERMINAL_ROWS if self.is_terminal else None)
        self.write(case.stream(rows.limit(row_limit) if row_limit else rows), columns)
        if self.is_terminal and row_limit:
            _note_rows(rows.count().execute(), row_limit)

    def write_frame(
        self, rows: pd.DataFrame, columns: Sequence[str] | None, limit: int | None
    ) -> None:
        """Write ``limit`` rows of a frame, and note how many there are; a pipe gets all."""
        is_limited = self.is_terminal and sys.stdout.isatty()
        row_limit = limit or (MAX_TERMINAL_ROWS if is_limited else None)
        self.write(rows.head(row_limit) if row_limit else rows, columns)
        if self.is_terminal:
            _note_rows(len(rows), row_limit or len(rows))


def _note_rows(count: int, limit: int) -> None:
    if count > limit:
        note(f"{limit:,} of {count:,} rows; --limit or --format for more")
    elif not count:
        note("no rows")


_OUTPUTS = ("output", "output_path", "figure")  # options that name a file to write


def output_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add --format and --output, which the command gets as ``out``, an Output."""

    @functools.wraps(command)
    def run(*args: Any, output_format: str, output_path: Path | None, **kwargs: Any) -> None:
        command(*args, out=Output(output_format, output_path), **kwargs)

    add_path = click.option(
        "-o",
        "--output",
        "output_path",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Write the result to FILE instead of standard output.",
    )
    add_format = click.option(
        "--format",
        "output_format",
        type=click.Choice(_FORMATS),
        default="table",
        show_default=True,
        help="Format of the result.",
    )
    return add_format(add_path(run))


def case_argument(command: Callable[..., None]) -> Callable[..., None]:
    """Add the argument CASE: the case folder."""
    return click.argument("case", type=click.Path(path_type=Path))(command)


def limit_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add --limit."""
    return click.option(
        "--limit",
        type=click.IntRange(1),
        metavar="N",
        help=f"Show at most N rows.  [default: {MAX_TERMINAL_ROWS} on a terminal, else all]",
    )(command)


def check_outputs(case: Case) -> None:
    """Raise InputError if the command would write over evidence or over the case."""
    from flowbench.case.outputs import check_output

    given = click.get_current_context().params
    for name in _OUTPUTS:
        if target := given.get(name):
            check_output(case, target)


def open_case(path: Path) -> Case:
    """Open the case in a folder; on a terminal, long waits are shown.

    Raises CaseError; and InputError if the command would write over evidence or the case.
    """
    from flowbench.case import Case
    from flowbench.cli.progress import show_waiting

    case = Case.open(path)
    check_outputs(case)
    if sys.stderr.isatty():
        case.progress = show_waiting()
    return case
