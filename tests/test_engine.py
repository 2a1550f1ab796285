"""The engine: settings, Parquet in and out, and what works with the pinned Ibis and DuckDB."""

from __future__ import annotations

import threading
from pathlib import Path

import duckdb
import ibis
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flowbench import engine, schema

TABLE = schema.Table.of("t", ("n", "int64", ""), ("when", "time", ""))


def test_times_are_utc_and_no_extension_is_downloaded() -> None:
    settings = engine.connect().con.execute(
        "select current_setting('TimeZone'), current_setting('autoinstall_known_extensions'),"
        " current_setting('autoload_known_extensions')"
    )
    assert settings.fetchone() == ("UTC", False, False)


@pytest.mark.parametrize("name", ["case", "a [1]*?", "it's"])
def test_only_files_of_the_given_folders_can_be_read_and_written(tmp_path, name) -> None:
    folder, outside = tmp_path / name, tmp_path / f"{name}-other"
    for place in (folder, outside):
        place.mkdir()
        pq.write_table(pa.table({"n": [1, 2], "k": [1, 1]}), place / "1.parquet")
    connection = engine.connect(folder / "spill", [folder])
    rows = engine.read_parquet(connection, folder / "1.parquet")
    assert rows.count().execute() == 2
    engine.write_partitions(connection, rows, folder / "parts", "k")
    assert list((folder / "parts" / "k=1").glob("*.parquet"))
    assert engine.register(connection, pa.table({"n": [3]})).count().execute() == 1
    with pytest.raises(duckdb.PermissionException):
        engine.read_parquet(connection, outside / "1.parquet").count().execute()
    for query in (
        "SELECT * FROM read_text('/etc/passwd')",
        "COPY (SELECT 1) TO '/tmp/x.csv'",
        "ATTACH 'x.db'",
        "SET enable_external_access = true",
    ):
        with pytest.raises(duckdb.Error):
            connection.con.execute(query)


def test_parts_with_different_columns_are_one_table(tmp_path: Path) -> None:
    parts = [tmp_path / "1.parquet", tmp_path / "2.parquet"]
    pq.write_table(TABLE.rows([{"n": 1}]), parts[0])
    extra = TABLE.rows([{"n": 2}]).append_column("more", pa.array(["x"]))
    pq.write_table(extra, parts[1])
    seen = engine.scan(engine.connect(), TABLE, parts).order_by("n").to_pyarrow()
    assert seen.column_names == ["n", "when", "more"]
    assert seen["more"].to_pylist() == [None, "x"]


def test_no_parts_are_an_empty_table_of_the_same_columns() -> None:
    connection = engine.connect()
    for _ in range(2):  # again, under the same name
        empty = engine.scan(connection, TABLE, [])
        assert list(empty.columns) == TABLE.columns
        assert empty.count().execute() == 0


def test_a_stream_has_every_row_in_order(tmp_path: Path) -> None:
    connection = engine.connect()
    pq.write_table(TABLE.rows([{"n": n} for n in range(300_000)]), tmp_path / "1.parquet")
    table = engine.scan(connection, TABLE, [tmp_path / "1.parquet"])
    batches = list(
        engine.stream_batches(connection, table.filter(table.n >= 10).order_by(table.n.desc()))
    )
    found = [n for batch in batches for n in batch.column("n").to_pylist()]
    assert len(batches) > 1
    assert found == list(range(299_999, 9, -1))


def test_rows_written_to_parquet_are_read_back_with_their_types(tmp_path: Path) -> None:
    connection = engine.connect()
    pq.write_table(TABLE.rows([{"n": 2**61}, {"n": 2**61}, {}]), tmp_path / "1.parquet")
    table = engine.scan(connection, TABLE, [tmp_path / "1.parquet"])
    total = table.aggregate(total=table.n.sum(), when=table.when.max())
    columns = pa.schema([("total", pa.int64()), ("when", schema.TYPES["time"])])
    engine.write_parquet(connection, [total, total], tmp_path / "it's [written]*.parquet", columns)
    back = engine.read_parquet(connection, tmp_path / "it's [written]*.parquet").to_pyarrow()
    assert back.schema.field("total").type == pa.int64()
    assert back.to_pylist() == [{"total": 2**62, "when": None}] * 2


def test_materialized_rows_are_computed_once_and_dropped(tmp_path: Path) -> None:
    connection = engine.connect()
    pq.write_table(TABLE.rows([{"n": 2**61}, {"n": 2**61}]), tmp_path / "1.parquet")
    table = engine.scan(connection, TABLE, [tmp_path / "1.parquet"])
    kept = engine.materialize(
        connection, table.aggregate(total=table.n.sum(), times=table.n.count())
    )
    (tmp_path / "1.parquet").unlink()
    assert str(kept.schema()["total"]) == "int64"  # not the engine's 128 bits
    assert kept.to_pyarrow().to_pylist() == [{"total": 2**62, "times": 2}]
    engine.drop(connection, kept)
    with pytest.raises(duckdb.CatalogException):
        kept.to_pyarrow()


def test_partitions_are_folders_by_value(tmp_path: Path) -> None:
    connection = engine.connect()
    pq.write_table(TABLE.rows([{"n": n} for n in range(10)]), tmp_path / "1.parquet")
    table = engine.scan(connection, TABLE, [tmp_path / "1.parquet"])
    folder = tmp_path / "it's [partitioned]*"
    engine.write_partitions(connection, table.mutate(part=table.n % 3), folder, "part")
    assert sorted(path.name for path in folder.iterdir()) == ["part=0", "part=1", "part=2"]
    found = engine.read_parquet(connection, folder / "part=1").to_pyarrow()["n"].to_pylist()
    assert sorted(found) == [1, 4, 7]


