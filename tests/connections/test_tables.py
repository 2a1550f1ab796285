"""The tables of connections and their summaries."""

from __future__ import annotations

from flowbench.connections.tables import SUMMARIES, TABLE


def test_summaries_have_the_columns_of_connections() -> None:
    assert set(SUMMARIES.columns) - set(TABLE.columns) == {"connections"}
    own = set(TABLE.columns) - set(SUMMARIES.columns)
    alone = {"initiator_port", "interface_id", "rejected_records", "syn_sent", "initiator_rule"}
    assert own == alone


def test_flags_of_a_connection_are_counts_in_a_summary() -> None:
    for name in ("rejected", "answered"):
        types = [str(table.arrow.field(name).type) for table in (TABLE, SUMMARIES)]
        assert types == ["bool", "int64"]


def test_every_column_has_a_meaning() -> None:
    assert all(field.meaning for table in (TABLE, SUMMARIES) for field in table.fields)
