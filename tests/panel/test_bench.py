"""The hunting bench: every view is a function of its state; messages change the state."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from flowbench import panel
from flowbench.case import Case
from flowbench.errors import InputError
from flowbench.panel.bench import HuntingBench
from flowbench.panel.bench_state import BenchState, History
from tests.incident_case import HOST, POOL


@pytest.fixture(scope="module")
def _opened(_prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> HuntingBench:
    path = shutil.copytree(_prepared, tmp_path_factory.mktemp("bench") / "incident")
    return panel.bench(Case.open(path))


@pytest.fixture
def bench(_opened: HuntingBench) -> HuntingBench:
    _opened.history = History()
    _opened.state = BenchState(page=1)  # another state, so that the next one is drawn
    _opened.state = BenchState()
    _opened.wait(60)
    return _opened


def send(bench: HuntingBench, action: str, **details: Any) -> None:
    bench._on_message(bench.view, {"action": action, **details}, [])
    bench.wait(60)


def labels(bench: HuntingBench, part: int = 0) -> list[str]:
    return [item["label"] for item in bench.view.bars[part]["items"]]


def test_the_whole_case_is_shown(bench: HuntingBench) -> None:
    count = bench.case.connections.count().execute()
    assert bench.view.totals.startswith(f"{count:,} connections, ")
    assert labels(bench)[0].startswith(f"{HOST} (")
    assert sum(row["value"] for row in bench.view.activity["rows"]) == count
    assert len(bench.view.rows["rows"]) == 25
    assert bench.view.code == "fb.panel.bench(case)"
    status = {"text": "", "busy": False, "can_go_back": False, "can_go_forward": False}
    assert bench.view.status == status


def test_filter_pivot_brush_and_back(bench: HuntingBench) -> None:
    everything = bench.view.totals
    send(bench, "filter", text=f"dst = {POOL}")
    assert {cells[2]["text"] for cells in bench.view.rows["rows"]} == {POOL}
    send(bench, "pivot", condition=bench.view.rows["rows"][0][1]["condition"])
    assert bench.state.filter == f"dst = {POOL} and src = {HOST}"
    send(bench, "brush", since=0, until=2)
    rows = bench.view.activity["rows"]
    assert bench.state.since == pd.Timestamp(rows[0]["label"], tz="UTC")
    assert bench.state.until == pd.Timestamp(rows[1]["end"], tz="UTC")
    assert (bench.view.activity["first"], bench.view.activity["until"]) == (0, 2)
    for _step in range(3):
        send(bench, "back")
    assert (bench.state, bench.view.totals) == (BenchState(), everything)
    assert bench.view.status["can_go_forward"]
    send(bench, "forward")
    assert bench.state.filter == f"dst = {POOL}"
    send(bench, "clear")
    assert bench.state == BenchState()


def test_an_error_leaves_the_view(bench: HuntingBench) -> None:
    shown = bench.view.totals
    send(bench, "filter", text="rejected and prot = tcp")
    error = bench.view.error
    assert (error["position"], error["end"]) == (13, 17)
    assert "'prot' is not a field" in error["reason"]
    assert (bench.state, bench.view.totals) == (BenchState(), shown)
    send(bench, "filter", text="")
    assert bench.view.error["reason"] == ""


def test_the_same_filter_again_reads_the_view_that_was_cancelled(bench: HuntingBench) -> None:
    bench.view.totals = "of an earlier view"
    send(bench, "filter", text="")
    assert bench.view.totals.endswith("kB.")
    assert bench.history.earlier == []


def test_a_filter_that_the_cube_cannot_answer(bench: HuntingBench) -> None:
    send(bench, "filter", text="bytes > 1kB")
    connections = bench.case.connections
    large = (connections.bytes_out + connections.bytes_in) > 1_000
    count = connections.filter(large).count().execute()
    assert bench.view.totals.startswith(f"{count:,} connections, ")


def test_measure_rows_and_pages(bench: HuntingBench) -> None:
    send(bench, "measure", measure="bytes")
    assert bench.view.bars[0]["title"] == "Top talkers by bytes"
    send(bench, "rows", kind="records")
    assert bench.view.rows["columns"][0] == "Start (UTC)"
    send(bench, "page", by=1)
    assert bench.view.rows["note"].startswith("Rows 26 to 50")
    send(bench, "page", by=-1)
    send(bench, "page", by=-1)
    assert bench.state.page == 0
    send(bench, "filter", text="answered")
    assert "flow records do not have it" in bench.view.rows["note"]


def test_bookmarks_are_kept_in_the_case(bench: HuntingBench) -> None:
    send(bench, "filter", text=f"ip = {POOL}")
    send(bench, "bookmark", note="the pool")
    send(bench, "bookmark", note=" ")
    assert bench.view.status["text"].startswith("the note is empty")
    again = panel.bench(Case.open(bench.case.path))
    again.wait(60)
    assert again.view.bookmarks[0]["label"].startswith("the pool (")
    send(again, "open", number=0)
    assert again.state.filter == f"ip = {POOL}"


def test_completion_knows_the_case(bench: HuntingBench) -> None:
    send(bench, "complete", text="src.vpc = ", position=10)
    assert bench.view.completion == {
        "text": "src.vpc = ",
        "words": ["vpc-1"],
        "start": 10,
        "end": 10,
    }


def test_a_newer_view_takes_the_place_of_one_that_is_read(bench: HuntingBench) -> None:
    for text in ("rejected", "answered", f"ip = {POOL}"):
        bench._on_message(bench.view, {"action": "filter", "text": text}, [])
    bench.cancel()
    assert bench.view.status["text"] in ("", "Cancelled: the view is not complete.")
    send(bench, "filter", text=f"ip = {POOL} and ip = {HOST}")
    assert sorted(label.split()[-1] for label in labels(bench, 1)) == ["(stratum)"]


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"action": "nonsense"},
        {"action": "pivot", "condition": "'; DROP TABLE"},
        {"action": "brush", "since": -1, "until": 10**9},
        {"action": "brush", "since": "x", "until": None},
        {"action": "measure", "measure": "__class__"},
        {"action": "rows", "kind": 7},
        {"action": "open", "number": 99},
        {"action": "complete", "text": "a", "position": "x"},
    ],
)
def test_wrong_messages_change_nothing(bench: HuntingBench, message: dict[str, Any]) -> None:
    bench._on_message(bench.view, message, [])
    assert bench.state == BenchState()


def test_arguments(bench: HuntingBench) -> None:
    opened = panel.bench(
        bench.case, "rejected", since="2026-09-01", until="2026-09-02", measure="rejected"
    )
    opened.wait(60)
    assert opened.state.to_code() == (
        "fb.panel.bench(case, 'rejected', since='2026-09-01T00:00:00+00:00',"
        " until='2026-09-02T00:00:00+00:00', measure='rejected')"
    )
    with pytest.raises(InputError, match="no measure is called x"):
        panel.bench(bench.case, measure="x")
