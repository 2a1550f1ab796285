"""Many small tasks in a few threads, which end well however they end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice

from flowbench.fetch.aws import Refused
from flowbench.fetch.outcome import Done

Task = Callable[[threading.Event], int]  # gives the bytes that came; stops when told to

_AHEAD = 4  # tasks that wait for each thread: there may be a million
_HOPELESS = 50  # refused, and none had: the others will be refused too


class Stopped(Exception):
    """A task was told to stop."""


def run(
    tasks: Iterable[tuple[str, Task]], done: Done, *, workers: int, tick: Callable[[int], None]
) -> None:
    """Run tasks (name, what to do) and count what came of them in ``done``.

    One that AWS refuses stands in ``done.failed`` and stops no other, unless it would refuse all of
    them. ``tick`` is called again and again with the number that ended. Raises Refused; on any
    exception, Ctrl-C too, the tasks under way are stopped and waited for.
    """
    stop = threading.Event()
    left, ended = iter(tasks), 0
    waiting: dict[Future[int], str] = {}
    with ThreadPoolExecutor(workers) as pool:
        try:
            while True:
                for name, task in islice(left, workers * _AHEAD - len(waiting)):
                    waiting[pool.submit(task, stop)] = name
                if not waiting:
                    return
                ready, _ = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
                for job in ready:
                    _note(job, waiting.pop(job), done)
                ended += len(ready)
                tick(ended)
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
            came = [job.result() for job in waiting if _came(job)]
            done.fetched += len(came)
            done.size += sum(came)


def _note(job: Future[int], name: str, done: Done) -> None:
    try:
        done.size += job.result()
        done.fetched += 1
    except Refused as refused:
        done.failed.append((name, str(refused)))
        if refused.everywhere or (len(done.failed) >= _HOPELESS and not done.fetched):
            raise


def _came(job: Future[int]) -> bool:
    return job.done() and not job.cancelled() and job.exception() is None
