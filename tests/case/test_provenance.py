"""From a finding to the records that support it."""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flowbench.case import Case
from flowbench.errors import CaseError, InputError
from flowbench.selector import ApiEventSelector, DnsSelector, EvidenceSelector
from tests.case.conftest import HEADER, record


def finding(**selector: object) -> dict[str, object]:
    chosen = {"subject": "10.0.1.10", "peers": ["198.51.100.7"], "ports": [], "protocol": None}
    return {"evidence": json.dumps(chosen | selector)}


def test_a_finding_selects_its_records_with_file_and_line(case, logs) -> None:
    case.ingest(logs)
    rows = case.evidence_for(finding())
    assert rows["start"].is_monotonic_increasing
    rows = rows.sort_values("file", ignore_index=True)
    assert rows[["file", "line", "dstaddr"]].to_numpy().tolist() == [
        ["0.log.gz", 9, "198.51.100.7"],
        ["2.log.gz", 9, "198.51.100.7"],
        ["4.log.gz", 9, "198.51.100.7"],
    ]
    with gzip.open(logs / "2.log.gz", "rt") as file:
        assert file.read().splitlines()[8].split()[5] == str(rows["srcport"][1])
    assert len(case.evidence_for(finding(ports=[80]))) == 0
    assert len(case.evidence_for(finding(protocol=17))) == 0
    assert len(case.evidence_for(finding(until="2026-09-01T03:20:00+00:00"))) == 1
    with pytest.raises(InputError, match="not the evidence of a finding"):
        case.evidence_for({"detector": "x"})


def test_records_that_share_a_line_are_told_apart_by_item(case, tmp_path) -> None:
    """CloudWatch Logs gives one line of JSON for thousands of records."""
    record = "2 123456789012 eni-0a 10.0.1.10 198.51.100.7 {} 443 6 1 2 {} {} ACCEPT OK"
    events = [
        {"timestamp": 1, "message": record.format(port, 1788232200, 1788232259)}
        for port in range(300, 0, -1)
    ]
    path = tmp_path / "answer.json"
    path.write_text(json.dumps({"events": events}))
    case.ingest(path)
    rows = case.evidence_for(finding())
    assert rows["line"].tolist() == [1] * 300
    assert rows["item"].tolist() == list(range(1, 301))
    assert rows["srcport"].tolist() == list(range(300, 0, -1))


SELECTOR = EvidenceSelector("10.0.1.10", ("198.51.100.7",))


def test_a_selector_a_row_and_an_object_select_the_same(case, logs) -> None:
    case.ingest(logs)
    expected = case.evidence_for(SELECTOR)
    assert len(expected) == 3
    row = {"finding_id": "beacon-1", "evidence": SELECTOR.to_json()}
    given = [row, pd.Series(row), SimpleNamespace(evidence=SELECTOR), SimpleNamespace(**row)]
    given += list(pd.DataFrame([row]).itertuples())
    for finding in given:
        assert case.evidence_for(finding).equals(expected)


@pytest.mark.parametrize(
    "finding", [None, 5, {}, {"evidence": None}, pd.Series({"a": 1}), object()]
)
def test_what_is_not_a_finding_is_refused(case, finding) -> None:
    with pytest.raises(InputError, match="not the evidence of a finding"):
        case.evidence_for(finding)


def keep_run(case: Case, rows: list[dict[str, str]]) -> Path:
    """Keep findings as a run of the detectors does."""
    sink = pa.BufferOutputStream()
    columns = pa.schema([("finding_id", pa.string()), ("evidence", pa.string())])
    pq.write_table(pa.Table.from_pylist(rows, schema=columns), sink)
    data = sink.getvalue().to_pybytes()
    sha256 = hashlib.sha256(data).hexdigest()
    path = case.path / "findings" / f"{sha256[:16]}.parquet"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    run = {"file": path.name, "sha256": sha256, "bytes": len(data), "rows": len(rows)}
    case.log.append("detect", seen=len(case.log.entries), runs=[run])
    return path


