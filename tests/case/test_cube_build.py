"""Building the cube: a file of cells for each file of connections, kept while it is right."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from flowbench import engine
from flowbench.case import cube_build
from flowbench.case.cube_build import NUMBERS, build_cube
from flowbench.connections import TABLE
from tests.traffic import T0

START = datetime.fromtimestamp(T0, UTC)
DAYS = ("connections-2026-09-01T0000", "connections-2026-09-02T0000")
UNCLEAR = "connections-unclear"
HOSTS = {
    DAYS[0]: [("10.0.0.9", "203.0.113.9"), ("10.0.0.9", "10.0.0.5"), ("10.0.0.9", "10.0.0.5")],
    DAYS[1]: [("10.0.0.1", "203.0.113.9")],
    UNCLEAR: [("10.0.0.3", "10.0.0.5")],
}


def write(folder: Path, name: str, hours: int = 1) -> Path:
    """Write a file of connections that last for hours."""
    rows = [
        {
            "initiator": initiator,
            "responder": responder,
            "initiator_port": 40_000 + number,
            "service_port": 443,
            "protocol": 6,
            "first_seen": START,
            "last_seen": START + timedelta(hours=hours),
            "bytes_out": 100,
            "bytes_in": 10,
            "records": 2,
            "rejected": False,
            "answered": True,
            "direction": "internal",
            "intermediate": False,
        }
        for number, (initiator, responder) in enumerate(HOSTS[name])
    ]
    path = folder / f"{name}.parquet"
    pq.write_table(TABLE.rows(rows), path)
    return path


def build(files: list[Path], folder: Path, earlier: Path | None = None) -> dict[str, bytes]:
    folder.mkdir()
    build_cube(engine.connect(), files, folder, earlier)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [write(tmp_path, name) for name in (*DAYS, UNCLEAR)]


@pytest.fixture
def earlier(files: list[Path], tmp_path: Path) -> Path:
    """The cube before the second day."""
    build([files[0], files[2]], tmp_path / "earlier")
    return tmp_path / "earlier"


def test_a_day_that_is_added_changes_no_file_of_the_days_before(files, earlier, tmp_path) -> None:
    extended = build(files, tmp_path / "extended", earlier)
    assert extended == build(files, tmp_path / "whole")
    kept = f"cube-{DAYS[0].partition('-')[2]}.parquet"
    same = [name for name in extended if (tmp_path / "extended" / name).stat().st_nlink > 1]
    assert same == [kept]
    numbers = pq.read_table(tmp_path / "whole" / f"{NUMBERS.name}.parquet")
    assert dict(zip(*numbers.to_pydict().values(), strict=True)) == {
        0: "10.0.0.5",  # the first day's in their order, then those that are new in a later file
        1: "10.0.0.9",
        2: "203.0.113.9",
        3: "10.0.0.1",
        4: "10.0.0.3",
    }
    cells = pq.read_table(tmp_path / "whole" / kept).to_pylist()
    assert [(row["initiator"], row["responder"], row["connections"]) for row in cells] == [
        (1, 0, 2),
        (1, 2, 1),
    ]


@pytest.mark.parametrize("change", ["connections", "periods", "code"])
def test_cells_from_other_sources_are_counted_again(
    files, earlier, tmp_path, monkeypatch, change
) -> None:
    if change == "connections":
        monkeypatch.setitem(HOSTS, DAYS[0], HOSTS[DAYS[0]][:1])
        write(tmp_path, DAYS[0])
    elif change == "periods":
        write(tmp_path, DAYS[1], hours=1_000)
    else:
        monkeypatch.setattr(cube_build, "code_digest", lambda: "another")
    extended = build(files, tmp_path / "extended", earlier)
    assert extended == build(files, tmp_path / "whole")
    assert all(path.stat().st_nlink == 1 for path in (tmp_path / "extended").iterdir())
