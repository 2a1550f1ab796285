"""From files to tables: evidence in every envelope, archives, changed and damaged files."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowbench.errors import InputError
from flowbench.io.container import SkippedMember
from flowbench.loaders import dispatch
from flowbench.loaders.aws import cloudtrail, guardduty, resolver
from flowbench.loaders.flowlogs import text as flow_text
from tests.loaders.aws.test_cloudtrail import EVENT, lookup
from tests.loaders.aws.test_guardduty import FINDING, pascal
from tests.loaders.aws.test_resolver import QUERY
from tests.loaders.flowlogs.test_json import WAYS, delivery, firehose
from tests.loaders.flowlogs.test_text import LINE, NODATA, SKIPDATA

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


ENVELOPES = {
    "lines": lambda r: "\n".join(map(json.dumps, both(r))),
    "lines in gzip": lambda r: gzip.compress("\n".join(map(json.dumps, both(r))).encode()),
    "gzip members without line ends": lambda r: gzip.compress(json.dumps(r).encode()) * 2,
    "list": lambda r: json.dumps(both(r), indent=1),
    "filter-log-events": lambda r: json.dumps(
        {"events": [{"timestamp": 1, "message": json.dumps(each)} for each in both(r)]}
    ),
    "subscription": lambda r: json.dumps(delivery(json.dumps(r), json.dumps(r))),
    "subscriptions in gzip": lambda r: (
        gzip.compress(json.dumps(delivery(json.dumps(r))).encode()) * 2
    ),
    "firehose": lambda r: json.dumps(r) * 2,
    "firehose of messages": lambda r: json.dumps({"message": json.dumps(r)}) * 2,
    "firehose over http": lambda r: firehose(json.dumps(r).encode() * 2),
    "firehose of subscriptions": lambda r: firehose(
        *[gzip.compress(json.dumps(delivery(json.dumps(r))).encode())] * 2
    ),
    "insights": lambda r: json.dumps(
        {
            "results": [
                [{"field": "@message", "value": json.dumps(r)}, {"field": "@ptr", "value": "C"}]
            ]
            * 2,
            "statistics": {},
        }
    ),
    "console": lambda r: json.dumps([{"@timestamp": "x", "@message": each} for each in both(r)]),
    "eventbridge": lambda r: "\n".join(
        [json.dumps({"version": "0", "id": "1", "detail-type": "x", "source": "y", "detail": r})]
        * 2
    ),
}


# Resolver query logs do not come over EventBridge.
@pytest.mark.parametrize(
    ("kind", "way"), sorted({(k, w) for k in RECORDS for w in ENVELOPES} - {("dns", "eventbridge")})
)
def test_every_kind_in_every_envelope(tmp_path, kind, way) -> None:
    found, read_as = loaded(tmp_path, ENVELOPES[way](RECORDS[kind]))
    assert read_as == kind
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
def test_answers_of_one_kind(tmp_path, kind, value) -> None:
    found, read_as = loaded(tmp_path, gzip.compress(json.dumps(value).encode()))
    assert (read_as, list(found)) == (kind, [KINDS[kind].TABLE.name])
    assert len(found[KINDS[kind].TABLE.name]) == 1


def lower_keys(value: Any) -> Any:
    """Keys in lower case, as Athena has them."""
    if isinstance(value, dict):
        return {name.lower(): lower_keys(inner) for name, inner in value.items()}
    return value


def as_struct_text(value: Any) -> str:
    """A struct as Athena and CloudTrail Lake write it into a text."""
    if isinstance(value, dict):
        return (
            "{"
            + ", ".join(f"{name}={as_struct_text(inner)}" for name, inner in value.items())
            + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(map(as_struct_text, value)) + "]"
    return "null" if value is None else str(value)


def athena(identity: Any) -> dict[str, Any]:
    row = {name.lower(): value for name, value in EVENT.items()}
    row["useridentity"] = identity
    for name in ("requestParameters", "responseElements"):
        row[name.lower()] = json.dumps(EVENT[name])
    row["readonly"] = str(row.get("readonly", False)).lower()
    return row


IDENTITY = lower_keys(EVENT["userIdentity"])


@pytest.mark.parametrize("identity", [IDENTITY, json.dumps(IDENTITY), as_struct_text(IDENTITY)])
def test_rows_of_athena_and_cloudtrail_lake(tmp_path, identity) -> None:
    row = athena(identity)
    cells = [{} if v is None else {"VarCharValue": as_struct_text(v)} for v in row.values()]
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
        found, read_as = loaded(tmp_path, way)
        (read,) = found["api_events"]
        assert read_as == "cloudtrail"
        assert {name: read[name] for name in wanted} == wanted


def test_digests_and_insights_of_a_trail_are_named(tmp_path) -> None:
    digest = {
        "awsAccountId": "111122223333",
        "digestStartTime": "2026-09-01T02:00:00Z",
        "digestEndTime": "2026-09-01T03:00:00Z",
        "digestS3Bucket": "b",
        "digestS3Object": "o",
        "digestSignatureAlgorithm": "SHA256withRSA",
        "previousDigestS3Object": None,
        "logFiles": [{"s3Bucket": "b", "s3Object": "x", "hashValue": "00"}],
    }
    insight = {
        "eventVersion": "1.08",
        "eventTime": "2026-09-01T02:00:00Z",
        "awsRegion": "us-east-1",
        "eventID": "1",
        "eventType": "AwsCloudTrailInsight",
        "recipientAccountId": "111122223333",
        "insightDetails": {"state": "Start", "eventName": "RunInstances"},
        "eventCategory": "Insight",
    }
    for value, word in ((digest, "digest"), ({"Records": [insight]}, "Insights event")):
        found, read_as = loaded(tmp_path, json.dumps(value))
        (bad,) = found.pop("quarantine")
        assert (read_as, found) == ("cloudtrail", {})
        assert word in bad["reason"]


def test_ids_of_guardduty_findings(tmp_path) -> None:
    found, read_as = loaded(tmp_path, json.dumps({"FindingIds": ["a", "b"]}))
    assert read_as == "guardduty"
    assert "get-findings" in found["quarantine"][0]["reason"]


FILES = [
    data.encode() if isinstance(data, str) else data
    for data in (*WAYS.values(), *(way(EVENT) for way in ENVELOPES.values()))
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
def test_arbitrary_damage_is_survived_and_reported(tmp_path_factory, data, changes) -> None:
    for where, lost, new in changes:
        place = int(where * len(data))
        data = data[:place] + new + data[place + lost :]
    found, kind = loaded(tmp_path_factory.mktemp("f"), data)
    assert any(found.values()) or kind == "empty"


@pytest.mark.parametrize("error", [OverflowError("too large"), KeyError("x"), RecursionError()])
@pytest.mark.parametrize("before", [[], [LINE], [LINE, "bad"]])
def test_a_bug_costs_the_rest_of_its_file_and_asks_for_a_report(
    tmp_path, monkeypatch, error, before
) -> None:
    read = flow_text.read

    def broken(file):
        yield from read(file)
        raise error

    monkeypatch.setattr(flow_text, "read", broken)
    found, kind = loaded(tmp_path, "\n".join([*before, LINE]))
    assert (kind, len(found["flows"])) == ("flow-logs", 1 + before.count(LINE))
    *bad, last = found["quarantine"]
    assert len(bad) == before.count("bad")
    assert last["line"] is None
    assert type(error).__name__ in last["reason"]
    assert "please report" in last["reason"]


@pytest.mark.parametrize("error", [MemoryError, InputError])
def test_what_is_no_bug_of_a_reader_is_raised(tmp_path, monkeypatch, error) -> None:
    def broken(_):
        yield from ()
        raise error("no")

    monkeypatch.setattr(flow_text, "read", broken)
    with pytest.raises(error):
        loaded(tmp_path, LINE)


def test_changed_file_is_an_error(tmp_path) -> None:
    path = tmp_path / "x.log"
    path.write_text(LINE)
    evidence = dispatch.Evidence.of(path, path.name)
    path.write_text(LINE.replace("22", "23"))
    with pytest.raises(dispatch.UnreadableError, match=r"^x\.log changed while it was read"):
        list(dispatch.read(evidence))


def test_missing_file_is_an_error_with_the_reason(tmp_path) -> None:
    path = tmp_path / "x.log"
    path.write_text(LINE)
    evidence = dispatch.Evidence.of(path, path.name)
    path.unlink()
    with pytest.raises(dispatch.UnreadableError, match="cannot be read: No such file") as caught:
        list(dispatch.read(evidence))
    assert caught.value.evidence is evidence


def test_counts_and_times_of_a_file_are_noted_also_when_it_is_read_again(tmp_path) -> None:
    path = tmp_path / "x.log"
    path.write_text(f"{LINE}\n{NODATA}\n{SKIPDATA}\nbad")
    evidence = dispatch.Evidence.of(path, path.name)
    for _ in range(2):
        tables = list(dispatch.read(evidence))
        assert [(name, rows.num_rows) for name, rows in tables] == [("flows", 3), ("quarantine", 1)]
        for _, rows in tables:
            assert set(rows["evidence_id"].to_pylist()) == {evidence.evidence_id}
        assert (evidence.kind, evidence.records, evidence.quarantined) == ("flow-logs", 3, 1)
        assert (evidence.nodata, evidence.skipdata) == (1, 1)
        assert evidence.first_seen == "2026-09-01T03:10:00+00:00"
        assert evidence.last_seen == "2026-09-01T03:16:00+00:00"
        assert "srcaddr" in evidence.fields


def test_times_of_reference_data_are_not_times_of_events(tmp_path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("indicator,valid_from\n192.0.2.1,2026-09-01\n")
    evidence = dispatch.Evidence.of(path, path.name)
    ((name, rows),) = dispatch.read(evidence)
    assert (name, rows["valid_from"].null_count) == ("indicators", 0)
    assert (evidence.first_seen, evidence.last_seen) == (None, None)


@pytest.mark.parametrize(
    ("data", "count"),
    [
        (
            json.dumps(
                {
                    "FlowLogs": [
                        {
                            "FlowLogId": "fl-1",
                            "ResourceId": "vpc-1",
                            "LogFormat": "${srcaddr} ${dstaddr}",
                        }
                    ]
                }
            ),
            1,
        ),
        (json.dumps({"FlowLogs": []}), 0),
        ('{"LogFormat"', 0),
        ("[" * 100_000 + "ogFormat", 0),
        (LINE, 0),
        (b"\xff" * 100, 0),
    ],
)
def test_recorded_formats(tmp_path, data, count) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    formats = dispatch.read_recorded_formats(dispatch.Evidence.of(path, path.name))
    assert formats == (("srcaddr", "dstaddr"),) * count


def test_archive_gives_its_members_and_what_it_skips(tmp_path) -> None:
    path = tmp_path / "logs.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.log", LINE)
        archive.writestr("b/c.log", NODATA)
    evidence = dispatch.Evidence.of(path, path.name)
    members = list(dispatch.expand_archive(evidence))
    assert [member.file for member in members] == ["logs.zip/a.log", "logs.zip/b/c.log"]
    assert [name for member in members for name, _ in dispatch.read(member)] == ["flows", "flows"]
    evidence.container.skipped.append(SkippedMember("d\udcff.log", "encrypted"))
    ((name, rows),) = dispatch.read(evidence)
    assert (name, evidence.kind, evidence.records) == ("quarantine", "archive", 0)
    assert rows["file"].to_pylist() == ["logs.zip/d\\xff.log"]


def test_other_file_is_no_archive(tmp_path) -> None:
    path = tmp_path / "x.log"
    path.write_text(LINE)
    evidence = dispatch.Evidence.of(path, path.name)
    assert list(dispatch.expand_archive(evidence)) == []
    assert (evidence.kind, evidence.container) == ("unknown", None)


def test_row_of_a_file_that_cannot_be_opened() -> None:
    (row,) = dispatch.quarantine_unreadable("x", "no permission").to_pylist()
    assert (row["file"], row["reason"], row["evidence_id"]) == ("x", "no permission", None)
