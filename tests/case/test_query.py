"""SQL over a case: what is returned, and what hostile statements cannot do."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from flowbench import engine
from flowbench.case import Case
from flowbench.errors import CaseError, InputError


@pytest.fixture
def loaded(case, logs) -> Case:
    case.ingest(logs)
    return case


def test_rows_have_the_types_of_the_case(loaded) -> None:
    rows = loaded.sql(
        "SELECT dstport, sum(bytes) AS bytes, count(*) AS n, min(start) AS first,"
        " avg(bytes) AS mean, bool_or(action = 'REJECT') AS rejected FROM flows GROUP BY ALL"
    )
    assert rows.dtypes.astype(str).to_dict() == {
        "dstport": "Int32",
        "bytes": "Int64",
        "n": "Int64",
        "first": "datetime64[us, UTC]",
        "mean": "float64",
        "rejected": "boolean",
    }
    assert rows.loc[0].tolist() == [
        443,
        sum(range(1000, 1600)),
        600,
        pd.Timestamp("2026-09-01T03:10:00Z"),
        1299.5,
        False,
    ]


def test_times_are_utc_whatever_the_query_makes_of_them(loaded) -> None:
    rows = loaded.sql(
        "SELECT min(start)::timestamp AS naive, date_trunc('hour', min(start)) AS hour,"
        " extract(hour FROM min(start)) AS number FROM flows"
    )
    assert rows["naive"][0] == pd.Timestamp("2026-09-01T03:10:00Z")
    assert rows["hour"][0] == pd.Timestamp("2026-09-01T03:00:00Z")
    assert rows["number"][0] == 3


def test_sums_beyond_64_bits_stay_exact(loaded) -> None:
    rows = loaded.sql("SELECT sum(9223372036854775807::hugeint) AS total FROM flows")
    assert int(rows["total"][0]) == 600 * (2**63 - 1)


@pytest.mark.parametrize(
    "sql",
    [
        "FROM flows",
        "select * from FLOWS;",
        "WITH f AS (SELECT * FROM flows) SELECT * FROM f",
        "-- every record\nSELECT * FROM flows",
        "SELECT flows.* FROM flows JOIN connections c ON c.initiator = srcaddr GROUP BY ALL",
    ],
)
def test_queries_in_any_form(loaded, sql) -> None:
    assert len(loaded.sql(sql)) == 600


def test_every_table_can_be_queried(winterday) -> None:
    for name in winterday._sql_tables():
        expected = getattr(winterday, name, None)
        count = winterday.sql(f"SELECT count(*) AS n FROM {name}")["n"][0]
        assert count == (winterday.table(name) if expected is None else expected).count().execute()


@pytest.mark.parametrize("name", ["it's", 'a "case"', "case[1]", "what?*", "ünï cödé"])
def test_a_case_in_a_folder_of_any_name_can_be_queried(logs, tmp_path, name) -> None:
    case = Case.create(tmp_path / name)
    case.ingest(logs)
    assert case.sql("SELECT count(*) AS n FROM flows")["n"].tolist() == [600]
    assert case.sql("SELECT sum(records) AS n FROM connections")["n"].tolist() == [600]


def test_an_empty_case_answers_with_no_rows(case) -> None:
    rows = case.sql("SELECT srcaddr, start FROM flows")
    assert list(rows.columns) == ["srcaddr", "start"]
    assert rows.empty


@pytest.mark.parametrize(
    "sql",
    [
        "DROP VIEW flows",
        "DELETE FROM flows",
        "INSERT INTO flows VALUES (1)",
        "UPDATE flows SET bytes = 0",
        "CREATE TABLE x AS SELECT * FROM flows",
        "COPY flows TO '{out}'",
        "COPY (SELECT * FROM flows) TO '{out}' (FORMAT parquet)",
        "EXPORT DATABASE '{out}' /* flows */",
        "ATTACH '{out}' AS flows",
        "INSTALL httpfs /* flows */",
        "LOAD httpfs /* flows */",
        "SET enable_external_access = true /* flows */",
        "PRAGMA table_info('flows')",
        "CALL pragma_version() /* flows */",
        "SELECT 1; DROP VIEW flows",
        "SELECT * FROM flows; SELECT * FROM flows",
        "EXPLAIN ANALYZE SELECT * FROM flows",
        "MERGE INTO flows USING flows f ON (true) WHEN MATCHED THEN DELETE",
        "-- flows",
        "",
    ],
)
def test_only_one_select_is_run(loaded, tmp_path, sql) -> None:
    out = tmp_path / "out"
    with pytest.raises(InputError, match="only a query can be run"):
        loaded.sql(sql.format(out=out))
    assert not out.exists()


@pytest.mark.parametrize(
    "table",
    [
        "read_csv('{secret}')",
        "read_text('{secret}')",
        "read_blob('{secret}')",
        "read_parquet('{secret}')",
        "read_json('{secret}')",
        "parquet_metadata('{secret}')",
        "sniff_csv('{secret}')",
        "glob('{folder}/*')",
        "'{secret}'",
        "'{folder}/*.csv'",
        "read_text('{case}/custody.jsonl')",
        "read_csv('http://127.0.0.1:9/x.csv')",
        "query('COPY flows TO ''{folder}/out''')",
        "query_table('{secret}')",
        "sqlite_scan('{secret}', 'x')",
        "a_python_variable",
    ],
)
def test_no_other_file_can_be_read(loaded, tmp_path, table) -> None:
    a_python_variable = pd.DataFrame({"secret": [1]})
    secret = tmp_path / "secret.csv"
    secret.write_text("secret\n1\n")
    source = table.format(secret=secret, folder=tmp_path, case=loaded.path)
    with pytest.raises(InputError, match="the query cannot be run"):
        loaded.sql(f"SELECT * FROM flows, {source}")
    assert not (tmp_path / "out").exists()
    assert len(a_python_variable) == 1


@pytest.mark.parametrize(
    "sql",
    [
        "WITH x AS (DELETE FROM flows RETURNING *) SELECT * FROM x",
        "WITH x AS (INSERT INTO flows SELECT * FROM flows RETURNING *) SELECT * FROM x",
        "WITH x AS (UPDATE flows SET bytes = 0 RETURNING *) SELECT * FROM x",
        "SELECT getenv('HOME') FROM flows",
        "SELECT nonsense FROM flows",
        "SELEC * FROM flows",
        "SELECT * FROM flows WHERE",
    ],
)
def test_what_duckdb_refuses_is_an_input_error_of_one_line(loaded, sql) -> None:
    before = {path: path.read_bytes() for path in loaded.path.glob("tables/*/*")}
    with pytest.raises(InputError, match="the query cannot be run") as caught:
        loaded.sql(sql)
    assert "\n" not in str(caught.value)
    assert {path: path.read_bytes() for path in loaded.path.glob("tables/*/*")} == before
    assert loaded.flows.count().execute() == 600


@pytest.mark.parametrize("sql", ["SELECT 1", "SHOW TABLES", "SELECT * FROM findigns"])
def test_a_query_without_a_table_is_told_the_tables(loaded, sql) -> None:
    with pytest.raises(InputError, match="names no table of the case: address_assignments, addr"):
        loaded.sql(sql)


def test_a_missing_part_is_named_with_the_remedy(loaded) -> None:
    Path(next((loaded.path / "tables" / "flows").iterdir())).unlink()
    with pytest.raises(CaseError, match="load the same evidence again"):
        loaded.sql("SELECT * FROM flows")


def test_what_exceeds_the_memory_goes_to_the_folder_of_the_case(loaded, monkeypatch) -> None:
    connect = engine.connect

    def connect_small(spill: Path | None) -> engine.Backend:
        connection = connect(spill)
        connection.con.execute("SET memory_limit = '60MiB'")
        return connection

    monkeypatch.setattr(engine, "connect", connect_small)
    words = "SELECT md5((a.range * 600 + f.line)::text) AS word FROM range(5000) a, flows f"
    rows = loaded.sql(f"SELECT count(*) AS n FROM ({words} GROUP BY word)")
    assert rows["n"][0] == 500_000
    assert not [path for folder in loaded.path.glob("spill-*") for path in folder.iterdir()]
