"""Queries that the tests compile once: each has the text that Ibis gives it."""

from __future__ import annotations

from collections.abc import Callable

import ibis
import pytest

from tests import compiled_queries

Table = ibis.Table
QUERIES: list[Callable[[Table, Table], ibis.Expr]] = [
    *(lambda a, b, n=n: a.mutate(m=n) for n in (1, 1.0, True)),  # equal in Python
    lambda a, b: a.filter(a.text == "{0} {n} '"),
    lambda a, b: a.mutate(m=a.n),
    lambda a, b: a.join(b, "n"),
    lambda a, b: a.join(a.view(), "n"),
    lambda a, b: b.join(a, "n").select(a.n),
    lambda a, b: a.union(b).order_by("n").limit(3),
    lambda a, b: a.count(),  # named after its table
    lambda a, b: a.semi_join(ibis.memtable({"n": [1]}), "n"),
]


@pytest.fixture
def connection() -> ibis.BaseBackend:
    return ibis.duckdb.connect()


def test_every_query_has_its_own_text(connection: ibis.BaseBackend) -> None:
    schema = {"n": "int64", "text": "string"}
    for _ in range(2):  # the same of other tables
        tables = [connection.create_table(ibis.util.gen_name("t"), schema=schema) for _ in "ab"]
        for query in [query(*tables) for query in QUERIES]:
            options = {"limit": None, "params": None}
            assert connection.compile(query, **options) == compiled_queries._compile(
                connection, query, **options
            )
            assert ibis.to_sql(query, "duckdb") == compiled_queries._to_sql(query, "duckdb")


def test_the_same_of_other_tables_is_not_compiled_again(
    connection: ibis.BaseBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = [connection.create_table(ibis.util.gen_name("t"), schema={"n": "int8"}) for _ in "abc"]
    first = connection.compile(tables[0].join(tables[1], "n"))
    monkeypatch.delattr(compiled_queries, "_compile")
    second = connection.compile(tables[2].join(tables[0], "n"))
    names = [table.op().name for table in tables]
    assert [first.count(name) for name in names] == [1, 1, 0]
    assert second == first.replace(names[0], names[2]).replace(names[1], names[0])
    with pytest.raises(NameError):
        connection.compile(tables[0].join(tables[0].view(), "n"))
