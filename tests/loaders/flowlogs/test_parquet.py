"""Flow logs as Parquet: written by AWS, written by others, and damaged."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowbench.loaders import dispatch
from flowbench.schema import FLOWS
from tests.loaders.flowlogs.test_text import read

ROW: dict[str, Any] = {
    "version": 5,
    "account_id": "000056789012",
    "interface_id": "eni-0a",
    "srcaddr": "10.0.0.5",
    "dstaddr": "203.0.113.7",
    "srcport": 40_000,
    "dstport": 443,
    "protocol": 6,
    "packets": 3,
    "bytes": 1_000,
    "start": 1_788_232_200,
    "end": 1_788_232_259,
    "action": "ACCEPT",
    "log_status": "OK",
}


def written(folder: Path, *rows: dict[str, Any]) -> bytes:
    pq.write_table(pa.Table.from_pylist(list(rows)), folder / "made.parquet")
    return (folder / "made.parquet").read_bytes()


def test_file_written_by_aws(tmp_path, samples) -> None:
    (path,) = samples.glob("flowlogs/sekoia/*.parquet")
    flows, bad, kind = read(tmp_path, path.read_bytes(), path.name)
    assert (kind, bad, flows.num_rows) == ("flow-logs", [], 7)
    assert flows.column_names == FLOWS.columns
    row = flows.to_pylist()[0]
    assert (row["srcaddr"], row["srcport"], row["action"]) == ("64.62.197.99", 58938, "REJECT")
    assert row["start"] == datetime(2022, 8, 31, 12, 58, 55, tzinfo=UTC)
    assert flows["line"].to_pylist() == list(range(1, 8))


def test_numbers_as_text_and_words_for_missing_values(tmp_path, samples) -> None:
    path = samples / "flowlogs" / "peer-string-ports.parquet"
    flows, bad, _ = read(tmp_path, path.read_bytes(), path.name)
    assert [(row["line"], row["reason"]) for row in bad] == [(3, "protocol cannot be '8080'")]
    assert flows["srcport"].to_pylist() == [443, None]
    assert flows["srcaddr"].to_pylist() == ["198.51.100.1", None]
    assert flows["log_status"].to_pylist() == ["OK", "NODATA"]
    assert flows["account_id"].to_pylist() == ["123456789010"] * 2


def test_same_row_of_any_types(tmp_path) -> None:
    texts = {name: str(value) for name, value in ROW.items()}
    hyphens = {name.replace("_", "-"): value for name, value in ROW.items()}
    moments = ROW | {n: datetime.fromtimestamp(ROW[n], UTC) for n in ("start", "end")}
    number = ROW | {"account_id": 56_789_012}
    wide = ROW | {"bytes": 1_000.0}
    found = [
        read(tmp_path, written(tmp_path, row))[0].drop_columns(["evidence_id"]).to_pylist()
        for row in (ROW, texts, hyphens, moments, number, wide)
    ]
    assert found[0][0]["account_id"] == "000056789012"
    assert all(rows == found[0] for rows in found)


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.binary(), pa.dictionary(pa.int32(), pa.string())]
)
@pytest.mark.parametrize("missing", [None, "", "-", "None"])
def test_every_type_of_text_and_word_for_missing_values(tmp_path, kind, missing) -> None:
    plain = read(tmp_path, written(tmp_path, ROW))[0].drop_columns(["evidence_id"]).to_pylist()
    texts = {name: str(value) for name, value in ROW.items()} | {"action": missing}
    columns = {name: pa.array([v]).cast(kind) for name, v in texts.items() if v is not None}
    columns |= {name: pa.nulls(1, pa.string()) for name, v in texts.items() if v is None}
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    flows, bad, _ = read(tmp_path, (tmp_path / "x.parquet").read_bytes())
    assert bad == []
    assert flows.drop_columns(["evidence_id"]).to_pylist() == [plain[0] | {"action": None}]


@pytest.mark.parametrize(
    "kind", [pa.int32(), pa.int64(), pa.uint64(), pa.float64(), pa.decimal128(20, 0), pa.string()]
)
def test_every_type_of_number(tmp_path, kind) -> None:
    plain = read(tmp_path, written(tmp_path, ROW))[0].drop_columns(["evidence_id"]).to_pylist()
    numbers = [n for n, v in ROW.items() if isinstance(v, int)]
    columns = {n: pa.array([ROW[n], None]).cast(kind) for n in numbers}
    columns |= {n: pa.array([v, None]) for n, v in ROW.items() if n not in numbers}
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    flows, bad, _ = read(tmp_path, (tmp_path / "x.parquet").read_bytes())
    assert bad == []
    rows = flows.drop_columns(["evidence_id"]).to_pylist()
    assert rows == [plain[0], dict.fromkeys(rows[0]) | {"line": 2}]


@pytest.mark.parametrize(
    "moments",
    [
        pa.array([1_788_232_200_000], pa.int64()),
        *(
            pa.array([1_788_232_200], pa.timestamp("s")).cast(pa.timestamp(unit, zone))
            for unit in ("s", "ms", "us", "ns")
            for zone in (None, "UTC", "Europe/Berlin")
        ),
        *(
            pa.array([text])
            for text in (
                "1788232200000",
                "2026-09-01 03:10:00",
                "2026-09-01T03:10:00Z",
                "2026-09-01 03:10:00.000 UTC",
                "2026-09-01 03:10:00.000000+00:00",
            )
        ),
    ],
    ids=lambda each: f"{each.type} {each[0]}",
)
def test_every_type_of_time(tmp_path, moments) -> None:
    table = pa.Table.from_pylist([ROW])
    table = table.set_column(table.column_names.index("start"), "start", moments)
    pq.write_table(table, tmp_path / "x.parquet")
    flows, bad, _ = read(tmp_path, (tmp_path / "x.parquet").read_bytes())
    assert bad == []
    assert flows["start"].to_pylist() == [datetime(2026, 9, 1, 3, 10, tzinfo=UTC)]


def test_impossible_dates(tmp_path) -> None:
    days = ["2024-02-29", "2025-02-29", "2026-04-30", "2026-04-31", "2026-12-31", "2026-13-01"]
    rows = [ROW | {"start": f"{day} 00:00:00.5"} for day in days]
    flows, bad, _ = read(tmp_path, written(tmp_path, *rows))
    assert [f"{day:%F %T.%f}" for day in flows["start"].to_pylist()] == [
        f"{day} 00:00:00.500000" for day in ("2024-02-29", "2026-04-30", "2026-12-31")
    ]
    assert [row["line"] for row in bad] == [2, 4, 6]


def test_number_that_does_not_fit_loses_its_row(tmp_path) -> None:
    columns = {name: [value, value] for name, value in ROW.items()}
    table = pa.table(columns | {"bytes": pa.array([7, 2**64 - 1], pa.uint64())})
    table = table.set_column(table.column_names.index("packets"), "packets", pa.array([1.0, 1.5]))
    pq.write_table(table, tmp_path / "x.parquet")
    flows, bad, _ = read(tmp_path, (tmp_path / "x.parquet").read_bytes())
    assert flows["bytes"].to_pylist() == [7]
    assert [(row["line"], row["reason"]) for row in bad] == [(2, "packets is not a number: '1.5'")]


def test_unknown_columns_are_kept_nested_ones_as_json(tmp_path) -> None:
    more = ROW | {"brand_new": "x", "nested": {"a": 1}, "line": 7}
    row = read(tmp_path, written(tmp_path, more))[0].to_pylist()[0]
    assert (row["brand_new"], row["nested"], row["field_line"]) == ("x", '{"a": 1}', "7")
    assert row["line"] == 1


def test_impossible_rows_lose_only_themselves(tmp_path) -> None:
    texts = {name: str(value) for name, value in ROW.items()}
    data = written(
        tmp_path,
        texts,
        texts | {"srcport": "ssh"},
        texts | {"dstaddr": "10.0.0.300"},
        texts | {"srcport": "70000"},
        texts,
    )
    flows, bad, _ = read(tmp_path, data)
    assert flows["line"].to_pylist() == [1, 5]
    assert sorted((row["line"], row["reason"]) for row in bad) == [
        (2, "srcport is not a number: 'ssh'"),
        (3, "dstaddr cannot be '10.0.0.300'"),
        (4, "srcport cannot be '70000'"),
    ]
    assert '"srcport": "ssh"' in next(row["raw"] for row in bad if row["line"] == 2)


@pytest.mark.parametrize("cut", [40, 400])
def test_damaged_file(tmp_path, cut) -> None:
    flows, bad, _ = read(tmp_path, written(tmp_path, ROW)[:-cut])
    assert flows.num_rows == 0
    assert "damaged Parquet from row 1 on" in bad[0]["reason"]


def test_invalid_utf_8_loses_its_row(tmp_path) -> None:
    rows = [ROW | {"vpc_id": f"vpc-{number:03}"} for number in range(100)]
    table = pa.Table.from_pylist(rows)
    pq.write_table(table, tmp_path / "x", compression="none", use_dictionary=False)
    data = (tmp_path / "x").read_bytes()
    for number in (17, 99):
        data = data.replace(b"vpc-%03d" % number, b"vpc\xff%03d" % number)
    flows, bad, _ = read(tmp_path, data)
    assert flows["line"].to_pylist() == [n for n in range(1, 101) if n not in (18, 100)]
    assert sorted(row["line"] for row in bad) == [18, 100]
    assert all("not of their type" in row["reason"] for row in bad)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_arbitrary_damage_is_survived_and_reported(tmp_path_factory, changes) -> None:
    folder = tmp_path_factory.mktemp("f")
    data = bytearray(written(folder, *[ROW] * 20))
    for where, value in changes:
        data[4 + int(where * (len(data) - 9))] = value
    flows, bad, _ = read(folder, bytes(data))
    flows.to_pylist()
    try:
        expected = pq.ParquetFile(folder / "x.log").metadata.num_rows
    except (pa.ArrowException, ValueError, OSError):
        expected = None
    assert flows.num_rows or bad or expected == 0


def test_parquet_of_another_kind(tmp_path) -> None:
    flows, bad, kind = read(tmp_path, written(tmp_path, {"time": 1, "metadata": {"a": "b"}}))
    assert (flows.num_rows, kind) == (0, "unknown")
    assert bad[0]["reason"] == (
        "a Parquet file of no kind flowbench knows; its columns: time, metadata"
    )


def test_file_without_rows(tmp_path) -> None:
    empty = pa.Table.from_pylist([ROW]).slice(0, 0)
    pq.write_table(empty, tmp_path / "empty.parquet")
    evidence = dispatch.Evidence.of(tmp_path / "empty.parquet", "empty.parquet")
    assert list(dispatch.read(evidence)) == []
    assert (evidence.kind, evidence.records) == ("flow-logs", 0)


DAY = 1_788_232_200


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])  # Parquet has no seconds
@pytest.mark.parametrize("zone", [None, "UTC"])
def test_times_that_no_calendar_has_cost_their_row_only(tmp_path, unit, zone) -> None:
    scale = {"ms": 1_000, "us": 10**6, "ns": 10**9}[unit]
    # The last but one is 20 January 1970 in milliseconds, not 2026 in seconds.
    numbers = [DAY * scale, 2**62, -(2**62), 2**63 - 1, 0, DAY * scale // 1_000, DAY * scale]
    times = pa.array(numbers, pa.int64()).cast(pa.timestamp(unit, zone))
    rows = pa.Table.from_pylist([ROW] * len(numbers))
    table = rows.drop_columns(["start", "end"]).append_column("start", times)
    pq.write_table(table.append_column("end", times), tmp_path / "t.parquet", version="2.6")
    flows, bad, kind = read(tmp_path, (tmp_path / "t.parquet").read_bytes(), "x.parquet")
    assert (kind, flows["line"].to_pylist()) == ("flow-logs", [1, 7])
    assert [row["line"] for row in bad] == [2, 3, 4, 5, 6]
    assert all(row["reason"].startswith("start cannot be") for row in bad)
    assert all("203.0.113.7" in row["raw"] for row in bad)


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary(4), pa.binary_view()])
def test_bytes_that_are_no_text_are_shown_in_codes(tmp_path, kind) -> None:
    extra = pa.array([b"ok\xff!"], kind)
    pq.write_table(pa.Table.from_pylist([ROW]).append_column("note", extra), tmp_path / "t.parquet")
    flows, bad, _ = read(tmp_path, (tmp_path / "t.parquet").read_bytes(), "x.parquet")
    assert (flows["note"].to_pylist(), bad) == (["ok\\xff!"], [])


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (("srcaddr", "dstaddr", "bytes"), "neither start nor end: "),
        (("srcaddr", "srcport", "start"), "srcaddr or dstaddr is missing"),
    ],
)
def test_a_table_without_ends_or_times_has_no_records(tmp_path, names, reason) -> None:
    columns = {name: ["10.0.0.1"] if name.endswith("addr") else [1788232200] for name in names}
    pq.write_table(pa.table(columns), tmp_path / "x")
    flows, bad, _ = read(tmp_path, (tmp_path / "x").read_bytes(), "y.parquet")
    assert (flows.num_rows, len(bad)) == (0, 1)
    assert bad[0]["reason"].startswith(reason)


def test_columns_of_other_tools(tmp_path) -> None:
    columns = {"sourceaddress": ["10.0.0.1"], "destinationaddress": ["10.0.0.2"]}
    columns |= {"numbytes": [7], "starttime": [1788232200], "account": ["123456789012"]}
    pq.write_table(pa.table(columns), tmp_path / "x")
    flows, bad, _ = read(tmp_path, (tmp_path / "x").read_bytes(), "y.parquet")
    assert (flows["bytes"].to_pylist(), flows["account_id"].to_pylist(), bad) == (
        [7],
        ["123456789012"],
        [],
    )
