"""Flow logs as text: the records with their lines, and what goes to quarantine and why."""

from __future__ import annotations

import gzip
import random
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowbench.io import blocks
from flowbench.io.stream import EvidenceStream
from flowbench.loaders import dispatch
from flowbench.loaders.base import File
from flowbench.loaders.flowlogs import formats as record_formats
from flowbench.loaders.flowlogs import text as flow_text
from flowbench.loaders.flowlogs import validate
from flowbench.schema import DEFAULT_FORMAT, FLOW_FIELDS, FLOWS, VPC_FIELDS
from flowbench.text import canonical_address

HEADER = " ".join(FLOW_FIELDS[name].aws_name for name in DEFAULT_FORMAT)
LINE = (
    "2 123456789012 eni-0a 198.51.100.23 10.0.1.10 51544 22 6 18 3120"
    " 1788232200 1788232259 ACCEPT OK"
)
NODATA = "2 unknown eni-0a - - - - - - - 1788232440 1788232500 - NODATA"
SKIPDATA = "2 123456789012 eni-0a - - - - - - - 1788232500 1788232560 - SKIPDATA"


def read(
    folder: Path, data: str | bytes, name: str = "x.log", formats: dispatch.Formats = ()
) -> tuple[pa.Table, list[dict], str]:
    """Flow records, quarantine rows and kind of a file with this content."""
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    evidence = dispatch.Evidence.of(path, name)
    flows, bad = [], []
    for table, rows in dispatch.read(evidence, formats=formats):
        if table == "quarantine":
            bad += rows.to_pylist()
        else:
            flows.append(rows)
    return plain(FLOWS.arrow.empty_table(), *flows), bad, evidence.kind


def plain(*tables: pa.Table) -> pa.Table:
    """The tables as one, without dictionaries, so that only values are compared."""
    texts = []
    for table in tables:
        fields = [
            field.with_type(pa.string()) if pa.types.is_dictionary(field.type) else field
            for field in table.schema
        ]
        texts.append(table.cast(pa.schema(fields)))
    return pa.concat_tables(texts, promote_options="default")


def test_record_is_read_in_full(tmp_path) -> None:
    flows, bad, kind = read(tmp_path, f"{HEADER}\n{LINE}\n")
    assert (kind, bad, flows.num_rows) == ("flow-logs", [], 1)
    assert flows.column_names == FLOWS.columns
    row = flows.to_pylist()[0]
    assert row | {"evidence_id": None} == dict.fromkeys(FLOWS.columns) | {
        "version": 2,
        "account_id": "123456789012",
        "interface_id": "eni-0a",
        "srcaddr": "198.51.100.23",
        "dstaddr": "10.0.1.10",
        "srcport": 51544,
        "dstport": 22,
        "protocol": 6,
        "packets": 18,
        "bytes": 3120,
        "start": datetime(2026, 9, 1, 3, 10, tzinfo=UTC),
        "end": datetime(2026, 9, 1, 3, 10, 59, tzinfo=UTC),
        "action": "ACCEPT",
        "log_status": "OK",
        "line": 2,
    }
    assert len(row["evidence_id"]) == 16


def test_nodata_and_skipdata_are_kept(tmp_path) -> None:
    flows, bad, _ = read(tmp_path, f"{NODATA}\n{SKIPDATA}\n")
    assert bad == []
    assert flows["log_status"].to_pylist() == ["NODATA", "SKIPDATA"]
    assert flows["srcaddr"].null_count == flows["bytes"].null_count == 2
    assert flows["account_id"].to_pylist() == ["unknown", "123456789012"]


def test_header_gives_the_columns_and_unknown_ones_are_kept(tmp_path) -> None:
    flows, bad, _ = read(tmp_path, "dstaddr brand-new srcaddr\n10.0.0.1 hello 10.0.0.2\n")
    assert bad == []
    assert flows.column_names == [*FLOWS.columns, "brand_new"]
    assert flows.select(["srcaddr", "dstaddr", "brand_new"]).to_pylist() == [
        {"srcaddr": "10.0.0.2", "dstaddr": "10.0.0.1", "brand_new": "hello"}
    ]


def test_fields_with_reserved_names_are_renamed(tmp_path) -> None:
    flows, _, _ = read(tmp_path, "srcaddr dstaddr evidence_id line\n10.0.0.1 10.0.0.2 evil 99\n")
    assert flows["field_evidence_id"].to_pylist() == ["evil"]
    assert flows["line"].to_pylist() == [2]


