"""The fields of flow logs, as the AWS table has them."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pandas as pd
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


SELECTOR = schema.EvidenceSelector(
    subject="10.0.1.10",
    peers=("198.51.100.7", "198.51.100.8"),
    ports=(443,),
    protocol=6,
    first_seen=datetime(2026, 9, 1, 3, tzinfo=UTC),
    last_seen=datetime(2026, 9, 1, 4, 0, 0, 250_000, tzinfo=UTC),
)


def test_a_selector_is_written_as_the_evidence_of_findings() -> None:
    assert json.loads(SELECTOR.to_json()) == {
        "subject": "10.0.1.10",
        "peers": ["198.51.100.7", "198.51.100.8"],
        "ports": [443],
        "protocol": 6,
        "from": "2026-09-01T03:00:00+00:00",
        "until": "2026-09-01T04:00:00.250000+00:00",
    }


@pytest.mark.parametrize(
    "selector",
    [
        SELECTOR,
        schema.EvidenceSelector("internet", targets=("10.0.1.10", "10.0.1.11")),
        schema.EvidenceSelector("flow logs", interfaces=("eni-0a",), log_status="SKIPDATA"),
    ],
)
def test_a_selector_is_read_back_equal(selector) -> None:
    assert schema.EvidenceSelector.from_json(selector.to_json()) == selector


def test_times_of_pandas_are_written_the_same() -> None:
    times = (pd.Timestamp(SELECTOR.first_seen), pd.Timestamp(SELECTOR.last_seen))
    same = schema.EvidenceSelector(
        SELECTOR.subject, SELECTOR.peers, SELECTOR.ports, SELECTOR.protocol, *times
    )
    assert same.to_json() == SELECTOR.to_json()


@pytest.mark.parametrize(
    "change",
    [
        {"subject": None},
        {"subject": ["10.0.1.10"]},
        {"peers": "198.51.100.7"},
        {"peers": [1]},
        {"ports": ["443"]},
        {"ports": [True]},
        {"protocol": "tcp"},
        {"from": "yesterday"},
        {"from": "2026-09-01T03:00:00"},  # without a time zone
        {"until": 1_788_232_200},
        {"targets": {}},
        {"status": 1},
    ],
)
def test_a_selector_with_values_of_other_types_is_refused(change) -> None:
    text = json.dumps(json.loads(SELECTOR.to_json()) | change)
    with pytest.raises(InputError, match="not the evidence of a finding"):
        schema.EvidenceSelector.from_json(text)


@pytest.mark.parametrize(
    "text", ["", "[]", "1", "{}", "[" * 100_000, '{"subject": "10.0.1.10"}', None]
)
def test_what_is_no_selector_is_refused(text) -> None:
    with pytest.raises(InputError, match="not the evidence of a finding"):
        schema.EvidenceSelector.from_json(text)
