"""What tests share."""

from __future__ import annotations

import gc
import json
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from flowbench import detect, engine
from flowbench.case import Case
from flowbench.detect import registry
from flowbench.detect.detectors import contact, lateral_movement, mining, segmentation
from tests.compiled_queries import compile_queries_once

ROOT = Path(__file__).parents[1]


# Started in the background, tests and what they start would not hear Ctrl-C.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Ibis makes many short-lived objects, and each full collection visits all that is loaded.
gc.set_threshold(100_000, 50, 50)

_connect = engine.connect


def connect_with_one_thread(*args: Any, **kwargs: Any) -> Any:
    """Open the engine with one thread: the tests' tables are tiny, and they run on all cores."""
    connection = _connect(*args, **kwargs)
    connection.con.execute("SET threads = 1")
    return connection


engine.connect = connect_with_one_thread
compile_queries_once()

MARKS = {  # of tests that use these fixtures
    "browser": {"page", "winterday_run", "lab"},
    "service": {"moto", "s3_root", "bucket"},
    "slow": {"samples", "site", "winterday", "winterday_findings"},
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by the fixtures they use and by their measured duration (tests/slow_tests.txt)."""
    listed = (ROOT / "tests" / "slow_tests.txt").read_text(encoding="utf-8").splitlines()
    slow = {line for line in listed if not line.startswith("#")}
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        for mark, names in MARKS.items():
            if fixtures & names:
                item.add_marker(mark)
        if item.nodeid.partition("[")[0] in slow:
            item.add_marker("slow")


def pytest_collection_finish() -> None:
    """Leave out of later collections what is imported and collected: it stays to the end."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Let the interpreter collect all when it ends: DuckDB reports what it finds left."""
    gc.unfreeze()


@pytest.fixture
def few_detectors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs of all detectors run four: for tests of what is done with findings."""
    leave_few_detectors(monkeypatch)


def leave_few_detectors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do the same for a fixture of a module."""
    few = (contact, lateral_movement, mining, segmentation)
    monkeypatch.setattr(registry, "MODULES", few)


@pytest.fixture(scope="session")
def samples() -> Path:
    """Real logs and feeds that lie beside a developer's checkout, never in it."""
    folder = ROOT.parent / "shared" / "samples"
    if not folder.is_dir():
        pytest.skip("the real samples are not here (../shared/samples)")
    return folder


@pytest.fixture(scope="session")
def winterday(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """The Winterday case, read from the evidence in the repository."""
    case = Case.create(tmp_path_factory.mktemp("winterday") / "case", "Winterday")
    case.ingest(ROOT / "data" / "winterday" / "evidence")
    return case


@pytest.fixture(scope="session")
def winterday_findings(winterday: Case) -> Any:
    """What the detectors make of it."""
    return detect.run(winterday, keep=False)


@pytest.fixture(scope="session")
def answers() -> dict[str, Any]:
    """What really happened at Winterday: tests may look, the package may not."""
    return json.loads((ROOT / "data" / "winterday" / "answers.json").read_text(encoding="utf-8"))
