"""Exports of SIEMs and log shippers: the records inside are those of the log."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbench.loaders import siem, unwrap
from tests.loaders.flowlogs.test_text import LINE, NODATA
from tests.loaders.test_recognition import recognised

EVENT = {
    "eventVersion": "1.11",
    "userIdentity": {"type": "IAMUser", "userName": "bob"},
    "eventTime": "2026-09-01T03:10:00Z",
    "eventSource": "ec2.amazonaws.com",
    "eventName": "StopInstances",
    "awsRegion": "eu-west-1",
}
NANOSECONDS = "1788232200000000000"


def wrappers(text: str) -> dict[str, object]:
    """A record in the export of each tool."""
    return {
        "splunk": {"preview": False, "offset": 0, "result": {"_raw": text, "host": "a"}},
        "splunk-results": {"preview": False, "fields": [], "results": [{"_raw": text}]},
        "cribl": {"_raw": text, "_time": 1788232200, "cribl_pipe": "p"},
        "elastic": {"@timestamp": "2026-09-01", "event": {"original": text}, "source": {"port": 1}},
        "elastic-dotted": {"event.original": text, "source.port": 1},
        "elastic-hits": {"took": 1, "hits": {"total": 1, "hits": [{"_source": {"message": text}}]}},
        "elastic-hit": {"_index": "a", "_id": "b", "_source": {"event": {"original": text}}},
        "logscale": {"@rawstring": text, "@timestamp": 1},
        "fluent-bit": {"log": f"{text}\n", "stream": "stdout"},
        "loki": {"data": {"resultType": "streams", "result": [stream(text)]}, "status": "success"},
        "loki-push": {"streams": [stream(text)]},
        "logcli": {"labels": {"a": "b"}, "line": text, "timestamp": "2026-09-01T03:10:00Z"},
        "graylog": {"messages": [{"message": {"message": text, "_id": "x"}, "index": "i"}]},
        "sumo": {"messages": [{"map": {"_raw": text, "_source": "s"}}]},
        "datadog": {"data": [{"id": "x", "attributes": {"message": text, "service": "s"}}]},
        "datadog-content": {"data": [{"content": {"message": text}}]},
        "new-relic": {"results": [{"events": [{"message": text, "timestamp": 1}]}]},
        "gelf": {"version": "1.1", "host": "h", "short_message": text},
        "splunk-rows": {"preview": False, "fields": ["_raw", "_time"], "rows": [[text, "x"]]},
        "qradar": {"events": [{"utf8_payload": text, "qid": 1}]},
        "otlp": {
            "resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": text}}]}]}]
        },
        "table": {"columns": [{"name": "_raw"}, {"name": "n"}], "rows": [[text, 1]]},
        "log-analytics": {
            "tables": [
                {
                    "name": "T",
                    "columns": [{"name": "Message"}, {"name": "RawData"}],
                    "rows": [["", text]],
                }
            ]
        },
    }


def stream(text: str) -> dict[str, object]:
    return {"stream": {"a": "b"}, "values": [[NANOSECONDS, text]]}


@pytest.mark.parametrize("tool", wrappers(""))
@pytest.mark.parametrize(
    ("text", "kind", "rows"),
    [
        (LINE, "flow-logs", {"flows": 1}),
        (NODATA, "flow-logs", {"flows": 1}),
        (json.dumps(EVENT), "cloudtrail", {"api_events": 1}),
        (json.dumps({"Records": [EVENT, EVENT]}), "cloudtrail", {"api_events": 2}),
    ],
)
def test_records_in_exports(tmp_path, tool, text, kind, rows) -> None:
    value = wrappers(text)[tool]
    assert recognised(tmp_path, json.dumps(value)) == (kind, rows, [])
    assert recognised(tmp_path, json.dumps([value, value]))[:2] == (
        kind,
        {name: 2 * count for name, count in rows.items()},
    )


@pytest.mark.parametrize("tool", wrappers(""))
def test_what_is_no_record_is_quarantined_once(tmp_path, tool) -> None:
    kind, rows, reasons = recognised(tmp_path, json.dumps(wrappers("not a record")[tool]))
    assert (kind, rows, len(reasons)) == ("unknown", {}, 1)


@pytest.mark.parametrize(
    "value",
    [
        {"hits": {"hits": []}},
        {"data": {"resultType": "streams", "result": []}, "status": "success"},
        {"columns": [{"name": "a"}], "rows": []},
    ],
)
def test_answers_without_events(tmp_path, value) -> None:
    assert recognised(tmp_path, json.dumps(value))[1:] in (({}, []), ({}, [_UNKNOWN]))


_UNKNOWN = "JSON of no kind flowbench knows; its keys: data, status"


def test_rows_of_another_width_go_to_quarantine(tmp_path) -> None:
    value = {"columns": [{"name": "a"}, {"name": "_raw"}], "rows": [["x", LINE], ["x"], "y"]}
    kind, rows, reasons = recognised(tmp_path, json.dumps(value))
    assert (kind, rows) == ("flow-logs", {"flows": 1})
    assert reasons[0] == "a row of 1 values under 2 columns"
    assert len(reasons) == 2


def test_a_guardduty_finding_as_wazuh_keeps_it(tmp_path) -> None:
    finding = {
        "id": "f1",
        "type": "Recon:EC2/PortProbeUnprotectedPort",
        "arn": "arn:aws:guardduty:eu-west-1:111122223333:detector/d/finding/f1",
        "schemaVersion": "2.0",
        "severity": 2,
        "resource": {},
        "service": {},
        "updatedAt": "2026-09-01T03:10:00Z",
    }
    archived = {"integration": "aws", "aws": finding}
    for value in (archived, {"rule": {"id": "1"}, "data": archived}):
        assert recognised(tmp_path, json.dumps(value)) == ("guardduty", {"alerts": 1}, [])


def test_resources_that_config_selects(tmp_path) -> None:
    item = {
        "resourceType": "AWS::EC2::VPC",
        "resourceId": "vpc-0a",
        "configurationItemCaptureTime": "2026-09-01T03:10:00.000Z",
        "configurationItemStatus": "OK",
        "configuration": {"vpcId": "vpc-0a", "cidrBlock": "10.0.0.0/16"},
    }
    answer = {"Results": [json.dumps(item), "{"], "QueryInfo": {"SelectFields": []}}
    kind, rows, reasons = recognised(tmp_path, json.dumps(answer))
    assert (kind, rows) == ("config", {"config_items": 1, "vpcs": 1})
    assert reasons == ["text of no kind flowbench knows"]


@pytest.mark.parametrize(
    "value",
    [{"results": [{"name": "pulse"}]}, {"data": {"x": 1}}, {"columns": 1, "rows": []}, {"aws": 1}],
)
def test_other_objects_are_no_exports(value) -> None:
    assert siem.open_export(value) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just(LINE),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                "_raw event original hits _source result results data values streams messages"
                " message map events columns rows tables name resourceLogs scopeLogs logRecords"
                " body stringValue log aws integration Results QueryInfo attributes preview".split()
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_any_json_is_opened_without_error(value) -> None:
    for content in unwrap.unwrap(value):
        unwrap.message(content)
