"""Tables of records that are not flow logs: CloudTrail, DNS, whole records in a column."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowbench.io.stream import EvidenceStream
from flowbench.loaders import registry, table_file
from flowbench.loaders.base import File
from flowbench.loaders.recognition import read_records
from tests.loaders.aws.test_cloudtrail_rows import ATHENA, SENTINEL
from tests.loaders.flowlogs.test_text import LINE
from tests.loaders.test_recognition import recognised

QUERY = {
    "version": "1.1",
    "account_id": "111122223333",
    "vpc_id": "vpc-0a",
    "query_timestamp": "2026-09-01T03:10:00Z",
    "query_name": "pool.example.net.",
    "query_type": "A",
    "rcode": "NOERROR",
    "answers": "[{rdata=198.51.100.9, type=A, class=IN}, {rdata=x.example.net, type=CNAME}]",
    "srcaddr": "10.0.0.7",
    "srcport": "51000",
    "transport": "UDP",
    "srcids": "{instance=i-0aa11bb22cc33dd44, resolver_endpoint=null}",
}
AS_JSON = QUERY | {
    "answers": '[{"Rdata": "198.51.100.9", "Type": "A"},'
    ' {"Rdata": "x.example.net.", "Type": "CNAME"}]',
    "srcids": '{"instance": "i-0aa11bb22cc33dd44"}',
}


def table(*rows: dict[str, str], delimiter: str = ",", quoting: int = csv.QUOTE_ALL) -> str:
    """Rows as a table with a header."""
    out = io.StringIO()
    writer = csv.DictWriter(out, rows[0], delimiter=delimiter, quoting=quoting, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def read(folder, data: str | bytes) -> tuple[str, list[dict], list[dict]]:
    """Kind, rows and quarantine of a file with this content."""
    path = folder / "x"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    file = File("x", "unknown", EvidenceStream(path))
    rows = [row for _, found in read_records(file) for row in found.to_pylist()]
    return file.kind, rows, list(file.quarantine_rows)


@pytest.mark.parametrize("record", [QUERY, AS_JSON])
@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
@pytest.mark.parametrize("left_out", [(), ("version",), ("version", "srcids", "vpc_id")])
def test_resolver_queries(tmp_path, record, delimiter, left_out) -> None:
    record = {name: value for name, value in record.items() if name not in left_out}
    kind, rows, bad = read(tmp_path, table(record, record, delimiter=delimiter))
    assert (kind, bad, [row["line"] for row in rows]) == ("dns", [], [2, 3])
    row = rows[0]
    assert str(row["query_time"]) == "2026-09-01 03:10:00+00:00"
    assert (row["name"], row["answers"]) == ("pool.example.net", ["198.51.100.9"])
    assert (row["canonical_names"], row["srcport"]) == (["x.example.net"], 51000)
    assert row["instance_id"] == (None if "srcids" in left_out else "i-0aa11bb22cc33dd44")


@pytest.mark.parametrize("row", [ATHENA, SENTINEL])
def test_cloudtrail(tmp_path, row) -> None:
    kind, rows, bad = read(tmp_path, "\ufeff" + table(row))
    assert (kind, bad, len(rows)) == ("cloudtrail", [], 1)
    assert (rows[0]["access_key_id"], rows[0]["line"]) == ("ASIAROW", 2)


@pytest.mark.parametrize("column", ["_raw", "@message", "event.original", "Raw Message", "log"])
@pytest.mark.parametrize("others", [{}, {"_time": "2026-09-01", "host": "a,b"}])
def test_whole_records_in_a_column(tmp_path, column, others) -> None:
    query = {**QUERY, "answers": [], "srcids": {}}
    for text, kind, rows in (
        (LINE, "flow-logs", {"flows": 2}),
        (json.dumps(query), "dns", {"dns": 2}),
        (json.dumps(query, indent=1), "dns", {"dns": 2}),
    ):
        data = table({column: text, **others}, {column: text, **others})
        assert recognised(tmp_path, data) == (kind, rows, [])


def test_bad_rows_lose_only_themselves(tmp_path) -> None:
    good = {"query_timestamp": "2026-09-01T03:10:00Z", "query_name": "a.example", "rcode": "x"}
    header, line = table(good).splitlines()
    bad_lines = [
        (line + ",x", "4 columns where the table has 3"),
        (line[:-1], "a quotation mark within a value, or one that is not closed"),
        ('"x" y,"a","b"', "a quotation mark within a value, or one that is not closed"),
        (line.replace("2026", "26"), "query_timestamp is not a time: '26-09-01T03:10:00Z'"),
        (line.replace("a.ex", "\udcff"), "bytes that are not text (invalid UTF-8)"),
    ]
    lines = [header, *(text for bad, _ in bad_lines for text in (bad, line)), "", line]
    data = "\n".join(lines).encode(errors="surrogateescape")
    _, rows, bad = read(tmp_path, data)
    assert [row["line"] for row in rows] == [3, 5, 7, 9, 11, 13]
    assert [(row["line"], row["reason"]) for row in bad] == [
        (number, reason) for number, (_, reason) in zip(range(2, 12, 2), bad_lines, strict=True)
    ]
    assert bad[3]["raw"] == bad_lines[3][0]  # the row's own text


def test_secrets_of_a_refused_row_are_not_kept(tmp_path) -> None:
    row = ATHENA | {"eventtime": "never", "requestparameters": '{"password": "hunter2"}'}
    _, rows, bad = read(tmp_path, table(ATHENA, row))
    assert (len(rows), len(bad)) == (1, 1)
    assert "hunter2" not in bad[0]["raw"]


def test_a_file_with_a_header_only(tmp_path) -> None:
    assert read(tmp_path, table(QUERY).splitlines()[0]) == ("empty", [], [])


@pytest.mark.parametrize(
    "data", ["", "a,b\n1,2\n", "words of prose\n", "_raw\nno record\n", "a,a\n1,2\n", "x\ty\n"]
)
def test_other_text_is_no_such_table(data) -> None:
    assert not table_file.matches_head(data.encode(), registry.kinds_with("matches"))


CELL = st.text(alphabet='1.,"\r\n\t -aÄ{}[]=', max_size=12)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.lists(CELL, min_size=1, max_size=4), max_size=6))
def test_well_formed_rows_are_records_or_quarantined(tmp_path_factory, rows) -> None:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(
        [
            ["query_name", "query_timestamp", "rcode"],
            ["a.example", "2026-09-01T00:00:00", "x"],
            *rows,
        ]
    )
    kind, good, bad = read(tmp_path_factory.mktemp("t"), out.getvalue())
    wide = [row for row in rows if len(row) == 3]
    assert kind == "dns"
    assert len(good) + sum("columns where" not in row["reason"] for row in bad) >= 1 + len(wide)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text(alphabet='1.,"\t -aÄ', max_size=30) | st.just("b.example,2026-09-01,x")))
def test_every_line_is_a_record_or_in_quarantine(tmp_path_factory, lines) -> None:
    head = ["query_name,query_timestamp,rcode", "a.example,2026-09-01,x"]
    data = "\n".join([*head, *lines]) + "\n"
    _, rows, bad = read(tmp_path_factory.mktemp("t"), data)
    found = [row["line"] for row in (*rows, *bad)]
    joined = sum(row["raw"].count("\n") for row in bad)
    assert len(found) == len(set(found))
    assert len(found) + joined <= 1 + len(lines)
    assert set(found) >= {n for n, line in enumerate(lines, 3) if line.strip() and '"' not in data}


def test_selections_of_logs_insights_have_the_time_of_the_event(tmp_path) -> None:
    query = {"@timestamp": "2026-09-01 03:10:00.000", "query_name": "a.example", "rcode": "NOERROR"}
    event = {"@timestamp": "2026-09-01 03:10:00.000", "eventName": "A", "eventSource": "s"}
    for row, kind, column in ((query, "dns", "query_time"), (event, "cloudtrail", "event_time")):
        found, rows, bad = read(tmp_path, table(row))
        assert (found, bad) == (kind, [])
        assert str(rows[0][column]) == "2026-09-01 03:10:00+00:00"
