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
    data = 'dstaddr,srcaddr,"bytes",day,end\n10.0.0.1,198.51.100.1,12,2026/09/01,1788232259\n'
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
    "written",
    [
        *("2026-09-01 03:10:00.000", "2026-09-01T03:10:00Z", "2026-09-01 03:10:00 UTC"),
        *("2026-09-01T05:10:00+02:00", "2026-09-01T03:10:00.000+0000", "2026-09-01 03:10"),
        *("1788232200.0", "1788232200000"),
    ],
)
def test_times_written_as_dates(tmp_path, written) -> None:
    flows, bad, _ = read(tmp_path, f"srcaddr,dstaddr,start\n10.0.0.1,10.0.0.2,{written}\n")
    assert (flows["start"].to_pylist(), bad) == ([START], [])


def test_bad_rows_lose_only_themselves(tmp_path) -> None:
    header = b"srcaddr,dstaddr,srcport,start,action\n"
    rows = [
        (b"10.0.0.1,10.0.0.2,80,,ACCEPT", None),
        (b"10.0.0.1,10.0.0.2,80", "3 columns where the table has 5"),
        (b'"10.0.0.1,10.0.0.2,80,,ACCEPT', "a quotation mark that is not closed"),
        (b"10.0.0.1,10.0.0.2,http,,ACCEPT", "srcport is not a number: 'http'"),
        (b"10.0.0.1,10.0.0.2,70000,,ACCEPT", "srcport cannot be '70000'"),
        (b"10.0.0.1,\xff,80,,ACCEPT", "bytes that are not text (invalid UTF-8)"),
        (b"10.0.0.1,10.0.0\0.2,80,,ACCEPT", "a NUL byte"),
        (b"", None),
        (b"=cmd(),10.0.0.2,80,,ACCEPT", "srcaddr cannot be '=cmd()'"),
        (b"2600:1f18::1,10.0.0.2,80,,REJECT", None),
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
    data = "srcaddr,dstaddr,start\n10.0.0.1,10.0.0.2,1788232200\n" + "\n".join(lines)
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


NAMES = {
    "bootstrap": "version,account,interfaceid,sourceaddress,destinationaddress,sourceport,"
    "destinationport,protocol,numpackets,numbytes,starttime,endtime,action,logstatus",
    "tailpipe": "version,account_id,interface_id,src_addr,dst_addr,src_port,dst_port,protocol,"
    "packets,bytes,start_time,end_time,action,log_status",
    "sentinel": "Version,AccountId,InterfaceId,SrcAddr,DstAddr,SrcPort,DstPort,Protocol,Packets,"
    "Bytes,Start [UTC],End [UTC],Action,LogStatus",
    "splunk": "version,aws_account_id,interface_id,src_ip,dest_ip,src_port,dest_port,protocol_code,"
    "packets,bytes,start_time,end_time,vpcflow_action,log_status",
}


@pytest.mark.parametrize("tool", NAMES)
@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_names_of_other_tools_give_the_same_record(tmp_path, tool, delimiter) -> None:
    names = NAMES[tool].split(",")
    rows = [delimiter.join(names), delimiter.join(f'"{word}"' for word in LINE.split())]
    flows, bad, kind = read(tmp_path, "\n".join(rows))
    own, _, _ = read(tmp_path, LINE)
    assert (kind, bad) == ("flow-logs", [])
    drop = ["evidence_id", "line"]
    assert flows.drop_columns(drop).to_pylist() == own.drop_columns(drop).to_pylist()


@pytest.mark.parametrize("delimiter", [",", "\t"])
@pytest.mark.parametrize("received", [[], ["4/13/2026 9:03"], ["2026-04-13T09:03:00Z"]])
def test_rows_without_a_header_in_a_known_order(tmp_path, delimiter, received) -> None:
    rows = [delimiter.join([*received, *line.split()]) for line in (LINE, NODATA)]
    flows, bad, kind = read(tmp_path, "\n".join(rows))
    assert (kind, bad) == ("flow-logs", [])
    assert flows["line"].to_pylist() == [1, 2]
    assert flows["start"].to_pylist()[0] == START
    assert flows["srcaddr"].to_pylist() == ["198.51.100.23", None]


def test_rows_without_a_header_in_the_order_that_the_user_gives(tmp_path) -> None:
    row = "ACCEPT,10.0.0.1,198.51.100.1,443,1788232200\n"
    assert read(tmp_path, row)[2] == "unknown"
    formats = (("action", "srcaddr", "dstaddr", "dstport", "start"),)
    flows, bad, _ = read(tmp_path, row, formats=formats)
    assert (flows["dstport"].to_pylist(), flows["start"].to_pylist(), bad) == ([443], [START], [])


def test_tabs_separate_values_that_have_blanks(tmp_path) -> None:
    names = "TimeStamp\tsrcaddr\tdstaddr\tdstport\tstart\taccount-id"
    row = "4/13/2026 9:03\t10.0.0.1\t10.0.0.2\t22\t1788232200\t"
    data = f"{names}\n{row}1.11122E+11\n{row}012345678901\n"
    flows, bad, kind = read(tmp_path, data)
    assert (kind, bad, flows["timestamp"].to_pylist()) == ("flow-logs", [], ["4/13/2026 9:03"] * 2)
    assert flows["account_id"].to_pylist() == [None, "012345678901"]


@pytest.mark.parametrize(
    ("written", "time"),
    [
        ("9/1/2026, 3:10:00.000 AM", START),
        ("9/1/2026, 3:10:00\u202fAM", START),
        ("09/01/2026, 12:10:00.500 PM", START.replace(hour=12, microsecond=500_000)),
        ("9/1/2026, 12:10:00 AM", START.replace(hour=0)),
    ],
)
def test_times_of_the_portal_of_log_analytics(tmp_path, written, time) -> None:
    data = f'SrcAddr,DstAddr,"Start [UTC]"\n10.0.0.1,10.0.0.2,"{written}"\n'
    flows, bad, _ = read(tmp_path, data)
    assert (flows["start"].to_pylist(), bad) == ([time], [])


@pytest.mark.parametrize(
    "written", ["13/1/2026, 3:10:00 AM", "2/30/2026, 3:10:00 AM", "9/1/2026, 13:10:00 AM", "9/1/26"]
)
def test_times_that_cannot_be_read_go_to_quarantine(tmp_path, written) -> None:
    good = "9/1/2026, 3:10:00 AM"
    rows = [f'10.0.0.1,10.0.0.2,"{time}"' for time in (good, written)]
    flows, bad, _ = read(tmp_path, "\n".join(["srcaddr,dstaddr,start", *rows]))
    assert flows.num_rows + len(bad) == 2
    assert bad[-1]["reason"].startswith("start is not a number")


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("srcaddr,dstaddr,bytes", "neither start nor end: "),
        ("srcaddr,dstaddr,Start (CET)", "neither start nor end (columns start__cet_ are not"),
    ],
)
def test_a_table_without_times_has_no_records(tmp_path, header, reason) -> None:
    flows, bad, kind = read(tmp_path, f"{header},action\n10.0.0.1,10.0.0.2,7,ACCEPT\n\n,,,\n")
    assert (flows.num_rows, kind, [row["line"] for row in bad]) == (0, "flow-logs", [2, 4])
    assert all(row["reason"].startswith(reason) for row in bad)


