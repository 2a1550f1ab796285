"""Companion evidence in every container in which it reaches an investigator."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowbench.loaders import dispatch
from flowbench.loaders.aws import cloudtrail, guardduty, resolver
from tests.loaders.aws.test_cloudtrail import EVENT, lookup
from tests.loaders.aws.test_guardduty import FINDING, pascal
from tests.loaders.aws.test_resolver import QUERY
from tests.loaders.flowlogs.test_json import WAYS, delivery, firehose

RECORDS = {"cloudtrail": EVENT, "guardduty": FINDING, "dns": QUERY}
KINDS = {kind.KIND: kind for kind in (cloudtrail, guardduty, resolver)}


def loaded(folder: Path, data: str | bytes) -> tuple[dict[str, list[dict[str, Any]]], str]:
    path = folder / "x"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    evidence = dispatch.Evidence.of(path, path.name)
    found: dict[str, list[dict[str, Any]]] = {}
    for name, rows in dispatch.read(evidence):
        found.setdefault(name, []).extend(rows.drop_columns(["evidence_id"]).to_pylist())
    return found, evidence.kind


def row_of(kind: str, record: dict[str, Any]) -> dict[str, Any]:
    module = KINDS[kind]
    (row,) = module.TABLE.rows([module.to_row(record)]).to_pylist()
    return {
        name: value for name, value in row.items() if name not in ("evidence_id", "line", "item")
    }


def both(record: dict[str, Any]) -> list[dict[str, Any]]:
    return [record, record]


ANY = {
    "lines": lambda r: "\n".join(map(json.dumps, both(r))),
    "lines in gzip": lambda r: gzip.compress("\n".join(map(json.dumps, both(r))).encode()),
    "gzip members without line ends": lambda r: gzip.compress(json.dumps(r).encode()) * 2,
    "list": lambda r: json.dumps(both(r), indent=1),
    "filter-log-events": lambda r: json.dumps(
        {"events": [{"timestamp": 1, "message": json.dumps(each)} for each in both(r)]}),
    "subscription": lambda r: json.dumps(delivery(json.dumps(r), json.dumps(r))),
    "subscriptions in gzip": lambda r: gzip.compress(json.dumps(delivery(json.dumps(r))).encode())
    * 2,
    "firehose": lambda r: json.dumps(r) * 2,
    "firehose of messages": lambda r: json.dumps({"message": json.dumps(r)}) * 2,
    "firehose over http": lambda r: firehose(json.dumps(r).encode() * 2),
    "firehose of subscriptions": lambda r: firehose(
        *[gzip.compress(json.dumps(delivery(json.dumps(r))).encode())] * 2),
    "insights": lambda r: json.dumps({"results": [
        [{"field": "@message", "value": json.dumps(r)}, {"field": "@ptr", "value": "C"}]] * 2,
        "statistics": {}}),
    "console": lambda r: json.dumps([{"@timestamp": "x", "@message": each} for each in both(r)]),
    "eventbridge": lambda r: "\n".join([json.dumps(
        {"version": "0", "id": "1", "detail-type": "x", "evidence_id": "y", "detail": r})] * 2),
}  # fmt: skip


# Resolver query logs do not come over EventBridge.
@pytest.mark.parametrize(
    ("kind", "way"), sorted({(k, w) for k in RECORDS for w in ANY} - {("dns", "eventbridge")})
)
def test_every_kind_in_every_container(tmp_path, kind, way) -> None:
    found, told = loaded(tmp_path, ANY[way](RECORDS[kind]))
    assert told == kind
    assert list(found) == [KINDS[kind].TABLE.name]
    rows = found[KINDS[kind].TABLE.name]
    assert [row["item"] for row in rows] == [1, 2]
    for row in rows:
        assert {n: row[n] for n in row if n not in ("line", "item")} == row_of(kind, RECORDS[kind])


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("cloudtrail", {"Records": [EVENT]}),
        ("cloudtrail", {"Events": [lookup()], "NextToken": "x"}),
        ("guardduty", {"Findings": [pascal(FINDING)]}),
    ],
    ids=["trail", "lookup-events", "get-findings"],
)
def test_containers_of_one_kind(tmp_path, kind, value) -> None:
    found, told = loaded(tmp_path, gzip.compress(json.dumps(value).encode()))
    assert (told, list(found)) == (kind, [KINDS[kind].TABLE.name])
    assert len(found[KINDS[kind].TABLE.name]) == 1


def small(value: Any) -> Any:
    """Names in small letters, as Athena has them; what is JSON text in a table stays as it is."""
    if isinstance(value, dict):
        return {name.lower(): small(inside) for name, inside in value.items()}
    return value


def spelt(value: Any) -> str:
    """As Athena and Lake write a struct into a text."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}={spelt(inside)}" for name, inside in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(spelt, value)) + "]"
    return "null" if value is None else str(value)


