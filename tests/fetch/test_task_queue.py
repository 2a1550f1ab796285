"""The task queue: counts, rejected requests, and the end on an exception."""

from __future__ import annotations

import threading

import pytest

from flowbench.fetch.aws import AwsRequestError
from flowbench.fetch.outcome import FetchResult
from flowbench.fetch.task_queue import TaskStopped, run_tasks


def run(tasks, workers: int = 2) -> tuple[FetchResult, list[int]]:
    result, progress = FetchResult(), []
    run_tasks(tasks, result, workers=workers, on_progress=progress.append)
    return result, progress


def reject(code: str):
    def task(_: threading.Event) -> int:
        raise AwsRequestError(f"rejected: {code}", code)

    return task


def test_sizes_are_summed_and_rejections_listed() -> None:
    tasks = [("a", lambda _: 3), ("b", reject("AccessDenied")), ("c", lambda _: 4)]
    result, progress = run(tasks)
    assert (result.fetched, result.size) == (2, 7)
    assert result.failures == [("b", "rejected: AccessDenied")]
    assert progress[-1] == 3


def test_a_fatal_rejection_stops_the_queue() -> None:
    started: list[int] = []

    def tasks():
        for number in range(1000):
            started.append(number)
            yield str(number), reject("ExpiredToken")

    with pytest.raises(AwsRequestError, match="ExpiredToken"):
        run(tasks())
    assert len(started) < 50


def test_many_rejections_without_a_success_stop_the_queue() -> None:
    result = FetchResult()
    tasks = ((str(number), reject("AccessDenied")) for number in range(1000))
    with pytest.raises(AwsRequestError):
        run_tasks(tasks, result, workers=2, on_progress=lambda _: None)
    assert len(result.failures) == 50
    mixed = [("first", lambda _: 1), *((str(n), reject("AccessDenied")) for n in range(100))]
    assert len(run(mixed, workers=1)[0].failures) == 100


def test_running_tasks_are_stopped_and_finished_ones_counted() -> None:
    result, running = FetchResult(), threading.Event()
    stopped: list[bool] = []

    def wait(stop: threading.Event) -> int:
        running.set()
        stopped.append(stop.wait(20))
        raise TaskStopped

    def fail(_: threading.Event) -> int:
        assert running.wait(20)
        raise OSError(28, "No space left on device")

    tasks = [("a", lambda _: 5), ("wait", wait), ("fail", fail)]
    with pytest.raises(OSError, match="No space"):
        run_tasks(tasks, result, workers=3, on_progress=lambda _: None)
    assert stopped == [True]
    assert (result.fetched, result.size) == (1, 5)
