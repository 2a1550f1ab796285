"""Progress: kept over kernels, whatever somebody has written into the file."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from flowbench.training.progress import FILE, Attempts, Progress


def solve(before: Attempts) -> Attempts:
    return replace(before, wrong=before.wrong + 1, solved=True)


def test_progress_is_kept(tmp_path: Path) -> None:
    first, second = Progress(tmp_path / "work"), Progress(tmp_path / "work")
    assert first.read() == {}
    assert first.update("a", "1", solve) == Attempts(wrong=1, solved=True)
    second.update("a", "2", solve)  # another notebook
    second.update("b", "1", lambda before: replace(before, hints=2))
    assert Progress(tmp_path / "work").read() == {
        "a": {"1": Attempts(wrong=1, solved=True), "2": Attempts(wrong=1, solved=True)},
        "b": {"1": Attempts(hints=2)},
    }
    assert first.warning == ""


@pytest.mark.parametrize(
    ("attempts", "points"),
    [
        (Attempts(), 4),
        (Attempts(wrong=9), 4),
        (Attempts(hints=1), 3),
        (Attempts(hints=1, penalties=1), 2),
        (Attempts(hints=9), 1),
    ],
)
def test_a_hint_costs_a_point_and_one_point_stays(attempts: Attempts, points: int) -> None:
    assert attempts.points == points


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b'{"format": 2}',
        b'{"format": 1, "lessons": []}',
        b'{"format": 1, "lessons": {"a": []}}',
        b'{"format": 1, "lessons": {"a": {"1": 5}}}',
        b'{"format": 1, "lessons": {"a": {"1": {"wrong": -1}}}}',
        b'{"format": 1, "lessons": {"a": {"1": {"hints": 1e999}}}}',
        b'{"format": 1, "lessons": {"a": {"1": {"hints": true}}}}',
        b"[" * 100_000,
        b" " * 1_000_001,
    ],
)
def test_a_file_that_cannot_be_used_is_renamed(tmp_path: Path, data: bytes) -> None:
    (tmp_path / FILE).write_bytes(data)
    progress = Progress(tmp_path)
    assert progress.update("a", "1", solve) == Attempts(wrong=1, solved=True)
    assert progress.warning.endswith(
        "cannot be read: progress starts anew, and the file is now progress-unreadable.json."
    )
    assert (tmp_path / "progress-unreadable.json").read_bytes() == data
    assert json.loads((tmp_path / FILE).read_text())["lessons"]["a"]["1"]["solved"] is True


def test_odd_names_and_claims_are_data(tmp_path: Path) -> None:
    content = {"a": {"\ud800<b>": {"wrong": 1, "solved": "yes", "more": 1}}}
    (tmp_path / FILE).write_text(json.dumps({"format": 1, "lessons": content}))
    progress = Progress(tmp_path)
    progress.update("b", "1", solve)
    assert progress.read()["a"] == {"\ud800<b>": Attempts(wrong=1)}


def test_a_folder_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "work").write_text("a file")
    progress = Progress(tmp_path / "work")
    assert progress.update("a", "1", solve).solved
    assert "Progress cannot be kept in" in progress.warning
    assert progress.update("a", "1", lambda before: before).solved  # as long as the object lasts


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / FILE)
    assert Progress(tmp_path).read() == {}
