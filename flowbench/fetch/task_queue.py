"""A bounded queue of download tasks for a pool of threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice

from flowbench.fetch.aws import AwsRequestError
from flowbench.fetch.outcome import FetchResult

Task = Callable[[threading.Event], int]  # returns the bytes fetched; ends when the event is set

_QUEUED_PER_WORKER = 4  # there may be a million tasks
_MAX_FAILURES = 50  # with no success among them: the rest would fail too


class TaskStopped(Exception):
    """A task ended because its stop event was set."""


def run_tasks(
    tasks: Iterable[tuple[str, Task]],
    result: FetchResult,
    *,
    workers: int,
    on_progress: Callable[[int], None],
) -> None:
    """Run tasks, each with the name of its item, and count their outcomes in ``result``.

    A request that AWS rejects is listed in ``result.failures`` and does not stop the others,
    unless every request would be rejected. On any exception, Ctrl-C included, running tasks are
    stopped and awaited.

    Args:
        tasks: Pairs of an item's name and the task that fetches it.
        result: Counts what was fetched and lists what failed.
        workers: The number of threads.
        on_progress: Called repeatedly with the number of tasks that ended.

    Raises:
        AwsRequestError: Every further request would fail in the same way.
    """
    stop = threading.Event()
    remaining, ended = iter(tasks), 0
    running: dict[Future[int], str] = {}
    with ThreadPoolExecutor(workers) as pool:
        try:
            while True:
                for name, task in islice(remaining, workers * _QUEUED_PER_WORKER - len(running)):
                    running[pool.submit(task, stop)] = name
                if not running:
                    return
                finished, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
                for future in finished:
                    _count(future, running.pop(future), result)
                ended += len(finished)
                on_progress(ended)
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
            sizes = [future.result() for future in running if _has_succeeded(future)]
            result.fetched += len(sizes)
            result.size += sum(sizes)


def _count(future: Future[int], name: str, result: FetchResult) -> None:
    try:
        result.size += future.result()
        result.fetched += 1
    except AwsRequestError as error:
        result.failures.append((name, str(error)))
        if error.is_fatal or (len(result.failures) >= _MAX_FAILURES and not result.fetched):
            raise


def _has_succeeded(future: Future[int]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None
