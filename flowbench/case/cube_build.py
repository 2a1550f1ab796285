"""Building the cube: cells for each file of connections, and the addresses that they number.

Numbers and cells are a function of the connections, descriptions of addresses one of all evidence.
A list of indicators that is loaded later counts nothing again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from importlib.metadata import version
from itertools import takewhile
from pathlib import Path

import ibis
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from ibis import _
from ibis.backends.duckdb import Backend

from flowbench import engine
from flowbench.case import cache, cube
from flowbench.case.cube import (
    ADDRESSES,
    CELLS,
    DIMENSIONS,
    PERIODS,
    Cube,
    choose_width,
    count_cells,
)
from flowbench.io import atomic
from flowbench.schema import Table

NUMBERS = Table.of(
    "cube_numbers",
    ("number", "int32", "number of the address"),
    ("address", "string", "the address"),
)
SOURCES = Table.of(
    "cube_sources",
    ("source", "string", "what the cells were counted from: code, periods, files of connections"),
    ("value", "string", "its digest, or the first period"),
)


def code_digest() -> str:
    """Return a digest of the code that counts the cells."""
    code = [atomic.sha256_file(Path(str(path))) for path in (cube.__file__, __file__)]
    return sha256("".join([*code, *map(version, cache.WRITERS)]).encode()).hexdigest()


def build_cube(
    connection: Backend,
    files: Sequence[Path],
    folder: Path,
    earlier: Path | None = None,
    progress: Callable[[int, int, str], None] = lambda *_: None,
) -> None:
    """Write cells, numbers of addresses, periods and sources (.parquet) into a folder.

    Args:
        connection: A DuckDB connection to work with.
        files: The files of the connections (connections.TABLE), in order.
        folder: Where the files are written.
        earlier: Such a folder from other connections; files that are still right are kept.
        progress: Called with (steps done, number of steps, description of the next step).
    """
    progress(0, 2, "numbering the addresses of the connections")
    rows = engine.read_parquet(connection, files)
    numbers = engine.materialize(connection, _number_addresses(connection, files))
    periods = engine.register(connection, _make_periods(rows))
    sources = _find_sources(periods, files)
    for table, content in (
        (NUMBERS, numbers.order_by("number")),
        (PERIODS, periods),
        (SOURCES, engine.register(connection, sources)),
    ):
        _write(connection, table, content, folder / f"{table.name}.parquet")
    progress(1, 2, "counting connections by period, ends and service")
    kept = 0
    if earlier:
        kept = _count_kept(earlier, sources)
        for path in files[:kept]:
            atomic.link_file(earlier / _cells_of(path), folder / _cells_of(path))
    _write_cells(connection, files[kept:], Cube(numbers, numbers, periods), folder)
    engine.drop(connection, numbers)
    progress(2, 2, "")


def describe_addresses(
    connection: Backend, inventory: ibis.Table, cube_folder: Path, folder: Path
) -> None:
    """Write ADDRESSES (.parquet) into a folder: the addresses of a cube with their inventory.

    Args:
        connection: The DuckDB connection of the inventory.
        inventory: The address inventory (enrich.inventory.TABLE, with context).
        cube_folder: Where ``build_cube`` wrote their numbers.
        folder: Where the file is written.
    """
    numbers = engine.read_parquet(connection, cube_folder / f"{NUMBERS.name}.parquet")
    latest = [inventory.valid_from.desc(nulls_first=False), inventory.interface_id]
    rank = ibis.row_number().over(ibis.window(group_by="address", order_by=latest))
    known = inventory.mutate(rank=rank).filter(_["rank"] == 0)
    rows = numbers.left_join(known, "address").drop("address_right")
    _write(connection, ADDRESSES, rows.order_by("number"), folder / f"{ADDRESSES.name}.parquet")


def _write(connection: Backend, table: Table, rows: ibis.Table, path: Path) -> None:
    engine.write_parquet(connection, [rows.select(*table.columns)], path, table.arrow)


def _cells_of(path: Path) -> str:
    """The name of the file with the cells of a file of connections."""
    return f"cube-{path.stem.partition('-')[2]}.parquet"


def _number_addresses(connection: Backend, files: Sequence[Path]) -> ibis.Table:
    """Number the addresses of connections by the first file that has them, and in their order."""
    rows = [(n, engine.read_parquet(connection, path)) for n, path in enumerate(files)]
    ends = [
        r.select(address=r[end], file=ibis.literal(n, "int32"))
        for n, r in rows
        for end in ("initiator", "responder")
    ]
    first = ibis.union(*ends).group_by("address").aggregate(file=_.file.min())
    number = ibis.row_number().over(ibis.window(order_by=["file", "address"])).cast("int32")
    return first.select("address", number=number)


def _find_sources(periods: ibis.Table, files: Sequence[Path]) -> pa.Table:
    """What cells are counted from (SOURCES), in the order of files; periods by the first one."""
    first = periods.limit(1).to_pyarrow().to_pylist()
    sources = [("code", code_digest()), ("periods", str(first))]
    sources += [(path.name, atomic.sha256_file(path)) for path in files]
    return SOURCES.rows({"source": name, "value": value} for name, value in sources)


def _count_kept(earlier: Path, sources: pa.Table) -> int:
    """Count the first files of connections whose cells were counted from the same sources."""
    path = earlier / f"{SOURCES.name}.parquet"
    before = pq.read_table(path).to_pylist() if path.exists() else []
    pairs = zip(before, sources.to_pylist(), strict=False)
    same = sum(1 for _pair in takewhile(lambda pair: pair[0] == pair[1], pairs))
    return max(same - 2, 0)


def _write_cells(connection: Backend, files: Sequence[Path], cube: Cube, folder: Path) -> None:
    """Write the cells of each of some files of connections."""
    if not files:
        return
    rows = [
        engine.read_parquet(connection, path).mutate(file=ibis.literal(number, "int32"))
        for number, path in enumerate(files)
    ]
    cells = count_cells(ibis.union(*rows), cube, "file")
    with engine.materialized(connection, cells) as counted:
        for number, path in enumerate(files):
            of_file = counted.filter(counted.file == number).order_by(DIMENSIONS)
            _write(connection, CELLS, of_file, folder / _cells_of(path))


def _make_periods(connections: ibis.Table) -> pa.Table:
    ends = connections.aggregate(
        first=connections.first_seen.min(), last=connections.last_seen.max()
    )
    (row,) = ends.to_pyarrow().to_pylist()
    if row["first"] is None:
        return PERIODS.rows([])
    width = choose_width(row["first"], row["last"])
    start = pd.Timestamp(row["first"]).floor(width).to_pydatetime()
    count = (row["last"] - start) // width + 1
    return PERIODS.rows(
        {"period": number, "since": start + number * width, "until": start + (number + 1) * width}
        for number in range(count)
    )