def test_an_id_selects_the_records_of_the_latest_run_that_has_it(case, logs) -> None:
    case.ingest(logs)
    early = replace(SELECTOR, last_seen=datetime(2026, 9, 1, 3, 20, tzinfo=UTC))
    keep_run(case, [{"finding_id": "beacon-1", "evidence": SELECTOR.to_json()}])
    keep_run(case, [{"finding_id": "beacon-1", "evidence": early.to_json()}])
    keep_run(case, [])
    assert len(case.evidence_for("beacon-1")) == 1
    for unknown in ("beacon-2", "", "../../etc/passwd"):
        with pytest.raises(InputError, match="is not a finding that this case keeps"):
            case.evidence_for(unknown)


def test_kept_findings_that_were_changed_are_not_used(case, logs) -> None:
    case.ingest(logs)
    path = keep_run(case, [{"finding_id": "beacon-1", "evidence": SELECTOR.to_json()}])
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(CaseError, match="changed since they were written"):
        case.evidence_for("beacon-1")
    path.unlink()
    with pytest.raises(CaseError, match="kept findings cannot be read"):
        case.evidence_for("beacon-1")


def test_targets_stand_for_a_subject_that_is_no_address(case, logs) -> None:
    case.ingest(logs)
    selector = EvidenceSelector("internet", ("10.0.1.10",), targets=("198.51.100.7", "192.0.2.1"))
    assert case.evidence_for(selector)["dstaddr"].tolist() == ["198.51.100.7"] * 3
    assert len(case.evidence_for(replace(selector, targets=()))) == 0


def test_thousands_of_peers_select_as_few_do(case, logs) -> None:
    case.ingest(logs)
    others = tuple(f"192.0.{i // 256}.{i % 256}" for i in range(3000))
    expected = case.evidence_for(SELECTOR)
    assert case.evidence_for(replace(SELECTOR, peers=(*others, *SELECTOR.peers))).equals(expected)
    assert case.count_evidence({"evidence": replace(SELECTOR, peers=others).to_json()}) == 0


def test_interfaces_select_by_status_and_not_by_address(case, tmp_path) -> None:
    status = "2 123456789012 eni-0{} - - - - - - - 17882500{}0 17882500{}9 - {}"
    lines = [status.format("a", 0, 0, "SKIPDATA"), status.format("a", 1, 1, "NODATA")]
    lines += [status.format("b", 2, 2, "SKIPDATA"), record(1)]
    (tmp_path / "a.log").write_text("\n".join([HEADER, *lines]))
    case.ingest(tmp_path / "a.log")
    selector = EvidenceSelector("flow logs", interfaces=("eni-0a",), log_status="SKIPDATA")
    assert case.evidence_for(selector)["line"].tolist() == [2]


def api_event(number: int, **fields: object) -> dict[str, object]:
    identity = {"type": "IAMUser", "userName": "mira", "arn": "arn:aws:iam::1:user/mira"}
    return {
        "eventVersion": "1.08",
        "eventID": f"e-{number}",
        "eventName": "CreateUser",
        "eventTime": f"2026-09-01T03:{number:02d}:00Z",
        "eventSource": "iam.amazonaws.com",
        "awsRegion": "us-east-1",
        "userIdentity": identity | {"accessKeyId": "AKIAEXAMPLE"},
        "sourceIPAddress": "198.51.100.7",
    } | fields


def query(number: int, name: str, **fields: object) -> dict[str, object]:
    return {
        "query_timestamp": f"2026-09-01T03:{number:02d}:00Z",
        "query_name": f"{name}.",
        "query_type": "A",
        "query_class": "IN",
        "rcode": "NOERROR",
        "srcaddr": "10.0.1.10",
        "srcids": {"instance": "i-0aaaa1111"},
    } | fields


@pytest.fixture
def mixed(case, logs, tmp_path) -> Case:
    """Flow logs, API events (several records in one line) and DNS queries."""
    events = [
        api_event(3, eventName="UpdateFunctionCode20150331v2", sourceIPAddress="2001:db8::7"),
        api_event(1),
        api_event(2, userIdentity={"type": "Root", "arn": "arn:aws:iam::1:root"}),
    ]
    (tmp_path / "trail.json").write_text(json.dumps({"Records": events}))
    queries = [
        query(1, "a.pool.example"),
        query(2, "POOL.example", rcode="NXDOMAIN", query_type="TXT"),
        query(3, "carpool.example", srcaddr="2001:db8::10", srcids={}),
    ]
    (tmp_path / "dns.log").write_text("".join(json.dumps(row) + "\n" for row in queries))
    case.ingest(logs, tmp_path / "trail.json", tmp_path / "dns.log")
    return case


