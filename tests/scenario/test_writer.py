"""Evidence files: names, layout, and the same bytes each time."""

from __future__ import annotations

import gzip
import json

from flowbench.scenario import writer
from flowbench.scenario.record_format import FIELD_COUNTS, FIELDS
from flowbench.scenario.traffic import Record

START = 1_788_220_800


def test_gzip_files_have_no_time_and_no_name(tmp_path) -> None:
    writer.write_gzip(tmp_path / "a" / "x.gz", "text\n")
    raw = (tmp_path / "a" / "x.gz").read_bytes()
    assert gzip.decompress(raw) == b"text\n"
    assert raw[:10] == bytes((0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 2, 3))


def test_flow_logs_are_in_slots_of_two_hours_and_complete(tmp_path) -> None:
    records = [Record(START + 60 * n, f"record-{n}") for n in range(300)]
    assert writer.write_flow_logs(tmp_path, records, "seed") == 300
    files = sorted(tmp_path.rglob("*.log.gz"))
    assert len(files) == 3
    assert all("/2026/09/01/" in file.as_posix() for file in files)
    lines = [gzip.decompress(file.read_bytes()).decode().splitlines() for file in files]
    header = " ".join(FIELDS.split()[: FIELD_COUNTS[5]])
    assert {file[0] for file in lines} == {header}
    assert {line for file in lines for line in file[1:]} == {r.text for r in records}
    assert lines[0][1:] != sorted(lines[0][1:], key=lambda text: int(text[7:]))


def test_cloudtrail_files_hold_six_hours_in_order(tmp_path) -> None:
    times = ("2026-09-01T07:00:00Z", "2026-09-01T05:00:00Z", "2026-09-01T01:00:00Z")
    writer.write_cloudtrail(tmp_path, [{"eventTime": t, "eventID": t} for t in times])
    files = sorted(tmp_path.rglob("*.json.gz"))
    contents = [json.loads(gzip.decompress(file.read_bytes()))["Records"] for file in files]
    assert [[e["eventTime"] for e in events] for events in contents] == [
        [times[2], times[1]],
        [times[0]],
    ]


def test_resolver_logs_hold_a_day(tmp_path) -> None:
    rows = [
        {"query_timestamp": f"2026-09-0{day}T00:00:00Z", "srcaddr": "a", "srcport": "1"}
        for day in (2, 1)
    ]
    writer.write_resolver_logs(tmp_path, "vpc-1", rows)
    names = sorted(file.parent.as_posix()[-10:] for file in tmp_path.rglob("*.gz"))
    assert names == ["2026/09/01", "2026/09/02"]


def test_times_are_utc() -> None:
    assert writer.format_time(START + 0.9) == "2026-09-01T00:00:00Z"
    assert writer.format_time(START, "%Y%m%d") == "20260901"