def athena(identity: Any) -> dict[str, Any]:
    row = {name.lower(): value for name, value in EVENT.items()}
    row["useridentity"] = identity
    for name in ("requestParameters", "responseElements"):
        row[name.lower()] = json.dumps(EVENT[name])
    row["readonly"] = str(row.get("readonly", False)).lower()
    return row


IDENTITY = small(EVENT["userIdentity"])


@pytest.mark.parametrize("identity", [IDENTITY, json.dumps(IDENTITY), spelt(IDENTITY)])
def test_rows_of_athena_and_lake(tmp_path, identity) -> None:
    row = athena(identity)
    cells = [{} if v is None else {"VarCharValue": spelt(v)} for v in row.values()]
    names = [{"VarCharValue": name} for name in row]
    ways = [
        json.dumps(row),
        json.dumps({"QueryResultRows": [[{name: value} for name, value in row.items()]]}),
        json.dumps(EVENT | {"userIdentity": identity}) if isinstance(identity, str) else "",
    ]
    if isinstance(identity, str):
        ways.append(json.dumps({"ResultSet": {"Rows": [{"Data": names}, {"Data": cells}]}}))
    wanted = row_of("cloudtrail", EVENT)
    for way in filter(None, ways):
        found, told = loaded(tmp_path, way)
        (read,) = found["api_events"]
        assert told == "cloudtrail"
        assert {name: read[name] for name in wanted} == wanted


def test_what_a_trail_writes_besides_events_is_named(tmp_path) -> None:
    digest = {
        "awsAccountId": "111122223333", "digestStartTime": "2026-09-01T02:00:00Z",
        "digestEndTime": "2026-09-01T03:00:00Z", "digestS3Bucket": "b", "digestS3Object": "o",
        "digestSignatureAlgorithm": "SHA256withRSA", "previousDigestS3Object": None,
        "logFiles": [{"s3Bucket": "b", "s3Object": "x", "hashValue": "00"}],
    }  # fmt: skip
    insight = {
        "eventVersion": "1.08", "eventTime": "2026-09-01T02:00:00Z", "awsRegion": "us-east-1",
        "eventID": "1", "eventType": "AwsCloudTrailInsight", "recipientAccountId": "111122223333",
        "insightDetails": {"state": "Start", "eventName": "RunInstances"},
        "eventCategory": "Insight",
    }  # fmt: skip
    for value, word in ((digest, "digest"), ({"Records": [insight]}, "Insights event")):
        found, told = loaded(tmp_path, json.dumps(value))
        (bad,) = found.pop("quarantine")
        assert (told, found) == ("cloudtrail", {})
        assert word in bad["reason"]


def test_ids_of_findings_are_no_findings(tmp_path) -> None:
    found, told = loaded(tmp_path, json.dumps({"FindingIds": ["a", "b"]}))
    assert told == "guardduty"
    assert "get-findings" in found["quarantine"][0]["reason"]


FILES = [
    data.encode() if isinstance(data, str) else data
    for data in (*WAYS.values(), *(way(EVENT) for way in ANY.values()))
]
BITES = [
    *(b"{", b"}", b"[", b'"', b",", b":", b"null", b"\\ud800", b"\\u0000", b"\xff", b"\n", b"\0"),
    *(b"1e999", b"-1", b"9" * 5_000, b'{"a":' * 2_000, b"NaN", b'"message":', b"H4sIAA"),
]


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from(FILES),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 6), st.sampled_from(BITES)), max_size=5),
)
def test_no_damage_stops_the_reading_and_nothing_vanishes(tmp_path_factory, data, wounds) -> None:
    for where, lost, new in wounds:
        place = int(where * len(data))
        data = data[:place] + new + data[place + lost :]
    found, kind = loaded(tmp_path_factory.mktemp("f"), data)
    assert any(found.values()) or kind == "empty"
