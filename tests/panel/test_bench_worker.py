"""The thread of the hunting bench: the latest task runs, earlier ones end."""

from __future__ import annotations

import threading

from flowbench.panel.bench_worker import Task, Worker


def test_a_newer_task_stops_the_one_that_runs() -> None:
    started, interrupted, done = threading.Event(), threading.Event(), []
    worker = Worker(interrupted.set)

    def wait(task: Task) -> None:
        started.set()
        interrupted.wait(5)
        task.check()
        done.append("never")

    worker.start(wait)
    assert started.wait(5)
    worker.start(lambda _task: done.append("newer"))
    worker.wait(5)
    assert done == ["newer"]


def test_nothing_is_stopped_without_a_task() -> None:
    calls: list[int] = []
    worker = Worker(lambda: calls.append(1))
    worker.stop()
    worker.wait()
    assert calls == []