def test_what_exceeds_the_memory_goes_to_the_disk(tmp_path: Path) -> None:
    spill = tmp_path / "not there yet"
    connection = engine.connect(spill)
    ask = connection.con.execute
    number, unit = ask("SELECT current_setting('memory_limit')").fetchall()[0][0].split()
    assert unit == "MiB" or float(number) <= 3.0
    ask("SET memory_limit = '100MiB'")
    assert not spill.exists()
    words = "SELECT md5(range::text) AS word FROM range(3000000)"
    assert ask(f"SELECT count(*) FROM ({words} GROUP BY word)").fetchall() == [(3_000_000,)]
    assert spill.exists()
    connection.disconnect()
    assert not list(spill.glob("*"))


def test_whole_seconds_since_1970() -> None:
    times = ["1970-01-01 00:00:00.999999", "2026-09-01 00:00:00.0", "2026-09-01 00:00:59.5"]
    rows = pa.table({"when": pa.array(pd.to_datetime(times, utc=True))})
    table = engine.register(engine.connect(), rows)
    found = table.select(found=engine.epoch_seconds(table.when)).to_pyarrow()["found"].to_pylist()
    assert found == [0, 1_788_220_800, 1_788_220_859]


def test_another_thread_can_interrupt_a_query() -> None:
    connection = engine.connect()
    far = "SELECT count(*) FROM range(100_000_000_000) WHERE range * 7919 % 1_000_003 = 1_000_005"
    timer = threading.Timer(0.5, engine.interrupt)
    timer.start()
    with pytest.raises(duckdb.InterruptException):
        connection.con.sql(far).fetchall()
    timer.join()


def test_the_latest_row_of_each_key_is_chosen() -> None:
    columns = schema.Table.of("t", ("key", "string", ""), ("when", "time", ""), *schema.ORIGIN)
    columns = schema.Table("t", (*columns.fields, schema.Field(*schema.ITEM)))
    early, late = (pd.Timestamp(f"2026-09-0{day}T00:00Z") for day in (1, 2))
    rows = [
        {"key": "a", "when": early, "evidence_id": "1", "item": 1},
        {"key": "a", "when": late, "evidence_id": "2", "item": 1},
        {"key": "a", "when": late, "evidence_id": "2", "item": 2},
        {"key": "b", "when": None, "evidence_id": "3", "item": 1},
        {"key": None, "when": early, "evidence_id": "4", "item": 1},
        {"key": None, "when": early, "evidence_id": "4", "item": 2},
    ]
    table = engine.register(engine.connect(), columns.rows(rows))
    latest = engine.latest_rows(table, "key", "when").order_by("evidence_id", "item").to_pyarrow()
    assert latest.select(["key", "evidence_id", "item"]).to_pylist() == [
        {"key": "a", "evidence_id": "2", "item": 1},
        {"key": "b", "evidence_id": "3", "item": 1},
        {"key": None, "evidence_id": "4", "item": 1},
        {"key": None, "evidence_id": "4", "item": 2},
    ]
    connection = table.get_backend()
    rest = engine.drop_earlier_rows(connection, table, "key", "when")
    assert rest.order_by("evidence_id", "item").to_pyarrow() == latest
    assert engine.drop_earlier_rows(connection, rest, "key", "when") is rest


@pytest.mark.parametrize("name", ["plain", "a[b]", "what?", "*", "[[]"])
def test_a_path_is_read_as_it_is_and_not_as_a_pattern(tmp_path: Path, name) -> None:
    for number, folder in enumerate([name, "other"]):
        (tmp_path / folder).mkdir()
        pq.write_table(TABLE.rows([{"n": number}]), tmp_path / folder / "1.parquet")
    rows = engine.read_parquet(engine.connect(), tmp_path / name / "1.parquet").to_pyarrow()
    assert rows["n"].to_pylist() == [0]


WORKING = {
    "to_pyarrow": lambda t: t.to_pyarrow().num_rows,
    "to_pandas": lambda t: len(t.to_pandas()),
    "execute": lambda t: t.count().execute(),
    "join with a memtable": lambda t: t.left_join(ibis.memtable({"n": [1]}), "n").count().execute(),
    "sql text": lambda t: len(ibis.to_sql(t, dialect="duckdb").splitlines()) and 3,
}
BROKEN = {
    "to_pyarrow_batches": lambda t: t.to_pyarrow_batches().read_all(),
    "to_pandas_batches": lambda t: list(t.to_pandas_batches()),
    "Table.sql": lambda t: t.sql(f'SELECT n FROM "{t.get_name()}"').execute(),
}


@pytest.mark.parametrize("name", list(WORKING))
def test_what_flowbench_uses_of_ibis_works_with_this_duckdb(name) -> None:
    table = engine.register(engine.connect(), TABLE.rows([{"n": n} for n in range(3)]))
    assert WORKING[name](table) == 3
    assert table.count().execute() == 3


@pytest.mark.parametrize("name", list(BROKEN))
def test_known_limits_of_ibis_with_this_duckdb(name) -> None:
    """When one of these passes, a workaround in the engine can go."""
    table = engine.register(engine.connect(), TABLE.rows([{"n": 1}]))
    with pytest.raises(AttributeError, match="has no attribute 'fetch_"):
        BROKEN[name](table)
    with pytest.raises(duckdb.Error, match="unfinished result"):
        table.count().execute()
