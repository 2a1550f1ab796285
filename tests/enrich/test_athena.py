"""The hunt as SQL: it parses as Trino, and holds only what was parsed and spelled anew."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
import sqlglot
from sqlglot import exp

from flowbench.enrich import athena
from flowbench.errors import InputError
from flowbench.loaders.intel.indicators import TABLE


def listed(*rows: dict[str, Any]) -> pa.Table:
    return TABLE.rows({"type": "address", "kind": "c2"} | row for row in rows)


def test_the_query_parses_and_has_every_address() -> None:
    text = athena.build_query(
        listed(
            {"indicator": "203.0.113.7", "port": 443},
            {"indicator": "203.0.113.7", "port": 443, "feed": "another"},
            {"indicator": "198.51.100.0/24", "type": "network",
             "valid_from": datetime(2026, 9, 1, tzinfo=UTC)},
            {"indicator": "2001:db8::/32", "type": "network"},
            {"indicator": "evil.example", "type": "domain"},
            {"indicator": "192.0.2.53", "kind": "allow"},
        ),
        "vpc_flow_logs",
    )  # fmt: skip
    (query,) = sqlglot.parse(text, dialect="trino")
    rows = [[each.sql("trino") for each in row.expressions] for row in query.find(exp.Values)]
    assert [row[0] for row in rows if row] == [
        "'198.51.100.0/24'",
        "'2001:db8::/32'",
        "'203.0.113.7/32'",
    ]
    assert "CAST(443 AS INTEGER)" in text
    assert "CAST(1788220800 AS BIGINT)" in text
    tables = {table.name for table in query.find_all(exp.Table)}
    assert tables == {"vpc_flow_logs", "flows", "ends", "indicators"}


@pytest.mark.parametrize("table", ["", "a b", "a;b", 'a"b', "a.b.c.d", "a'--", "1a"])
def test_table_names_that_are_rejected(table: str) -> None:
    with pytest.raises(InputError, match="not a table name"):
        athena.build_query(listed({"indicator": "203.0.113.7"}), table)


def test_only_addresses_get_into_the_query() -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        athena.build_query(listed({"indicator": "x') OR 1=1 --"}), "t")
    with pytest.raises(InputError, match="no address or network"):
        athena.build_query(listed({"indicator": "evil.example", "type": "domain"}), "t")


def test_more_indicators_than_athena_accepts() -> None:
    many = ({"indicator": f"203.{n >> 8}.{n & 255}.1"} for n in range(5000))
    with pytest.raises(InputError, match="split the list"):
        athena.build_query(listed(*many), "t")
