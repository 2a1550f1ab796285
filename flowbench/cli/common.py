"""What every command shares: the group, how errors end, options, and how a case is opened."""

from __future__ import annotations

import ipaddress
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from flowbench import __version__
from flowbench.errors import FlowbenchError, InputError, StoppedError

if TYPE_CHECKING:
    from flowbench.case import Case

BAD_ANSWER = 1  # the question was answered, and the answer is bad news
BAD_INPUT = 2  # the question could not be asked that way
PATIENCE = 2.0  # seconds after which a wait is explained
STOPPED = 130  # by Ctrl-C: 128 and the number of the signal, as shells have it

COLUMNS = (
    "What CSV indicator lists call their columns: 'indicator=IP,kind=Threat,valid_until=Expires'"
    " (also feed, confidence, valid_from, port, description)."
)
_FORMATS = ("table", "json", "jsonl", "csv", "parquet")  # output.FORMATS, without importing it


class _Command(click.Group):
    """A group whose commands end in one plain line, never in a stack trace."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run as a program."""
        _listen()
        return super().__call__(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:  # click's own signature
        try:
            return super().invoke(ctx)
        except FlowbenchError as error:
            from flowbench.text import escape_controls

            click.echo(f"flowbench: {escape_controls(error)}", err=True)
            sys.exit(STOPPED if isinstance(error, StoppedError) else BAD_INPUT)
        except KeyboardInterrupt:
            _stopped()
        except BrokenPipeError:  # `flowbench flows … | head`
            sys.stderr.close()
            sys.exit(0)
        except Exception as error:
            if _interrupted(error):
                _stopped()
            # The engine's own errors: something in the case's tables that nobody foresaw.
            if "duckdb" not in type(error).__module__:
                raise
            first = str(error).splitlines()[0]
            click.echo(f"flowbench: the case's tables cannot be read: {first}", err=True)
            click.echo("`flowbench verify CASE` tells what changed since loading.", err=True)
            sys.exit(BAD_INPUT)


def _listen() -> None:
    """Have the engine's queries end at Ctrl-C: on a busy machine they do not hear it themselves."""
    if threading.current_thread() is not threading.main_thread():
        return
    ours, pythons = socket.socketpair()
    pythons.setblocking(False)
    signal.set_wakeup_fd(pythons.fileno(), warn_on_full_buffer=False)

    def wait(ours: socket.socket, _pythons: socket.socket) -> None:
        while told := ours.recv(64):
            engine = sys.modules.get("flowbench.engine")  # not imported: nothing is running
            if engine is not None and signal.SIGINT in told:
                engine.interrupt()

    threading.Thread(target=wait, args=(ours, pythons), daemon=True).start()


def _stopped() -> NoReturn:
    click.echo("flowbench: stopped", err=True)
    sys.exit(STOPPED)


def _interrupted(error: BaseException) -> bool:
    """Whether it is Ctrl-C, as the engine says it when a query was running."""
    return type(error).__name__ == "InterruptException" or (
        type(error) is RuntimeError and str(error) == "Query interrupted"
    )


@click.group(cls=_Command, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="flowbench")
def main() -> None:
    """Cloud network forensics on VPC flow logs: from evidence to findings, timeline and report.

    Start with `flowbench demo`, or with your own logs:

    \b
      flowbench new CASE
      flowbench ingest CASE LOGS…
      flowbench detect CASE
      flowbench report CASE

    All times are UTC. Exit codes: 0 done, 1 the answer is bad (verify), 2 usage or input wrong,
    130 stopped by Ctrl-C.
    """  # noqa: D301  # click looks for the character


def case_argument(command: Callable[..., None]) -> Callable[..., None]:
    """The case folder that nearly every command works on."""
    return click.argument("case", type=click.Path(path_type=Path))(command)


def answers(command: Callable[..., None]) -> Callable[..., None]:
    """The two options of every command that answers with a table."""
    command = click.option(
        "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to a file."
    )(command)
    return click.option(
        "--format",
        "form",
        type=click.Choice(_FORMATS),
        default="table",
        show_default=True,
        help="How the answer is written.",
    )(command)


def open_case(path: Path) -> Case:
    """The case in a folder. Raises CaseError when there is none."""
    from flowbench.case import Case

    case = Case.open(path)
    if sys.stderr.isatty():
        case.progress = _waiting()
    return case


def _waiting() -> Callable[[int, int, str], None]:
    """What tells on stderr what a command waits for, from ``PATIENCE`` on, until that is done."""
    import threading

    from rich.console import Console
    from rich.markup import escape
    from rich.status import Status

    status = Status("", console=Console(stderr=True))
    turn = threading.Lock()
    timers: list[threading.Timer] = []

    def show(mine: threading.Timer) -> None:
        with turn:
            if mine in timers:  # not stopped meanwhile
                status.start()

    def stop() -> None:
        with turn:
            for timer in timers:
                timer.cancel()
            timers.clear()
            status.stop()

    def progress(done: int, steps: int, what: str) -> None:
        if done >= steps:  # an answer may be printed from now on
            stop()
            return
        with turn:
            status.update(escape(f"{what} ({done} of {steps} done)"))
            if not timers:
                timer = threading.Timer(PATIENCE, lambda: show(timer))
                timer.daemon = True
                timers.append(timer)
                timer.start()

    click.get_current_context().call_on_close(stop)  # however the command ends
    return progress


def canonical(text: str | None) -> str | None:
    """An address as the logs spell it; a typo must not read as a host that never spoke."""
    try:
        return None if text is None else str(ipaddress.ip_address(text))
    except ValueError:
        raise InputError(f"{text} is no address") from None


def checkout(place: str) -> Path:
    """A folder of the checkout that this flowbench runs from, or of where the user stands."""
    for root in (Path.cwd(), Path(__file__).resolve().parents[2]):
        if (root / place).is_dir():
            return root / place
    raise InputError(f"there is no {place} here: run this from a checkout of flowbench")