def test_leading_zeros_of_account_ids_are_kept(tmp_path) -> None:
    flows, _, _ = read(tmp_path, LINE.replace("123456789012", "000056789012"))
    assert flows["account_id"].to_pylist() == ["000056789012"]


def test_bad_lines_go_to_quarantine_and_others_keep_their_lines(tmp_path) -> None:
    bad_lines = {
        3: (LINE + " one-too-many", "15 fields where the format has 14"),
        5: (LINE.removesuffix(" OK"), "13 fields where the format has 14"),
        6: (LINE.replace("51544", "ssh"), "srcport is not a number: 'ssh'"),
        7: (LINE.replace("51544", "70000"), "srcport cannot be '70000'"),
        8: (LINE.replace("10.0.1.10", "10.0.1.300"), "dstaddr cannot be '10.0.1.300'"),
        9: (LINE.replace("ACCEPT", "MAYBE"), "action cannot be 'MAYBE'"),
        10: (LINE.replace(" OK", " OKAY"), "log-status cannot be 'OKAY'"),
        11: (LINE.replace(" 6 ", " -6 "), "protocol is not a number: '-6'"),
        12: (LINE.replace("10.0.1.10", "a:b:zz::"), "dstaddr cannot be 'a:b:zz::'"),
        13: (LINE.replace("3120", "9" * 30), f"bytes is not a number: '{'9' * 30}'"),
    }
    lines = [HEADER, LINE, None, LINE, *[None] * 9, LINE]
    for number, (line, _) in bad_lines.items():
        lines[number - 1] = line
    flows, bad, _ = read(tmp_path, "\n".join(lines))
    assert flows["line"].to_pylist() == [2, 4, 14]
    found = {row["line"]: (row["raw"], row["reason"]) for row in bad}
    assert found == bad_lines


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_windows_line_ends_and_byte_order_mark(tmp_path, end, mark) -> None:
    flows, bad, _ = read(tmp_path, mark + end.join([HEADER, LINE, LINE, ""]))
    assert (flows["line"].to_pylist(), bad) == ([2, 3], [])
    assert set(flows["log_status"].to_pylist()) == {"OK"}


def test_repeated_spaces_blank_lines_and_lone_carriage_return(tmp_path) -> None:
    spaced = LINE.replace(" 22 ", "   22  ")
    flows, bad, _ = read(tmp_path, f"{HEADER}\n{spaced}\n\n{LINE}\n{LINE}\r{LINE}\n{LINE}\n")
    assert flows["line"].to_pylist() == [2, 4, 6]
    assert [(row["line"], row["reason"]) for row in bad] == [
        (5, "28 fields where the format has 14")
    ]


def test_concatenated_files_change_format_at_the_header(tmp_path) -> None:
    flows, bad, _ = read(
        tmp_path, f"{HEADER}\n{LINE}\nsrcaddr dstaddr action\n10.9.9.9 10.8.8.8 REJECT\n"
    )
    assert bad == []
    assert flows.select(["srcaddr", "action", "line"]).to_pylist() == [
        {"srcaddr": "198.51.100.23", "action": "ACCEPT", "line": 2},
        {"srcaddr": "10.9.9.9", "action": "REJECT", "line": 4},
    ]


CUSTOM = ("vpc_id", "srcaddr", "dstaddr", "bytes", "start", "end", "action")
CUSTOM_LINE = "vpc-0a 10.0.1.10 2600:1f18::1 900 1788232200 1788232259 REJECT"


def test_format_string_reads_lines_without_a_header(tmp_path) -> None:
    text = "${vpc-id} ${srcaddr} ${dstaddr} ${bytes} ${start} ${end} ${action}"
    assert record_formats.parse_format_string(text) == CUSTOM
    flows, bad, kind = read(tmp_path, f"{CUSTOM_LINE}\n{CUSTOM_LINE}\n", formats=(CUSTOM,))
    assert (kind, bad) == ("flow-logs", [])
    assert flows.select(["vpc_id", "dstaddr", "bytes", "action", "line"]).to_pylist()[1] == {
        "vpc_id": "vpc-0a",
        "dstaddr": "2600:1f18::1",
        "bytes": 900,
        "action": "REJECT",
        "line": 2,
    }


