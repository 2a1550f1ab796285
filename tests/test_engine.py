"""The engine: UTC, no network, and parts that differ are one table."""

from __future__ import annotations

import threading
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flowbench import engine, schema

TABLE = schema.Table.of("t", ("n", "int64", ""), ("when", "time", ""))


def test_time_is_utc_and_nothing_is_fetched() -> None:
    settings = engine.connect().con.execute(
        "select current_setting('TimeZone'), current_setting('autoinstall_known_extensions'),"
        " current_setting('autoload_known_extensions')"
    )
    assert settings.fetchone() == ("UTC", False, False)


def test_parts_with_other_columns_are_one_table(tmp_path: Path) -> None:
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


def test_a_stream_gives_every_row_in_order(tmp_path: Path) -> None:
    connection = engine.connect()
    pq.write_table(TABLE.rows([{"n": n} for n in range(300_000)]), tmp_path / "1.parquet")
    table = engine.scan(connection, TABLE, [tmp_path / "1.parquet"])
    batches = list(
        engine.stream_batches(connection, table.filter(table.n >= 10).order_by(table.n.desc()))
    )
    found = [n for batch in batches for n in batch.column("n").to_pylist()]
    assert len(batches) > 1
    assert found == list(range(299_999, 9, -1))


def test_what_is_saved_is_loaded_back_with_its_types(tmp_path: Path) -> None:
    connection = engine.connect()
    pq.write_table(TABLE.rows([{"n": 2**61}, {"n": 2**61}, {}]), tmp_path / "1.parquet")
    table = engine.scan(connection, TABLE, [tmp_path / "1.parquet"])
    total = table.aggregate(total=table.n.sum(), when=table.when.max())
    columns = pa.schema([("total", pa.int64()), ("when", schema.TYPES["time"])])
    engine.write_parquet(connection, [total, total], tmp_path / "it's [saved]*.parquet", columns)
    back = engine.read_parquet(connection, tmp_path / "it's [saved]*.parquet").to_pyarrow()
    assert back.schema.field("total").type == pa.int64()
    assert back.to_pylist() == [{"total": 2**62, "when": None}] * 2


def test_what_is_kept_is_worked_out_once_and_dropped(tmp_path: Path) -> None:
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


def test_rows_are_dealt_out_into_folders(tmp_path: Path) -> None:
    connection = engine.connect()
    pq.write_table(TABLE.rows([{"n": n} for n in range(10)]), tmp_path / "1.parquet")
    table = engine.scan(connection, TABLE, [tmp_path / "1.parquet"])
    folder = tmp_path / "it's [dealt]*"
    engine.write_partitions(connection, table.mutate(part=table.n % 3), folder, "part")
    assert sorted(path.name for path in folder.iterdir()) == ["part=0", "part=1", "part=2"]
    found = engine.read_parquet(connection, folder / "part=1").to_pyarrow()["n"].to_pylist()
    assert sorted(found) == [1, 4, 7]


def test_what_does_not_fit_the_memory_goes_to_the_disk(tmp_path: Path) -> None:
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


def test_a_query_ends_when_another_thread_says_so() -> None:
    connection = engine.connect()
    far = "SELECT count(*) FROM range(100_000_000_000) WHERE range * 7919 % 1_000_003 = 1_000_005"
    teller = threading.Timer(0.5, engine.interrupt)
    teller.start()
    with pytest.raises(duckdb.InterruptException):
        connection.con.sql(far).fetchall()
    teller.join()
