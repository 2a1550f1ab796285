"""Containers of describe answers, and tags in either spelling."""

from __future__ import annotations

import pytest

from flowbench.loaders.aws import describe

BARE = {"ThingId": "t-1"}
THING = {"ThingId": "t-1", "Size": 3}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Things": [BARE]}, [BARE]),
        ({"things": [{"thingId": "t-1"}]}, [{"thingId": "t-1"}]),
        ({"Things": [None, BARE], "NextToken": "x", "ResponseMetadata": {}}, [None, BARE]),
        ({"data": {"Things": [BARE]}, "status_code": 200}, [BARE]),
        ({"Things": []}, []),
        ({"Things": [THING], "Other": 1}, [THING]),
        ([THING, BARE], [THING, BARE]),
        (THING, [THING]),
    ],
)
def test_records_in_every_container(value: object, expected: list[object]) -> None:
    assert describe.find_records(value, "things", "thingId", "size", "color") == expected


@pytest.mark.parametrize(
    "value",
    [
        BARE,
        [BARE],
        {"Things": [BARE], "Other": 1},
        {"Things": [], "Other": 1},
        {"Things": ["t-1"]},
        {"Things": {"ThingId": "t-1"}},
        {"Size": 3},
        {"ThingId": "", "Size": 3},
        {"ThingId": ["t-1"], "Size": 3},
        None,
        [],
        "text",
    ],
)
def test_other_json_has_no_records(value: object) -> None:
    assert describe.find_records(value, "things", "thingId", "size", "color") is None


def test_an_object_needs_its_id_and_another_key() -> None:
    assert describe.has_keys(THING, "thingId", "color", "size")
    assert describe.has_keys({"thingId": 5, "size": False}, "thingId", "size")
    assert not describe.has_keys(BARE, "thingId", "size")
    assert not describe.has_keys({"Size": 3}, "thingId", "size")
    assert not describe.has_keys(None, "thingId", "size")


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"Tags": [{"Key": "Name", "Value": "web"}]}, {"Name": "web"}),
        ({"tagSet": [{"key": "Name"}], "tags": [{"key": "x", "value": "y"}]}, {"Name": ""}),
        ({"tagSet": [], "tags": [{"key": "x", "value": 5}]}, {"x": "5"}),
        ({"TagSet": {"items": [{"key": "a", "value": "b"}]}}, {"a": "b"}),
        ({"Tags": [None, 5, {"Value": "x"}, {"Key": ["k"]}]}, {}),
        ({"Tags": "Name"}, {}),
        (None, {}),
    ],
)
def test_tags(record: object, expected: dict[str, str]) -> None:
    assert describe.read_tags(record) == expected


def test_columns_of_tags() -> None:
    record = {"Tags": [{"Key": "Name", "Value": ""}, {"Key": "env", "Value": "prod"}]}
    assert describe.NAME.read(record) is None
    assert describe.TAGS.read(record) == [("Name", ""), ("env", "prod")]
    assert describe.OBSERVED_AT.read(record | {"ObservedAt": "2026-09-01T00:00:00Z"}) is None