def test_two_formats_in_one_file_are_distinguished_by_line(tmp_path) -> None:
    lines = [LINE, CUSTOM_LINE, NODATA, CUSTOM_LINE, LINE, "a b c", LINE + " 1"]
    flows, bad, _ = read(tmp_path, "\n".join(lines), formats=(CUSTOM,))
    by_line = sorted(flows.to_pylist(), key=lambda row: row["line"])
    assert [(row["line"], row["vpc_id"], row["account_id"]) for row in by_line] == [
        (1, None, "123456789012"),
        (2, "vpc-0a", None),
        (3, None, "unknown"),
        (4, "vpc-0a", None),
        (5, None, "123456789012"),
    ]
    assert [(row["line"], row["raw"]) for row in bad] == [(6, "a b c"), (7, LINE + " 1")]


def test_default_format_lines_after_another_header(tmp_path) -> None:
    flows, bad, _ = read(tmp_path, f"srcaddr dstaddr action\n10.9.9.9 10.8.8.8 REJECT\n{LINE}\n")
    assert bad == []
    assert sorted(flows["line"].to_pylist()) == [2, 3]
    assert set(flows["srcaddr"].to_pylist()) == {"10.9.9.9", "198.51.100.23"}


def test_export_task_lines_have_a_timestamp_first(tmp_path) -> None:
    stamp = "2026-09-01T03:10:00.000Z"
    lines = [f"{stamp} {LINE}", f"{stamp} {NODATA}", f"{stamp} {LINE} x", LINE, f"{stamp} {LINE}"]
    flows, bad, kind = read(tmp_path, gzip.compress("\n".join(lines).encode()))
    assert kind == "flow-logs"
    assert sorted(flows["line"].to_pylist()) == [1, 2, 4, 5]
    assert flows.column_names == FLOWS.columns
    assert [(row["line"], row["reason"]) for row in bad] == [
        (3, "16 fields where the format has 15")
    ]
    assert set(flows["start"].to_pylist()) == {
        datetime(2026, 9, 1, 3, 10, tzinfo=UTC),
        datetime(2026, 9, 1, 3, 14, tzinfo=UTC),
    }


def test_transit_gateway_default_format_needs_no_header(tmp_path) -> None:
    line = (
        "6 TransitGateway 123456789012 tgw-0a tgw-attach-0a 123456789012 123456789012 vpc-0a vpc-0b"
        " subnet-0a subnet-0b eni-0a eni-0b use1-az1 use1-az2 tgw-attach-0b 10.0.0.1 10.0.1.1 12345"
        " 443 6 10 1000 1788232200 1788232260 OK IPv4 1 2 3 4 2 us-east-1 ingress - -"
    )
    flows, bad, kind = read(tmp_path, f"{line}\n{line}\n")
    assert (kind, bad) == ("flow-logs", [])
    row = flows.to_pylist()[0]
    assert (row["version"], row["tgw_src_vpc_id"], row["tgw_dst_az_id"]) == (
        6,
        "vpc-0a",
        "use1-az2",
    )
    assert (row["bytes"], row["tcp_flags"], row["packets_lost_ttl_expired"]) == (1000, 2, 4)
    assert (row["log_status"], row["flow_direction"], row["line"]) == ("OK", "ingress", 1)


def read_messages(
    messages: list[bytes], formats: dispatch.Formats = ()
) -> tuple[pa.Table, list[dict]]:
    file = File("x.json", "flow-logs", EvidenceStream(Path(__file__)), formats)
    numbered = [(7, item, raw) for item, raw in enumerate(messages, 1)]
    tables = list(flow_text.read_messages(numbered, file))
    return plain(*tables), file.quarantine_rows


def test_messages_keep_line_item_and_format() -> None:
    bad_port = LINE.replace("51544", "99999").encode()
    flows, bad = read_messages(
        [LINE.encode(), CUSTOM_LINE.encode(), b"", b"a b", bad_port, NODATA.encode()], (CUSTOM,)
    )
    rows = sorted(flows.to_pylist(), key=lambda row: row["item"])
    assert [(r["line"], r["item"], r["vpc_id"], r["log_status"]) for r in rows] == [
        (7, 1, None, "OK"),
        (7, 2, "vpc-0a", None),
        (7, 6, None, "NODATA"),
    ]
    assert [(row["line"], row["item"], row["raw"]) for row in bad] == [
        (7, 3, ""),
        (7, 4, "a b"),
        (7, 5, bad_port.decode()),
    ]
    assert "give the flow log's format with --format-string" in bad[1]["reason"]
    assert bad[2]["reason"] == "srcport cannot be '99999'"


