"""Flow log records as Elastic Common Schema documents."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbench.loaders import ecs
from tests.loaders.flowlogs.test_text import LINE, read

DOCUMENT = {
    "@timestamp": "2026-09-01T03:10:59.000Z",
    "agent": {"name": "elastic-agent", "version": "9.1"},
    "aws": {
        "vpcflow": {
            "version": "2",
            "account_id": "123456789012",
            "interface_id": "eni-0a",
            "action": "ACCEPT",
            "log_status": "OK",
        }
    },
    "cloud": {"account": {"id": "123456789012"}, "provider": "aws"},
    "destination": {"address": "10.0.1.10", "ip": "10.0.1.10", "port": 22},
    "source": {"bytes": 3120, "ip": "198.51.100.23", "packets": 18, "port": 51544, "geo": {"x": 1}},
    "network": {"bytes": 3120, "iana_number": "6", "packets": 18, "transport": "tcp"},
    "event": {
        "dataset": "aws.vpcflow",
        "start": "2026-09-01T03:10:00.000Z",
        "end": "2026-09-01T03:10:59.000Z",
        "outcome": "success",
    },
    "related": {"ip": ["198.51.100.23", "10.0.1.10"]},
}


def flatten(value: dict, prefix: str = "") -> dict:
    """A document with dots in place of nesting."""
    flat = {}
    for name, each in value.items():
        flat |= (
            flatten(each, f"{prefix}{name}.") if isinstance(each, dict) else {prefix + name: each}
        )
    return flat


def hits(*documents: dict) -> dict:
    return {"hits": {"hits": [{"_index": "i", "_source": each} for each in documents]}}


@pytest.mark.parametrize(
    "value",
    [
        DOCUMENT,
        [DOCUMENT],
        flatten(DOCUMENT),
        hits(DOCUMENT),
        DOCUMENT | {"network": DOCUMENT["network"] | {"iana_number": None}},
    ],
)
def test_a_document_gives_the_record_of_the_line(tmp_path, value) -> None:
    flows, bad, kind = read(tmp_path, json.dumps(value))
    own, _, _ = read(tmp_path, LINE)
    assert (kind, bad) == ("flow-logs", [])
    drop = ["evidence_id", "line"]
    (row,) = flows.drop_columns([*drop, "item"]).to_pylist()
    assert row == own.drop_columns(drop).to_pylist()[0]


def test_a_table_of_the_same_fields(tmp_path) -> None:
    flat = {name: str(value) for name, value in flatten(DOCUMENT).items() if "related" not in name}
    data = ",".join(flat) + "\n" + ",".join(f'"{value}"' for value in flat.values()) + "\n"
    flows, bad, kind = read(tmp_path, data)
    assert (kind, bad, flows.num_rows) == ("flow-logs", [], 1)
    row = flows.to_pylist()[0]
    assert (row["srcaddr"], row["dstport"], row["protocol"]) == ("198.51.100.23", 22, 6)
    assert (row["action"], row["bytes"], str(row["start"])) == (
        "ACCEPT",
        3120,
        "2026-09-01 03:10:00+00:00",
    )


def test_a_document_with_an_impossible_value_goes_to_quarantine(tmp_path) -> None:
    broken = DOCUMENT | {"source": {"ip": "nowhere", "port": 1}}
    flows, bad, _ = read(tmp_path, json.dumps([DOCUMENT, broken]))
    assert (flows.num_rows, [row["reason"] for row in bad]) == (1, ["srcaddr cannot be 'nowhere'"])


def test_other_documents_are_no_records() -> None:
    for value in ({}, {"aws": 1}, {"aws": {"cloudtrail": {}}}, {"source": {"ip": "10.0.0.1"}}):
        assert ecs.to_record(value) is None


KEYS = st.sampled_from(["aws", "vpcflow", "aws.vpcflow.x", "source", "ip", "source.ip", "network"])


@given(
    st.dictionaries(
        KEYS,
        st.recursive(
            st.none() | st.text(max_size=3) | st.integers(),
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3),
        ),
    )
)
def test_any_document_is_a_record_or_none(value) -> None:
    record = ecs.to_record(value)
    assert record is None or {"srcaddr", "dstaddr", "start"} <= record.keys()
