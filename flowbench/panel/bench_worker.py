"""One thread that does the latest task: a newer one, or the user, stops the one that is running."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Stopped(Exception):
    """The task was stopped."""


class Task:
    """A task that is running."""

    def __init__(self) -> None:
        self.is_stopped = False

    def check(self) -> None:
        """Raise Stopped if the task is to end."""
        if self.is_stopped:
            raise Stopped


class Worker:
    """Runs one task at a time in a thread, so that the notebook answers meanwhile.

    Args:
        interrupt: Ends what the task waits for, from another thread.
    """

    def __init__(self, interrupt: Callable[[], None]) -> None:
        self._interrupt = interrupt
        self._thread: threading.Thread | None = None
        self._task = Task()

    def start(self, act: Callable[[Task], None]) -> None:
        """Stop the running task, and do another; ``act`` ends when its task is stopped."""
        self.stop()
        self._task = task = Task()

        def run() -> None:
            try:
                act(task)
            except Stopped:
                return

        self._thread = threading.Thread(target=run, daemon=True, name="flowbench-bench")
        self._thread.start()

    def stop(self) -> None:
        """Stop the running task, and wait for its end."""
        self._task.is_stopped = True
        while self._thread is not None and self._thread.is_alive():
            self._interrupt()  # again: it may have started another query just now
            self._thread.join(0.02)

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the running task is done; for programs and tests."""
        if self._thread is not None:
            self._thread.join(timeout)