def test_quarantine_of_a_bad_file_is_handed_on_in_parts(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_SIZE", 1 << 20)
    path = tmp_path / "x.log"
    path.write_text(HEADER + "\n" + "2 no record of mine\n" * 120_000 + LINE + "\n")
    evidence = dispatch.Evidence.of(path, "x.log")
    tables = [(name, rows.num_rows) for name, rows in dispatch.read(evidence)]
    assert [name for name, _ in tables].count("quarantine") >= 2
    assert sum(count for name, count in tables if name == "quarantine") == 120_000
    assert evidence.quarantined == 120_000
    assert evidence.records == 1


def test_invalid_utf_8_and_nul_bytes(tmp_path) -> None:
    data = LINE.encode() + b"\n" + LINE.encode().replace(b"eni-0a", b"eni-\xff\xfe") + b"\n"
    data += LINE.encode().replace(b"eni-0a", b"eni\0") + b"\n" + LINE.encode()
    flows, bad, _ = read(tmp_path, data)
    assert flows["line"].to_pylist() == [1, 4]
    assert [(r["line"], r["reason"]) for r in bad] == [
        (2, "bytes that are not text (invalid UTF-8)"),
        (3, "a NUL byte"),
    ]
    assert "eni-\\xff\\xfe" in bad[0]["raw"]


def test_truncated_gzip_keeps_whole_lines(tmp_path) -> None:
    chooser = random.Random(5)
    lines = [LINE.replace("51544", str(chooser.randrange(1024, 65536))) for _ in range(20_000)]
    packed = gzip.compress("\n".join([HEADER, *lines]).encode())
    flows, bad, kind = read(tmp_path, packed[: len(packed) // 2], "cut.log.gz")
    assert kind == "flow-logs"
    assert 5_000 < flows.num_rows < 20_000
    assert "cut off" in bad[-1]["reason"]
    ports = [int(line.split()[5]) for line in lines]
    assert flows["srcport"].to_pylist() == ports[: flows.num_rows]


def test_oversized_line_loses_only_itself(tmp_path) -> None:
    flows, bad, _ = read(tmp_path, f"{HEADER}\n{LINE}\n{'x' * 10_000_000}\n{LINE}\n")
    assert flows["line"].to_pylist() == [2, 4]
    assert [(r["line"], r["raw_bytes"]) for r in bad] == [(3, 10_000_000)]


@pytest.mark.parametrize(
    ("data", "kind", "reason"),
    [
        (b"", "empty", "the file is empty"),
        (bytes(range(256)) * 20, "unknown", "binary data of no kind flowbench knows"),
        (b"PAR1" + b"\0" * 50, "unknown", "damaged Parquet from row 1 on"),
        (b"\x1f\x8b\x08\x00", "unknown", "the gzip data ends early"),
        ((LINE + " extra\n").encode() * 3, "unknown", "in a custom format, without a header"),
    ],
)
def test_other_files_are_described(tmp_path, data, kind, reason) -> None:
    flows, bad, found = read(tmp_path, data)
    assert (flows.num_rows, found, len(bad)) == (0, kind, 1)
    assert reason in bad[0]["reason"]


def test_header_without_records(tmp_path) -> None:
    flows, bad, kind = read(tmp_path, HEADER + "\n")
    assert (flows.num_rows, bad, kind) == (0, [], "flow-logs")


def test_random_lines_are_one_unknown_file(tmp_path) -> None:
    chooser = random.Random(9)
    lines = ["".join(chooser.choices("abc xyz 019.:-", k=60)) for _ in range(1000)]
    flows, bad, kind = read(tmp_path, "\n".join(lines))
    assert (flows.num_rows, kind, len(bad)) == (0, "unknown", 1)


def test_random_lines_after_a_header_are_a_thousand_entries(tmp_path) -> None:
    chooser = random.Random(9)
    lines = ["".join(chooser.choices("abcxyz 019.:-", k=60)) for _ in range(1000)]
    flows, bad, kind = read(tmp_path, "\n".join([HEADER, *lines]))
    assert (flows.num_rows, kind) == (0, "flow-logs")
    assert [row["line"] for row in bad] == list(range(2, 1002))
    assert [row["raw"] for row in bad] == lines


def test_every_line_of_the_samples_is_a_record_or_in_quarantine(tmp_path, samples) -> None:
    """Counts over real samples: read in full, or rejected for a known reason."""
    expected = {
        "otel/valid_vpc_flow_log.log": (1, []),
        "otel/valid_vpc_flow_log_multi.log": (2, []),
        "otel/valid_vpc_flow_log_ecs.log": (1, []),
        "otel/valid_tgw_flow_log.log": (1, []),
        "otel/vpc_flow_log_too_few_fields.log": (0, ["13 fields where the format has 14"]),
        "otel/vpc_flow_log_too_many_fields.log": (0, ["15 fields where the format has 14"]),
        "sekoia/rows-v2.log": (11, []),
        "../labelled/scan-ncsa/flow.log.gz": (64, []),
        "../labelled/scan-ncsa-backscatter/flow.log.gz": (4_600, []),
    }
    for name, (count, reasons) in expected.items():
        path = samples / "flowlogs" / name
        flows, bad, kind = read(tmp_path, path.read_bytes(), path.name)
        assert (name, kind, flows.num_rows) == (name, "flow-logs", count)
        assert [row["reason"] for row in bad] == reasons


def test_real_ecs_and_transit_gateway_records(tmp_path, samples) -> None:
    otel = samples / "flowlogs" / "otel"
    flows, _, _ = read(tmp_path, (otel / "valid_vpc_flow_log_ecs.log").read_bytes())
    assert flows["ecs_cluster_name"].to_pylist() == ["my-cluster"]
    assert flows["ecs_second_container_id"].to_pylist() == ["container-2"]
    flows, _, _ = read(tmp_path, (otel / "valid_tgw_flow_log.log").read_bytes())
    row = flows.to_pylist()[0]
    assert (row["version"], row["tgw_src_vpc_id"]) == (6, "vpc-0abc12345def67890")
    assert [row[f"packets_lost_{w}"] for w in ("no_route", "blackhole", "mtu_exceeded")] == [
        1,
        2,
        3,
    ]
    assert (row["action"], row["interface_id"]) == (None, None)


VALUES = {
    "int32": st.integers(0, 255).map(str),
    "int64": st.integers(0, 10**12).map(str),
    "time": st.integers(1_600_000_000, 1_800_000_000).map(str),
}
WORD = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_:/%.ü'\"", min_size=1, max_size=12).filter(
    lambda word: word != "-"
)


def field_value(name: str) -> st.SearchStrategy[str]:
    if name in validate.ADDRESSES:
        return st.ip_addresses().map(str).map(canonical_address) | st.just("-")
    if name == "action":
        return st.sampled_from(["ACCEPT", "REJECT", "-"])
    if name == "log_status":
        return st.sampled_from(["OK", "NODATA", "SKIPDATA"])
    return VALUES.get(FLOW_FIELDS[name].type, WORD) | st.just("-")


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_record_in_any_format_is_read_back(tmp_path_factory, data) -> None:
    names = data.draw(
        st.lists(st.sampled_from(sorted(VPC_FIELDS)), min_size=2, max_size=20, unique=True)
    )
    rows = data.draw(
        st.lists(st.tuples(*(field_value(name) for name in names)), min_size=1, max_size=8)
    )
    text = "\n".join(
        [" ".join(FLOW_FIELDS[n].aws_name for n in names), *(" ".join(row) for row in rows)]
    )
    flows, bad, _ = read(tmp_path_factory.mktemp("f"), text)
    assert bad == []
    for found, row in zip(flows.to_pylist(), rows, strict=True):
        for name, token in zip(names, row, strict=True):
            value = found[name]
            if token == "-":
                assert value is None
            elif FLOW_FIELDS[name].type == "time":
                assert value == datetime.fromtimestamp(int(token), UTC)
            else:
                assert str(value) == token


REPEATED = "account-id srcaddr account-id dstaddr bytes start bytes"
REPEATED_LINE = "123456789012 10.0.0.1 123456789012 10.0.0.2 7 1788232200 7"


@pytest.mark.parametrize("has_header", [True, False])
def test_a_format_that_names_a_field_twice(tmp_path, has_header) -> None:
    other = REPEATED_LINE.replace("012 10.0.0.2", "013 10.0.0.2")
    lines = [REPEATED_LINE, other, REPEATED_LINE[:-1] + "8", REPEATED_LINE]
    columns = "".join(f"${{{name}}} " for name in REPEATED.split())
    formats = () if has_header else (record_formats.parse_format_string(columns),)
    data = "\n".join([REPEATED, *lines] if has_header else lines)
    flows, bad, kind = read(tmp_path, data, formats=formats)
    assert (kind, flows.column_names) == ("flow-logs", FLOWS.columns)
    assert flows["account_id"].to_pylist() == ["123456789012"] * 2
    assert flows["bytes"].to_pylist() == [7, 7]
    assert [row["reason"] for row in bad] == [
        "account-id occurs twice, with different values",
        "bytes occurs twice, with different values",
    ]
