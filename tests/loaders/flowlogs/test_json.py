"""Flow logs as JSON: every envelope and spelling gives the record that went in."""

from __future__ import annotations

import base64
import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowbench.loaders import dispatch
from flowbench.loaders.aws import cloudtrail
from flowbench.loaders.flowlogs import json as flow_json
from flowbench.schema import DEFAULT_FORMAT, FLOW_FIELDS
from flowbench.text import canonical_address
from tests.loaders.aws.test_cloudtrail import EVENT
from tests.loaders.aws.test_resolver import QUERY
from tests.loaders.flowlogs.test_text import CUSTOM, CUSTOM_LINE, LINE, NODATA, SKIPDATA, read

VALUES = dict(zip(DEFAULT_FORMAT, LINE.split(), strict=True))
NUMBERS = {
    name: int(v) if v.isdigit() and name != "account_id" else v for name, v in VALUES.items()
}
INSIGHTS = {
    "accountId",
    "endTime",
    "interfaceId",
    "logStatus",
    "startTime",
    "srcAddr",
    "dstAddr",
    "srcPort",
    "dstPort",
}
INSIGHTS_NAMES = {name.replace("Time", "").lower(): name for name in INSIGHTS}


def insights(record: dict[str, str]) -> dict[str, str]:
    return {
        INSIGHTS_NAMES.get(name.replace("_", ""), name): value for name, value in record.items()
    }


def cells(record: dict[str, str]) -> list[dict[str, str]]:
    return [{"field": name, "value": value} for name, value in record.items()]


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def delivery(*messages: str, kind: str = "DATA_MESSAGE") -> dict[str, Any]:
    events = [{"id": str(n), "timestamp": 1, "message": text} for n, text in enumerate(messages)]
    return {
        "messageType": kind,
        "owner": "1",
        "logGroup": "g",
        "logStream": "eni-0a-all",
        "subscriptionFilters": ["all"],
        "logEvents": events,
    }


def firehose(*data: bytes) -> str:
    return json.dumps(
        {"requestId": "r", "timestamp": 1, "records": [{"data": b64(d)} for d in data]}
    )


