"""Envelopes of AWS, also in each other, and the records in them."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowbench.io.json_stream import InvalidJson
from flowbench.loaders import unwrap

LINE = "2 123456789012 eni-0a 10.0.0.1 10.0.0.2 5 6 6 1 2 1788232200 1788232259 ACCEPT OK"
EVENT = {"eventName": "x", "list": [1, {"a": None}]}


def contents(value: Any) -> list[Any]:
    return list(unwrap.unwrap(value))


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def subscription(*messages: str) -> dict[str, Any]:
    events = [{"id": "3", "timestamp": 1788232200000, "message": each} for each in messages]
    return {
        "messageType": "DATA_MESSAGE",
        "owner": "123456789012",
        "logGroup": "/vpc/flow",
        "logStream": "eni-0a-all",
        "subscriptionFilters": ["all"],
        "logEvents": events,
    }


def firehose(*data: bytes) -> dict[str, Any]:
    records = [{"data": b64(each)} for each in data]
    return {"requestId": "r", "timestamp": 1788232200000, "records": records}


BOTH = [LINE, EVENT]
TEXTS = [LINE, json.dumps(EVENT)]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"message": LINE}, [LINE]),
        ({"message": json.dumps(EVENT)}, [EVENT]),
        (subscription(*TEXTS), BOTH),
        ({"events": [{"timestamp": 1, "message": t, "eventId": "3"} for t in TEXTS]}, BOTH),
        ([{"message": LINE}, {"@message": EVENT}], BOTH),
        ([subscription(LINE), subscription(json.dumps(EVENT))], [LINE, EVENT]),
        (firehose(LINE.encode(), json.dumps(EVENT).encode()), BOTH),
        (firehose(f"{LINE}\n{LINE}\n".encode()), [LINE, LINE]),
        (firehose(b'{"message":"%s"}{"message":"%s"}' % ((LINE.encode(),) * 2)), [LINE, LINE]),
        (firehose(gzip.compress(json.dumps(subscription(*TEXTS)).encode())), BOTH),
        (
            {"awslogs": {"data": b64(gzip.compress(json.dumps(subscription(LINE)).encode()))}},
            [LINE],
        ),
        ({"Records": [{"kinesis": {"data": b64(LINE.encode())}}]}, [LINE]),
        ({"Records": [{"Data": b64(LINE.encode()), "PartitionKey": "x"}]}, [LINE]),
    ],
)
def test_logs_and_deliveries(value, found) -> None:
    assert contents(value) == found


def test_rows_of_queries() -> None:
    cell = [
        {"field": "@timestamp", "value": "2026-09-01 03:10:00.000"},
        {"field": "srcAddr", "value": "10.0.0.1"},
    ]
    message = [{"field": "@message", "value": LINE}, {"field": "@ptr", "value": "Cm"}]
    answer = {"results": [cell, message], "statistics": {}, "status": "Complete"}
    row = {"@timestamp": "2026-09-01 03:10:00.000", "srcAddr": "10.0.0.1"}
    assert contents(answer) == [row, LINE]
    assert contents({"results": [], "statistics": {}, "status": "Complete"}) == []
    lake = {"QueryStatus": "FINISHED", "QueryResultRows": [[{"eventID": "1"}, {"eventName": "x"}]]}
    assert contents(lake) == [{"eventID": "1", "eventName": "x"}]
    rows = [["srcaddr", "bytes"], ["10.0.0.1", "7"], ["10.0.0.2", None], ["x"]]
    data = [{"Data": [{"VarCharValue": c} if c else {} for c in row]} for row in rows]
    assert contents({"ResultSet": {"Rows": data}}) == [
        {"srcaddr": "10.0.0.1", "bytes": "7"},
        {"srcaddr": "10.0.0.2", "bytes": None},
        InvalidJson("a row of 1 values under 2 columns"),
    ]


def test_empty_envelopes() -> None:
    control = subscription("CWL CONTROL MESSAGE: Checking health of destination Firehose.")
    assert contents(control | {"messageType": "CONTROL_MESSAGE"}) == []
    assert contents({"events": [], "searchedLogStreams": []}) == []
    assert contents(firehose(b"")) == []


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        None,
        5,
        "text",
        {"a": 1},
        [1, {"a": 2}],
        {"message": 5},
        {"@message": None},
        {"message": "x", "srcaddr": "10.0.0.1"},
        {"events": [{"a": 1}]},
        {"events": 5},
        {"logEvents": None},
        {"Records": [{"eventName": "x"}]},
        {"records": ["x"]},
        {"results": [1, 2]},
        {"results": {}},
        {"awslogs": {}},
        {"ResultSet": {"Rows": 5}},
    ],
    ids=json.dumps,
)
def test_other_values_are_returned_unchanged(value) -> None:
    assert contents(value) == [value]


def test_message_of_a_record_with_other_fields() -> None:
    assert unwrap.message({"message": LINE, "host": "x"}) == LINE
    assert unwrap.message({"message": json.dumps(EVENT), "host": "x"}) == EVENT
    assert unwrap.message({"message": '{"cut'}) == '{"cut'
    assert unwrap.message({"message": 5}) is None
    assert unwrap.message([{"message": LINE}]) is None


def reasons(value: Any) -> list[str]:
    return [each.reason for each in contents(value) if isinstance(each, InvalidJson)]


def test_unreadable_data_loses_only_itself() -> None:
    packed = gzip.compress(json.dumps(subscription(LINE)).encode())
    value = firehose(LINE.encode(), packed[:-12], LINE.encode())
    wrong = ["!!!", 5, None, "Zg", "\ud800"]
    value["records"][2:2] = [{"data": each} for each in wrong] + [None]
    found = contents(value)
    left = [{"data": 5}, {"data": None}, None]  # not an envelope: for the kinds or the quarantine
    assert [content for content in found if not isinstance(content, InvalidJson)] == [
        LINE,
        *left,
        LINE,
    ]
    messages = reasons(value)
    assert len(messages) == 5  # the truncated one is reported as gzip and as JSON
    assert sum("not base64" in reason for reason in messages) == 3
    assert sum("was cut off" in reason for reason in messages) == 2


def test_decompression_bomb_is_rejected(monkeypatch) -> None:
    monkeypatch.setattr(unwrap, "MAX_DATA", 1 << 20)
    bomb = firehose(gzip.compress(b"0" * (8 << 20)), LINE.encode())
    assert contents(bomb)[1:] == [LINE]
    assert "MB of decompressed data" in reasons(bomb)[0]


def test_endless_envelopes_are_not_followed() -> None:
    value: Any = {"message": LINE}
    for _ in range(8):
        value = {"message": json.dumps(value)}
    (left,) = contents(value)
    assert list(left) == ["message"]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), max_size=5),
    st.integers(0, 4),
)
def test_messages_are_read_back(messages, way) -> None:
    texts = [each for each in messages if each.lstrip()[:1] not in ("{", "[")]
    delivery = json.dumps(subscription(*texts)).encode()
    value = [
        subscription(*texts),
        {"events": [{"message": each} for each in texts], "nextToken": "x"},
        firehose(*(json.dumps({"message": each}).encode() for each in texts)),
        firehose(gzip.compress(delivery)),
        firehose(delivery),
    ][way]
    assert contents(value) == texts


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "message",
                    "@message",
                    "events",
                    "logEvents",
                    "records",
                    "data",
                    "results",
                    "field",
                    "value",
                    "ResultSet",
                    "Rows",
                    "VarCharValue",
                    "awslogs",
                    "kinesis",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(JSON)
def test_any_json_is_survived(value) -> None:
    contents(value)
    unwrap.message(value)
