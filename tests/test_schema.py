"""The fields of flow logs, as the AWS table has them."""

from __future__ import annotations

import pyarrow as pa
import pytest

from flowbench import schema
from flowbench.errors import InputError

DEFAULT = (
    "${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport}"
    " ${protocol} ${packets} ${bytes} ${start} ${end} ${action} ${log-status}"
)


@pytest.mark.parametrize(
    ("version", "fields"),
    [(2, 14), (3, 21), (4, 25), (5, 29), (7, 39), (8, 40), (9, 41), (10, 42), (11, 54)],
)
def test_so_many_fields_up_to_each_version(version: int, fields: int) -> None:
    assert sum(f.version <= version for f in schema.VPC_FIELDS.values()) == fields


def test_transit_gateway_fields_are_all_version_6_and_new() -> None:
    assert len(schema.TRANSIT_GATEWAY_FIELDS) == 18
    assert {f.version for f in schema.TRANSIT_GATEWAY_FIELDS.values()} == {6}
    assert not set(schema.TRANSIT_GATEWAY_FIELDS) & set(schema.VPC_FIELDS)


def test_the_default_format() -> None:
    names = [schema.FLOW_FIELDS[name].aws_name for name in schema.DEFAULT_FORMAT]
    assert " ".join(f"${{{name}}}" for name in names) == DEFAULT


def test_every_field_has_a_meaning_and_a_name_of_its_own() -> None:
    fields = schema.FLOW_FIELDS.values()
    assert len(fields) == 72
    assert all(len(field.meaning) > 3 for field in fields)
    assert all(field.type in schema.TYPES for field in fields)
    assert schema.FLOW_FIELDS["pkt_srcaddr"].aws_name == "pkt-srcaddr"


@pytest.mark.parametrize(
    ("columns", "key"),
    [
        (["line", "srcaddr", "evidence_id"], ["evidence_id", "line"]),
        (["item", "line", "evidence_id"], ["evidence_id", "line", "item"]),
        (["srcaddr"], []),
    ],
)
def test_a_record_is_identified_by_its_position_in_the_evidence(columns, key) -> None:
    assert schema.record_key(columns) == key


def test_the_flows_table_has_v2_to_v5_and_its_origin() -> None:
    assert len(schema.FLOWS.columns) == 31
    assert schema.FLOWS.columns[-2:] == ["evidence_id", "line"]


TABLE = schema.Table.of("things", ("n", "int64", "a number"), ("when", "time", "a moment"))


def test_rows_and_frames_keep_whole_numbers_whole() -> None:
    assert TABLE.rows([{"n": 1}, {}]).to_pylist() == [
        {"n": 1, "when": None},
        {"n": None, "when": None},
    ]
    frame = TABLE.frame([{"n": 2**60 + 1}, {}])
    assert str(frame["n"].dtype) == "Int64"
    assert frame["n"][0] == 2**60 + 1
    assert str(frame["when"].dtype) == "datetime64[us, UTC]"
    assert TABLE.arrow.field("when").type == pa.timestamp("us", tz="UTC")


def test_a_table_that_lacks_a_column_is_refused() -> None:
    TABLE.check(["when", "n", "more"])
    with pytest.raises(InputError, match="not a things table: it lacks when"):
        TABLE.check(["n"])