def loaded(folder: Path, text: str | bytes, **more: Any) -> tuple[pa.Table, list[dict], str]:
    return read(folder, text, "x.json", **more)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The record as the text loader reads it."""
    (row,) = read(tmp_path_factory.mktemp("plain"), LINE)[0].to_pylist()
    return {name: row[name] for name in DEFAULT_FORMAT}


WAYS = {
    "filter-log-events": json.dumps(
        {
            "events": [
                {
                    "logStreamName": "eni-0a-all",
                    "timestamp": 1,
                    "message": LINE,
                    "ingestionTime": 2,
                    "eventId": "3",
                }
            ],
            "searchedLogStreams": [],
        },
        indent=2,
    ),
    "get-log-events": json.dumps(
        {
            "events": [{"timestamp": 1, "message": LINE, "ingestionTime": 2}],
            "nextForwardToken": "f/3",
            "nextBackwardToken": "b/3",
        }
    ),
    "insights": json.dumps(
        {
            "queryLanguage": "CWLI",
            "results": [cells(insights(VALUES) | {"@ptr": "Cm"})],
            "statistics": {"recordsMatched": 1.0},
            "status": "Complete",
        }
    ),
    "insights message": json.dumps(
        {
            "results": [cells({"@timestamp": "2026-09-01 03:10:00.000", "@message": LINE})],
            "status": "Complete",
        }
    ),
    "console": json.dumps([insights(VALUES) | {"@timestamp": "2026-09-01 03:10:00.000"}]),
    "console message": json.dumps([{"@timestamp": "2026-09-01 03:10:00.000", "@message": LINE}]),
    "subscription": json.dumps(delivery(LINE)),
    "firehose": json.dumps({"message": LINE}),
    "firehose http": firehose(LINE.encode() + b"\n"),
    "firehose http message": firehose(json.dumps({"message": LINE}).encode()),
    "firehose http subscription": firehose(gzip.compress(json.dumps(delivery(LINE)).encode())),
    "shipper": json.dumps(
        {
            "@timestamp": "2026-11-01T00:00:00Z",
            "host": {"name": "x"},
            "message": LINE,
            "tags": ["a"],
        }
    ),
    "objects": json.dumps(NUMBERS),
    "objects of texts": json.dumps([VALUES]),
    "objects with hyphens": json.dumps({n.replace("_", "-"): v for n, v in NUMBERS.items()}),
    "objects in capitals": json.dumps({n.upper(): v for n, v in VALUES.items()}),
    "objects with dates": json.dumps(
        VALUES | {"start": "2026-09-01 03:10:00.000", "end": "2026-09-01T03:10:59Z"}
    ),
    "athena": json.dumps(
        {
            "ResultSet": {
                "Rows": [
                    {"Data": [{"VarCharValue": cell} for cell in row]}
                    for row in (VALUES, VALUES.values())
                ]
            }
        }
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_same_record_in_every_envelope(tmp_path, plain, way) -> None:
    flows, bad, kind = loaded(tmp_path, WAYS[way])
    assert (bad, kind) == ([], "flow-logs")
    (row,) = flows.to_pylist()
    assert {name: row[name] for name in DEFAULT_FORMAT} == plain
    assert (row["line"], row["item"]) == (1, 1)
    assert [name for name in flows.column_names if name.startswith("@")] == []


def test_concatenated_objects_have_line_and_item(tmp_path) -> None:
    one = json.dumps({"message": LINE})
    flows, bad, _ = loaded(tmp_path, f"{one}{one}\n\n{json.dumps(delivery(LINE, LINE))}{one}")
    assert bad == []
    assert [(r["line"], r["item"]) for r in flows.to_pylist()] == [
        (1, 1),
        (1, 2),
        *((3, item) for item in (3, 4, 5)),
    ]


def test_nodata_and_skipdata_are_kept(tmp_path) -> None:
    texts = "\n".join(json.dumps({"message": each}) for each in (LINE, NODATA, SKIPDATA))
    silent = dict(zip(DEFAULT_FORMAT, NODATA.split(), strict=True))
    objects = json.dumps([VALUES, silent, {n: v for n, v in silent.items() if v != "-"}])
    for text in (texts, objects):
        flows, bad, _ = loaded(tmp_path, text)
        assert bad == []
        assert flows["log_status"].to_pylist()[:2] == ["OK", "NODATA"]
        assert flows["srcaddr"].to_pylist()[1:] == [None, None]
        assert flows["bytes"].to_pylist()[1:] == [None, None]


def test_health_check_is_ignored(tmp_path) -> None:
    control = json.dumps(delivery("CWL CONTROL MESSAGE: Checking", kind="CONTROL_MESSAGE"))
    flows, bad, kind = loaded(tmp_path, control + json.dumps(delivery(LINE)))
    assert (flows.num_rows, bad, kind) == (1, [], "flow-logs")
    assert loaded(tmp_path, control)[1:] == ([], "empty")


def test_custom_format(tmp_path) -> None:
    text = json.dumps(delivery(CUSTOM_LINE))
    flows, bad, _ = loaded(tmp_path, text, formats=(CUSTOM,))
    assert (flows.num_rows, bad) == (1, [])
    assert flows.to_pylist()[0]["item"] == 1
    flows, bad, _ = loaded(tmp_path, text)
    assert flows.num_rows == 0
    assert bad[0]["line"] == bad[0]["item"] == 1
    assert "--format-string" in bad[0]["reason"]


def test_real_deliveries(tmp_path, samples) -> None:
    folder = samples / "flowlogs" / "otel"
    flows, bad, _ = loaded(tmp_path, (folder / "valid_vpc_flow_cw.json").read_bytes())
    assert bad == []
    assert flows.select(["dstaddr", "dstport", "action", "item"]).to_pylist() == [
        {"dstaddr": "172.31.16.21", "dstport": 22, "action": "ACCEPT", "item": 1},
        {"dstaddr": "172.31.9.12", "dstport": 3389, "action": "REJECT", "item": 2},
    ]
    fields = ("version", "interface_id", "srcaddr", "dstaddr")
    custom = (folder / "valid_vpc_flow_cw_custom.json").read_bytes()
    flows, bad, _ = loaded(tmp_path, custom, formats=(fields,))
    assert bad == []
    assert flows["dstaddr"].to_pylist() == ["172.31.16.21", "172.31.9.12"]
    assert len(loaded(tmp_path, custom)[1]) == 2  # unknown without the format
    flows, bad, _ = loaded(tmp_path, (folder / "valid_tgw_flow_cw.json").read_bytes())
    assert flows.num_rows + len(bad) == 1


def test_several_kinds_in_one_envelope(tmp_path) -> None:
    texts = (json.dumps(EVENT), LINE, json.dumps(QUERY), "START RequestId: 1", NODATA)
    path = tmp_path / "x.json"
    path.write_text(firehose(gzip.compress(json.dumps(delivery(*texts)).encode())))
    evidence = dispatch.Evidence.of(path, path.name)
    found = dict(dispatch.read(evidence))
    assert evidence.kind == "cloudtrail+flow-logs+dns"
    assert {name: rows["item"].to_pylist() for name, rows in found.items()} == {
        "api_events": [1],
        "flows": [2, 5],
        "dns": [3],
        "quarantine": [4],
    }
    (bad,) = found["quarantine"].to_pylist()
    assert (bad["reason"], bad["raw"]) == ("text of no kind flowbench knows", texts[3])


def test_impossible_values_lose_only_their_record(tmp_path) -> None:
    wrong = {
        "srcport": 70_000,
        "dstaddr": "10.0.0.300",
        "bytes": -1,
        "packets": "many",
        "action": "ALLOW",
        "start": [1],
        "protocol": {"a": 1},
        "end": 10**40,
        "log_status": True,
        "version": 1.5,
    }
    objects = [NUMBERS, *(NUMBERS | {name: value} for name, value in wrong.items()), NUMBERS]
    flows, bad, _ = loaded(tmp_path, "\n".join(map(json.dumps, objects)))
    assert flows["line"].to_pylist() == [1, len(objects)]
    assert sorted((row["line"], row["item"]) for row in bad) == [
        (n, n) for n in range(2, len(objects))
    ]
    assert all(json.loads(row["raw"])["interface_id"] == "eni-0a" for row in bad)
    reasons = {row["line"] - 2: row["reason"] for row in bad}
    assert reasons[0] == "srcport cannot be '70000'"
    assert reasons[3] == "packets is not a number: 'many'"
    assert reasons[9].startswith("version")


def test_unstorable_text_is_replaced(tmp_path) -> None:
    odd = NUMBERS | {"vpc_id": "a\0b", "subnet_id": "\ud800", "region": {"deep": ["x"]}}
    flows, bad, _ = loaded(tmp_path, json.dumps(odd))
    (row,) = flows.to_pylist()
    assert bad == []
    assert (row["vpc_id"], row["subnet_id"], row["region"]) == (
        "a\ufffdb",
        "\ufffd",
        '{"deep": ["x"]}',
    )


def test_insights_timestamp_is_the_start(tmp_path) -> None:
    row = {
        "@timestamp": "2026-09-01 03:10:00.000",
        "srcAddr": "10.0.0.1",
        "dstAddr": "10.0.0.2",
        "bytes": "7",
        "@ptr": "C",
    }
    flows, bad, _ = loaded(tmp_path, json.dumps({"results": [cells(row)], "status": "Complete"}))
    (found,) = flows.to_pylist()
    assert (bad, found["start"], found["bytes"]) == ([], datetime(2026, 9, 1, 3, 10, tzinfo=UTC), 7)


def test_aggregates_are_not_records(tmp_path) -> None:
    counted = {"srcAddr": "10.0.0.1", "dstAddr": "10.0.0.2", "bytes": "123456"}
    flows, bad, _ = loaded(
        tmp_path, json.dumps({"results": [cells(counted)], "status": "Complete"})
    )
    assert flows.num_rows == 0
    assert (
        bad[0]["reason"]
        == "neither start nor end: rows of an aggregate or a selection are not records"
    )


def test_unknown_fields_are_kept_up_to_a_limit(tmp_path) -> None:
    kept = NUMBERS | {"day": "2026/09/01", "aws-account-id": 12, "item": "x", "strange name": 1}
    more = [NUMBERS | {f"extra_{n}_{i}": 1 for i in range(10)} for n in range(20)]
    flows, bad, _ = loaded(tmp_path, json.dumps([kept, *more]))
    row = flows.to_pylist()[0]
    assert (row["day"], row["aws_account_id"], row["field_item"]) == ("2026/09/01", "12", "x")
    assert len(set(flows.column_names) - set(FLOW_FIELDS) - {"evidence_id", "line", "item"}) <= 100
    assert {row["reason"] for row in bad} == {
        f"more than {flow_json.MAX_EXTRA} fields in this file that are not flow log fields"
    }
    assert flows.num_rows + len(bad) == 21


@pytest.mark.parametrize(
    "value",
    [
        None,
        5,
        "",
        "plain words of a log",
        "2026-11-01 12:34:56 Connection from 10.0.0.1 closed",
        {},
        [],
        {"srcaddr": "10.0.0.1"},
        {"bytes": 1, "packets": 2},
        QUERY,
        EVENT,
        [QUERY],
        {"srcaddr": "a", "dstaddr": "b", "region": "c"},
        {"version": 1, "type": "x", "region": "y"},
        {"a": 1, "b": 2, "c": 3, "d": 4, "srcaddr": "x", "bytes": 1},
    ],
)
def test_other_json_is_not_matched(value) -> None:
    assert flow_json.matches(value) is None


def test_other_kinds_do_not_match_flow_records() -> None:
    assert cloudtrail.matches(NUMBERS) is None


def test_batches_of_a_large_file(tmp_path) -> None:
    flows, bad, _ = loaded(tmp_path, "\n".join([json.dumps({"message": LINE})] * 45_000))
    assert (flows.num_rows, bad) == (45_000, [])
    assert flows["line"].to_pylist() == flows["item"].to_pylist() == list(range(1, 45_001))


records = st.fixed_dictionaries(
    {
        "version": st.integers(2, 11),
        "account_id": st.from_regex(r"[0-9]{12}|unknown", fullmatch=True),
        "interface_id": st.from_regex(r"eni-[0-9a-f]{17}", fullmatch=True),
        "srcaddr": st.ip_addresses().map(str).map(canonical_address),
        "dstaddr": st.ip_addresses().map(str).map(canonical_address),
        "srcport": st.integers(0, 65_535) | st.none(),
        "dstport": st.integers(0, 65_535),
        "protocol": st.integers(0, 255),
        "packets": st.integers(0, 10**12) | st.none(),
        "bytes": st.integers(0, 10**14),
        "start": st.integers(1_600_000_000, 1_800_000_000),
        "end": st.integers(1_600_000_000, 1_800_000_000),
        "action": st.sampled_from(["ACCEPT", "REJECT", None]),
        "log_status": st.sampled_from(["OK", "NODATA", "SKIPDATA"]),
    }
)
TIMES = ("start", "end")


def text_of(record: dict[str, Any]) -> str:
    values = [record[name] for name in DEFAULT_FORMAT]
    return " ".join("-" if value is None else str(value) for value in values)


def packed(found: list[dict[str, Any]], way: int) -> str | bytes:
    texts = [text_of(each) for each in found]
    ways = [
        lambda: "".join(json.dumps({"message": text}) for text in texts),
        lambda: json.dumps({"events": [{"message": text} for text in texts], "nextToken": "x"}),
        lambda: gzip.compress(json.dumps(delivery(*texts)).encode()),
        lambda: firehose(*(text.encode() for text in texts)),
        lambda: "\n".join(map(json.dumps, found)),
        lambda: json.dumps(
            {
                "results": [
                    cells(insights({n: "-" if v is None else str(v) for n, v in each.items()}))
                    for each in found
                ],
                "statistics": {},
            }
        ),
    ]
    return ways[way]()


@settings(max_examples=40, deadline=None)
@given(st.lists(records, min_size=1, max_size=5), st.integers(0, 5))
def test_written_records_are_read_back(tmp_path_factory, found, way) -> None:
    flows, bad, _ = loaded(tmp_path_factory.mktemp("f"), packed(found, way))
    assert bad == []
    rows = [{name: row[name] for name in DEFAULT_FORMAT} for row in flows.to_pylist()]
    for row in rows:
        row |= {name: int(row[name].timestamp()) for name in TIMES}
    assert rows == found


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from([10**30, 10**5000, "\0", "\ud800", "9" * 500, "-", "None", "1e9", " 7 "]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers()),
)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(sorted(VALUES)), ODD), max_size=4))
def test_any_value_is_read_or_quarantined(tmp_path_factory, changes) -> None:
    file = [NUMBERS | change for change in changes]
    try:
        text = json.dumps(file)
    except ValueError:  # too many digits
        return
    flows, bad, _ = loaded(tmp_path_factory.mktemp("f"), text)
    if file:
        assert flows.num_rows + len(bad) == len(file)
