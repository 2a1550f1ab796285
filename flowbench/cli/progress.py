"""Progress on stderr: what a command waits for, and bars for what it reads or downloads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

WAITING_SECONDS = 2.0  # after which a wait is shown

Progress = Callable[[int, int, str], None]  # done, total, what is being done


def show_waiting() -> Progress:
    """Return a callback that shows on stderr what the command waits for, until that is done.

    Waits of less than WAITING_SECONDS are not shown.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.status import Status

    status = Status("", console=Console(stderr=True))
    lock = threading.Lock()
    timers: list[threading.Timer] = []

    def show(timer: threading.Timer) -> None:
        with lock:
            if timer in timers:  # not stopped meanwhile
                status.start()

    def stop() -> None:
        with lock:
            for timer in timers:
                timer.cancel()
            timers.clear()
            status.stop()

    def progress(done: int, total: int, what: str) -> None:
        if done >= total:  # a result may be printed from now on
            stop()
            return
        with lock:
            status.update(escape(f"{what} ({done} of {total} done)"))
            if not timers:
                timer = threading.Timer(WAITING_SECONDS, lambda: show(timer))
                timer.daemon = True
                timers.append(timer)
                timer.start()

    click.get_current_context().call_on_close(stop)  # however the command ends
    return progress


@contextmanager
def progress_bar(description: str, *, is_bytes: bool = True) -> Iterator[Progress]:
    """Show a bar on stderr, if that is a terminal, and yield the callback that moves it.

    Args:
        description: What is being done, in front of the bar.
        is_bytes: Whether the callback counts bytes; it counts items otherwise.
    """
    from rich import progress as bars
    from rich.console import Console

    console = Console(stderr=True)
    amount = bars.DownloadColumn() if is_bytes else bars.MofNCompleteColumn()
    with bars.Progress(
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        amount,
        bars.TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task(description, total=None)

        def progress(done: int, total: int, _what: str) -> None:
            bar.update(task, completed=done, total=total)

        yield progress