def during(first: int, last: int) -> dict[str, datetime]:
    times = (datetime(2026, 9, 1, 3, minute, tzinfo=UTC) for minute in (first, last))
    return dict(zip(("first_seen", "last_seen"), times, strict=True))


@pytest.mark.parametrize(
    ("selector", "items"),
    [
        (ApiEventSelector(event_ids=("e-1", "e-3", "unknown")), [2, 1]),
        (ApiEventSelector(principals=("mira",)), [2, 1]),
        (ApiEventSelector(principals=("arn:aws:iam::1:root", "mira")), [2, 3, 1]),
        (ApiEventSelector(principals=("mira",), event_names=("CreateUser",)), [2]),
        (ApiEventSelector(source_ips=("2001:db8::7",)), [1]),
        (ApiEventSelector(access_key_ids=("AKIAEXAMPLE",), **during(2, 3)), [1]),
        (ApiEventSelector(principals=("root", "mira"), **during(1, 2)), [2, 3]),
        (ApiEventSelector(principals=("' OR 1=1 --",)), []),
    ],
)
def test_api_events_have_file_line_and_item(mixed, selector, items) -> None:
    rows = mixed.evidence_for(EvidenceSelector("mira", flows=False, api_events=selector))
    assert rows["item"].tolist() == items
    assert set(rows["kind"]) <= {"cloudtrail"}
    assert set(rows["file"]) <= {"trail.json"}
    assert set(rows["line"]) <= {1}


@pytest.mark.parametrize(
    ("selector", "lines"),
    [
        (DnsSelector(domains=("pool.example",)), [1, 2]),
        (DnsSelector(domains=("a.pool.example", "carpool.example")), [1, 3]),
        (DnsSelector(domains=("example",), clients=("2001:db8::10",)), [3]),
        (DnsSelector(clients=("i-0aaaa1111",), rcodes=("NXDOMAIN",)), [2]),
        (DnsSelector(query_types=("A",), **during(2, 3)), [3]),
        (DnsSelector(domains=("%",)), []),
    ],
)
def test_dns_queries_have_file_and_line(mixed, selector, lines) -> None:
    rows = mixed.evidence_for(EvidenceSelector("10.0.1.10", flows=False, dns=selector))
    assert rows["line"].tolist() == lines
    assert (set(rows["kind"]), set(rows["file"])) <= ({"dns"}, {"dns.log"})


def test_a_finding_may_rest_on_several_kinds(mixed) -> None:
    chosen = replace(
        SELECTOR,
        api_events=ApiEventSelector(source_ips=SELECTOR.peers),
        dns=DnsSelector(domains=("pool.example",)),
    )
    rows = mixed.evidence_for(SimpleNamespace(evidence=chosen.to_json()))
    assert rows["kind"].tolist() == ["flow-logs"] * 3 + ["cloudtrail"] * 2 + ["dns"] * 2
    assert rows["start"].isna().tolist() == [False] * 3 + [True] * 4
    assert rows["event_id"].tolist()[3:5] == ["e-1", "e-2"]
    assert rows["name"].tolist()[5:] == ["a.pool.example", "pool.example"]
    assert rows.index.tolist() == list(range(7))


def test_pages_of_records_are_those_of_the_whole(case, tmp_path) -> None:
    line = "2 123456789012 eni-0a 10.0.1.10 198.51.100.7 {} 443 6 1 2 {} {} ACCEPT OK\n"
    times = [(port, 1788232200 - port // 2, 1788232259) for port in range(1, 8)]
    path = tmp_path / "flows.log"
    path.write_text("".join(line.format(*time) for time in times))
    case.ingest(path)
    chosen = finding()
    whole = case.evidence_for(chosen)
    assert case.count_evidence(chosen) == len(whole) == 7
    pages = [case.evidence_for(chosen, offset=start, limit=3) for start in (0, 3, 6, 9)]
    assert [len(page) for page in pages] == [3, 3, 1, 0]
    pd.testing.assert_frame_equal(pd.concat(pages[:3], ignore_index=True), whole)
    pd.testing.assert_frame_equal(
        case.evidence_for(chosen, offset=2), whole[2:].reset_index(drop=True)
    )
