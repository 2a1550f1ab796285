"""The cube of a case in its cache: made once, logged, verified, and made again."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowbench.case import Case
from flowbench.case.check import ALTERED
from tests.traffic import T0, connect, make_case

A, OUT = "10.0.0.5", "203.0.113.9"


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return make_case(tmp_path, connect(A, OUT, 443, T0))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Case, list[str]]:
    """A case whose cube was made, and the steps of that."""
    steps: list[str] = []
    case = make_case(tmp_path_factory.mktemp("made"), connect(A, OUT, 443, T0))
    case.progress = lambda _done, _steps, text: steps.append(text)
    assert case.cube.cells.count().execute() == 1
    return case, steps


def files(case: Case) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes()
        for path in sorted((case.path / "cache").glob("*/cube*.parquet"))
    }


def test_it_is_made_once_and_logged(made: tuple[Case, list[str]]) -> None:
    case, steps = made
    assert "counting connections by period, ends and service" in steps
    logged = {
        entry["details"]["folder"].partition("-")[0]: [f["file"] for f in entry["details"]["files"]]
        for entry in case.log.entries_of("connections")
    }
    assert list(logged) == ["connections", "cube", "addresses"]
    assert sorted([*logged["cube"], *logged["addresses"]]) == sorted(
        [*files(case), "addresses.parquet"]
    )
    count = len(steps)
    again = Case.open(case.path)
    again.progress = case.progress
    assert again.cube.cells.count().execute() == 1
    assert len(steps) == count


def test_the_same_tables_give_the_same_bytes(made: tuple[Case, list[str]], case: Case) -> None:
    other, _steps = made
    _ = case.cube
    assert files(case) == files(other)


def test_a_changed_file_is_reported_and_not_used(case: Case) -> None:
    _ = case.cube
    (path,) = (case.path / "cache").glob("cube-*/cube-unclear.parquet")
    path.write_bytes(b"not what was computed")
    checks = case.verify()
    wrong = checks[checks["result"] == ALTERED]
    assert wrong["name"].tolist() == [f"{path.parent.name}/cube-unclear.parquet"]
    again = Case.open(case.path)
    assert again.cube.cells.count().execute() == 1
    assert any((case.path / "set-aside").iterdir())


def test_it_follows_what_is_loaded(case: Case, tmp_path: Path) -> None:
    assert case.cube.cells.count().execute() == 1
    before = {path: path.stat().st_ino for path in (case.path / "cache").glob("*/*.parquet")}
    feed = tmp_path / "list.csv"
    feed.write_text(f"indicator,kind\n{OUT},c2\n")
    case.ingest(feed)
    rows = case.cube.addresses.order_by("address").to_pyarrow()
    assert rows["indicators"].to_pylist() == [0, 1]
    after = {path: path.stat().st_ino for path in (case.path / "cache").glob("*/*.parquet")}
    assert {path.name for path, _inode in before.items() - after.items()} == {
        "addresses.parquet",
        "cube_addresses.parquet",
    }
    assert len(list((case.path / "cache").glob("cube-*"))) == 1


def test_the_inventory_is_read_from_it(made: tuple[Case, list[str]]) -> None:
    case, _steps = made
    computed = case._compute_addresses()
    again = Case.open(case.path).addresses
    assert again.order_by("address").to_pyarrow().equals(computed.order_by("address").to_pyarrow())
    assert again.schema() == computed.schema()


def test_a_case_that_cannot_be_written(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    _ = case.connections
    monkeypatch.setattr("flowbench.case.cache.atomic.lock", refuse)
    assert case.cube.cells.count().execute() == 1
    assert files(case) == {}


def refuse(*_args: object, **_kwargs: object) -> None:
    raise PermissionError("read-only")
