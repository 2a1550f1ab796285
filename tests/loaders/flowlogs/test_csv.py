"""Flow logs as CSV and TSV: results of Athena and Logs Insights."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowbench.schema import DEFAULT_FORMAT, FLOWS
from tests.loaders.flowlogs.test_text import LINE, NODATA, read

START = datetime(2026, 9, 1, 3, 10, tzinfo=UTC)


def athena(*lines: str, names: tuple[str, ...] = DEFAULT_FORMAT) -> str:
    def row(words: list[str]) -> str:
        return ",".join("" if word == "-" else f'"{word}"' for word in words)

    return "\n".join([row(list(names)), *(row(line.split()) for line in lines)]) + "\n"


def test_athena_result_equals_the_log(tmp_path) -> None:
    flows, bad, kind = read(tmp_path, athena(LINE, NODATA), "results.csv")
    plain, _, _ = read(tmp_path, f"{LINE}\n{NODATA}\n")
    assert (kind, bad) == ("flow-logs", [])
    assert flows.column_names == FLOWS.columns
    assert flows["line"].to_pylist() == [2, 3]
    drop = ["evidence_id", "line"]
    assert flows.drop_columns(drop).to_pylist() == plain.drop_columns(drop).to_pylist()


def test_few_columns_in_any_order_and_unknown_ones(tmp_path) -> None:
    data = 'dstaddr,srcaddr,"bytes",day\n10.0.0.1,198.51.100.1,12,2026/09/01\n'
    flows, bad, _ = read(tmp_path, data)
    assert bad == []
    row = flows.to_pylist()[0]
    assert (row["srcaddr"], row["dstaddr"], row["bytes"]) == ("198.51.100.1", "10.0.0.1", 12)
    assert (row["day"], row["line"]) == ("2026/09/01", 2)


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_insights_spelling_of_fields(tmp_path, delimiter, mark) -> None:
    names = ["@timestamp", "srcAddr", "dstAddr", "srcPort", "startTime", "logStatus", "accountId"]
    words = [
        "2026-09-01 03:10:00.000",
        "198.51.100.1",
        "10.0.0.1",
        "443",
        "1788232200",
        "OK",
        "012",
    ]
    data = mark + delimiter.join(names) + "\r\n" + delimiter.join(words) + "\r\n"
    flows, bad, kind = read(tmp_path, data)
    assert (kind, bad, flows.column_names) == ("flow-logs", [], FLOWS.columns)
    row = flows.to_pylist()[0]
    assert (row["srcaddr"], row["srcport"], row["start"]) == ("198.51.100.1", 443, START)
    assert (row["log_status"], row["account_id"]) == ("OK", "012")


def test_records_in_the_message_column(tmp_path) -> None:
    rows = [f'2026-09-01 03:10:00.000,"{line}",ptr' for line in (LINE, NODATA, "no record")]
    flows, bad, kind = read(tmp_path, "\n".join(["@timestamp,@message,@ptr", *rows]))
    assert kind == "flow-logs"
    assert [(r["line"], r["item"], r["log_status"]) for r in flows.to_pylist()] == [
        (2, 1, "OK"),
        (3, 2, "NODATA"),
    ]
    assert [(row["line"], row["raw"]) for row in bad] == [(4, "no record")]


@pytest.mark.parametrize(
    "written", ["2026-09-01 03:10:00.000", "2026-09-01T03:10:00Z", "2026-09-01 03:10:00 UTC"]
)
def test_times_written_as_dates(tmp_path, written) -> None:
    flows, bad, _ = read(tmp_path, f"srcaddr,dstaddr,start\n10.0.0.1,10.0.0.2,{written}\n")
    assert (flows["start"].to_pylist(), bad) == ([START], [])


def test_bad_rows_lose_only_themselves(tmp_path) -> None:
    header = b"srcaddr,dstaddr,srcport,action\n"
    rows = [
        (b"10.0.0.1,10.0.0.2,80,ACCEPT", None),
        (b"10.0.0.1,10.0.0.2,80", "3 columns where the table has 4"),
        (b'"10.0.0.1,10.0.0.2,80,ACCEPT', "a quotation mark that is not closed"),
        (b"10.0.0.1,10.0.0.2,http,ACCEPT", "srcport is not a number: 'http'"),
        (b"10.0.0.1,10.0.0.2,70000,ACCEPT", "srcport cannot be '70000'"),
        (b"10.0.0.1,\xff,80,ACCEPT", "bytes that are not text (invalid UTF-8)"),
        (b"10.0.0.1,10.0.0\0.2,80,ACCEPT", "a NUL byte"),
        (b"", None),
        (b"=cmd(),10.0.0.2,80,ACCEPT", "srcaddr cannot be '=cmd()'"),
        (b"2600:1f18::1,10.0.0.2,80,REJECT", None),
    ]
    flows, bad, _ = read(tmp_path, header + b"\n".join(row for row, _ in rows))
    assert flows["line"].to_pylist() == [2, 11]
    found = {row["line"]: row["reason"] for row in bad}
    assert found == {line: reason for line, (_, reason) in enumerate(rows, 2) if reason}


def test_other_tables_are_not_flow_logs(tmp_path) -> None:
    for data in ("ip,kind\n192.0.2.1,tor\n", "@timestamp,@message\n1,hello\n", "start,end,type\n"):
        assert read(tmp_path, data)[2] != "flow-logs"


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.lists(st.text(st.characters(codec="utf-8"), max_size=8), max_size=5)))
def test_any_row_is_a_record_or_in_quarantine(tmp_path_factory, rows) -> None:
    lines = [",".join(row).replace("\r", "").replace("\n", "") for row in rows]
    data = "srcaddr,dstaddr,bytes\n10.0.0.1,10.0.0.2,7\n" + "\n".join(lines)
    flows, bad, _ = read(tmp_path_factory.mktemp("csv"), data)
    filled = sum(bool(line.encode().strip()) for line in lines)
    assert flows.num_rows + len(bad) == filled + 1


COLUMNS = "srcaddr,dstaddr,srcport,start,action"
GOOD = "10.0.0.1,198.51.100.1,443,1788232200,ACCEPT"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("10.0.0.1,198.51.100.1,44\r3,1788232200,ACCEPT", "a carriage return within a row"),
        ('"10.0.0.1","198.51.100.1","443"\r,"1788232200","ACCEPT"', "a carriage return within"),
        ('10.0.0.1,198.51.100.1,443,17"88,"ACCEPT', "a quotation mark within a value"),
        ('10.0.0.1,198.51.100.1,4"4"3,1788232200,ACCEPT', "a quotation mark within a value"),
        ('"10.0.0.1"x,198.51.100.1,443,1788232200,ACCEPT', "a quotation mark within a value"),
        ('10.0.0.1,198.51.100.1,443,1788232200,"ACCEPT', "a quotation mark that is not closed"),
        (f"10.0.0.1,198.51.100.1,443,1788232200,{'A' * 140_000}", "a row of 140,0"),
        (f'"10.0.0.1","198.51.100.1","{"," * 140_000}","","ACCEPT"', "a row of 140,0"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_row_that_parsers_read_differently_goes_to_quarantine_alone(
    tmp_path, row, reason, end
) -> None:
    flows, bad, _ = read(tmp_path, end.join([COLUMNS, GOOD, row, GOOD, row, GOOD]) + end)
    assert flows["line"].to_pylist() == [2, 4, 6]
    assert [entry["line"] for entry in bad] == [3, 5]
    assert all(entry["reason"].startswith(reason) for entry in bad)


def test_quoted_delimiters_and_doubled_quotes_are_part_of_the_value(tmp_path) -> None:
    row = '10.0.0.1,"198.51.100.1",443,1788232200,ACCEPT,"a, ""b"""'
    flows, bad, _ = read(tmp_path, f"{COLUMNS},tag\n{row}\n{GOOD},\n")
    assert (flows["tag"].to_pylist(), bad) == (['a, "b"', None], [])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text(alphabet='10.,"\r\t -aÄ\u2028', max_size=60) | st.just(GOOD), max_size=8))
def test_every_row_is_a_record_or_quarantined(tmp_path_factory, rows) -> None:
    folder = tmp_path_factory.mktemp("csv")
    flows, bad, _ = read(folder, "\n".join([COLUMNS, *rows]) + "\n")
    seen = sorted([*flows["line"].to_pylist(), *(row["line"] for row in bad)])
    assert seen == [number for number, row in enumerate(rows, 2) if row.strip(" \r\t")]
