"""Tables read from JSON records: paths, converters, required values."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from flowbench.errors import BadRecord
from flowbench.loaders.aws.record import Column, record_table
from flowbench.loaders.values import address

RECORD = {
    "Name": "web",
    "State": {"Name": "running", "code": 16},
    "Groups": [{"GroupId": "sg-1"}, {"groupId": "sg-2"}, None, {"GroupId": "sg-1"}],
    "Set": {"items": [{"cidr": "10.0.0.0/8"}, {"cidr": "::/0"}]},
    "Ids": ["i-1", 5, ["x"], ""],
    "Address": "2001:DB8::1",
    "LaunchTime": "2026-09-01T03:10:04Z",
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("Name", "web"),
        ("name", "web"),
        ("State.Name", "running"),
        ("state.Code", "16"),
        ("State.Name.First", None),
        ("Missing", None),
        ("Missing, State, Name", "web"),
        ("Groups[].GroupId", "sg-1"),
        ("State", None),
    ],
)
def test_single_value(path: str, expected: str | None) -> None:
    assert Column("x", path, "").read(RECORD) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("Groups[].GroupId", ["sg-1", "sg-2"]),
        ("Name, Set[].Cidr", ["web", "10.0.0.0/8", "::/0"]),
        ("Set[].cidr, Name, Set[].cidr", ["10.0.0.0/8", "::/0", "web"]),
        ("Ids[]", ["i-1", "5"]),
        ("Name[]", ["web"]),
        ("State[].Name", ["running"]),
        ("Missing[].Name", []),
        ("Name", ["web"]),
    ],
)
def test_all_values_of_a_strings_column(path: str, expected: list[str]) -> None:
    assert Column("x", path, "", "strings").read(RECORD) == expected


@pytest.mark.parametrize(
    ("column_type", "value", "expected"),
    [
        ("string", 111122223333, "111122223333"),
        ("string", ["x"], None),
        ("bool", "true", True),
        ("bool", 1, None),
        ("int32", "65535", 65535),
        ("int32", 65536, None),
        ("int64", 65536, 65536),
        ("float64", 8, 8.0),
        ("float64", float("nan"), None),
        ("time", "2026-09-01T03:10:04", datetime(2026, 9, 1, 3, 10, 4, tzinfo=UTC)),
        ("time", "soon", None),
    ],
)
def test_converter_of_a_type(column_type: str, value: object, expected: object) -> None:
    assert Column("x", "Value", "", column_type).read({"value": value}) == expected


def test_small_initial_letter_comes_first() -> None:
    assert Column("x", "Name", "").read({"Name": "capital", "name": "small"}) == "small"


def test_own_converter_and_computed_columns() -> None:
    assert Column("x", "Name, Address", "", convert=address).read(RECORD) == "2001:db8::1"
    assert Column("x", "@", "", "int64", len).read(RECORD) == len(RECORD)
    assert Column("x", "@", "", "strings", sorted).read({"b": 1, "a": 2}) == ["a", "b"]
    assert Column("x", None, "", "time").read(RECORD) is None


@pytest.mark.parametrize("record", [None, 5, "text", [], [RECORD], {"State": [1]}, {"Ids": {}}])
def test_malformed_record_has_no_values(record: object) -> None:
    assert Column("x", "State.Name", "").read(record) is None
    assert Column("x", "Ids[].Name", "", "strings").read(record) == []


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        (Column("x", "Missing", "", required=True), "no Missing"),
        (Column("x", "State.Missing, Name.Other", "", required=True), "no Missing"),
        (Column("x", "State", "", required=True), "no State"),
        (Column("x", "Missing", "", "time", required=True), "no Missing"),
        (Column("x", "Name", "", "time", required=True), "Name is not a time: 'web'"),
        (Column("x", "Missing, Name", "", "time", required=True), "Missing is not a time: 'web'"),
    ],
)
def test_missing_required_value_is_rejected_with_a_reason(column: Column, reason: str) -> None:
    with pytest.raises(BadRecord) as error:
        column.read(RECORD)
    assert str(error.value) == reason


TABLE = record_table(
    "things",
    "a thing",
    Column("name", "Name", "its name", required=True),
    Column("launched_at", "LaunchTime", "when it was launched", "time"),
    Column("observed_at", None, "when it was recorded", "time"),
)


def test_table_has_the_columns_and_their_place_in_evidence() -> None:
    assert TABLE.columns == ["name", "launched_at", "observed_at", "evidence_id", "line", "item"]
    assert [(field.type, field.meaning) for field in TABLE.fields[:2]] == [
        ("string", "its name"),
        ("time", "when it was launched"),
    ]
    row = TABLE.to_row(RECORD)
    assert row == {
        "name": "web",
        "launched_at": datetime(2026, 9, 1, 3, 10, 4, tzinfo=UTC),
        "observed_at": None,
    }
    assert TABLE.rows([row]).num_rows == 1


@pytest.mark.parametrize("record", [None, 5, "text", [RECORD], True])
def test_value_that_is_no_object_is_rejected(record: object) -> None:
    with pytest.raises(BadRecord, match=r"^not a thing: no JSON object$"):
        TABLE.to_row(record)