@pytest.mark.parametrize("names", ["srcaddr,srcport,start", "action,dstaddr,dstport,sum"])
def test_a_table_without_both_ends_is_no_flow_log(tmp_path, names) -> None:
    flows, bad, kind = read(tmp_path, f"{names}\n10.0.0.1,443,1788232200\n")
    assert (flows.num_rows, kind, len(bad)) == (0, "unknown", 1)
    assert "of flow logs" in bad[0]["reason"]
    assert "but without" in bad[0]["reason"]


def test_a_column_that_is_there_twice(tmp_path) -> None:
    rows = ["srcaddr,dstaddr,start,dstport,dstport", "10.0.0.1,10.0.0.2,1788232200,22,22"]
    flows, bad, _ = read(tmp_path, "\n".join([*rows, rows[1].replace("22,22", "22,23")]))
    assert (flows["dstport"].to_pylist(), flows.column_names) == ([22], FLOWS.columns)
    assert [row["reason"] for row in bad] == ["dstport occurs twice, with different values"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(alphabet="1.,\t/ :-A", max_size=40) | st.just(LINE.replace(" ", ","))))
def test_every_row_without_a_header_is_a_record_or_quarantined(tmp_path_factory, rows) -> None:
    first = "4/1/2026 9:00," + LINE.replace(" ", ",")
    flows, bad, kind = read(tmp_path_factory.mktemp("csv"), "\n".join([first, *rows]) + "\n")
    seen = sorted([*flows["line"].to_pylist(), *(row["line"] for row in bad)])
    assert kind == "flow-logs"
    assert seen == [number for number, row in enumerate([first, *rows], 1) if row.strip()]


def test_numbers_that_a_data_frame_wrote_with_decimals(tmp_path) -> None:
    data = "srcaddr,dstaddr,start,dstport,bytes\n10.0.0.1,10.0.0.2,1788232200.0,22.0,7.5\n"
    flows, bad, _ = read(tmp_path, data + data.splitlines()[1].replace("7.5", "7.0") + "\n")
    assert (flows["dstport"].to_pylist(), flows["bytes"].to_pylist()) == ([22], [7])
    assert [row["reason"] for row in bad] == ["bytes is not a number: '7.5'"]
