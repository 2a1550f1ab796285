"""Coverage: periods, repeated records, gaps, missing fields, settings."""

from __future__ import annotations

from collections.abc import Iterable

import ibis
import pandas as pd
import pytest

from flowbench.case import Case, coverage
from flowbench.loaders.aws import flow_log_settings
from flowbench.schema import FLOWS, to_frame
from tests.case.conftest import HEADER, record, write_log

SKIPDATA = "2 123456789012 eni-0a - - - - - - - 1788250000 1788250060 - SKIPDATA"
NODATA = "2 123456789012 eni-0b - - - - - - - 1788250000 1788250060 - NODATA"


def test_repeated_records_count_for_the_later_file(
    tmp_path,
) -> None:
    logs = tmp_path / "logs"
    write_log(logs / "a-vpc.log.gz", range(100))
    write_log(logs / "b-subnet.log.gz", range(60, 130))
    lines = [HEADER, record(500), record(500), SKIPDATA, NODATA, "2 short"]
    (logs / "c.log").write_text("\n".join(lines))
    # The same traffic with other fields is another record.
    (logs / "d.log").write_text("srcaddr dstaddr action\n10.0.1.10 198.51.100.0 ACCEPT\n")
    case = Case.create(tmp_path / "case")
    case.ingest(logs)
    found = coverage.coverage_by_file(case.flows, case.evidence)
    assert found.columns.tolist() == coverage.TABLE.columns
    rows = found.set_index("file")
    assert rows["repeated"].to_dict() == {
        "a-vpc.log.gz": 0,
        "b-subnet.log.gz": 40,
        "c.log": 1,
        "d.log": 0,
    }
    assert rows.loc["c.log", ["records", "nodata", "skipdata", "quarantined"]].tolist() == [
        4,
        1,
        1,
        1,
    ]
    assert str(rows.loc["c.log", "last_seen"]) == "2026-09-01 08:07:40+00:00"
    # Connections count each once.
    assert case.connections.records.sum().execute() == 130 + 1  # d.log has no times


def test_an_empty_case_has_no_coverage(tmp_path) -> None:
    case = Case.create(tmp_path / "case")
    assert coverage.coverage_by_file(case.flows, case.evidence).empty


START = pd.Timestamp("2026-09-01T00:00Z")


def make_flows(
    minutes: Iterable[float], interface: str = "eni-0a", length: float = 1, status: str = "OK"
) -> ibis.Table:
    """Records that start at some minutes after START."""
    rows = [
        {
            "interface_id": interface,
            "start": START + pd.Timedelta(minutes=minute),
            "end": START + pd.Timedelta(minutes=minute + length),
            "log_status": status,
        }
        for minute in minutes
    ]
    return ibis.memtable(FLOWS.rows(rows))


def at(minute: float) -> pd.Timestamp:
    return START + pd.Timedelta(minutes=minute)


HOURS = [*range(0, 300, 10), *range(400, 700, 10)]  # a gap of 109 minutes


def test_gaps_are_periods_in_which_no_interface_has_a_record() -> None:
    assert coverage.find_gaps(make_flows(HOURS)) == [(at(291), at(400))]
    other = make_flows(range(0, 700, 10), "eni-0b")
    assert coverage.find_gaps(make_flows(HOURS).union(other)) == []


def test_a_pause_shorter_than_half_an_hour_is_no_gap() -> None:
    short = [*range(0, 300, 10), *range(320, 3_000, 10)]  # 29 minutes
    assert coverage.find_gaps(make_flows(short)) == []


def test_irregular_records_show_no_gaps() -> None:
    assert coverage.find_gaps(make_flows(range(0, 3_000, 25))) == []
    assert coverage.find_gaps(make_flows(range(0, 200, 10))) == []  # too few slots
    assert coverage.find_gaps(make_flows([])) == []


@pytest.mark.parametrize(
    ("slots", "adjacent", "gaps", "expected"),
    [
        (24, 23, 0, True),
        (23, 22, 0, False),
        (101, 90, 9, True),
        (101, 89, 11, False),
        (101, 95, 3, False),
        (0, 0, 0, False),
    ],
)
def test_continuity_needs_adjacent_slots(slots, adjacent, gaps, expected) -> None:
    assert coverage.is_continuous(slots, adjacent, gaps) is expected


def test_each_interface_has_its_period_gaps_and_lost_records() -> None:
    flows = make_flows(HOURS).union(make_flows([5, 45], "eni-0b", length=10))
    lost = make_flows([700, 710], length=10, status="SKIPDATA")
    silent = make_flows([720], status="NODATA")
    rows = to_frame(coverage.coverage_by_interface(flows.union(lost, silent)).to_pyarrow())
    assert rows["interface_id"].tolist() == ["eni-0a", "eni-0b"]
    first, second = rows.to_dict("records")
    assert (first["first"], first["last"]) == (at(0), at(721))
    assert (first["slots"], first["adjacent"], first["records"], first["long"]) == (63, 61, 63, 2)
    assert [(gap["since"], gap["until"]) for gap in first["gaps"]] == [(at(291), at(400))]
    assert (first["lost"], first["lost_s"]) == (2, 1_200)
    assert (first["lost_first"], first["lost_last"]) == (at(700), at(720))
    assert (second["records"], second["long"], second["lost"]) == (2, 2, 0)
    assert len(second["gaps"]) == 1


def test_missing_fields_are_named_with_what_they_tell() -> None:
    every = set(FLOWS.columns)
    assert coverage.describe_missing_fields([every]) == []
    assert coverage.describe_missing_fields([]) == []
    phrases = coverage.describe_missing_fields([every, every - {"tcp_flags"}])
    assert phrases == [
        "no tcp-flags in 1 of 2 files, which tells who opened a TCP connection, and which attempts"
        " failed"
    ]
    assert coverage.describe_missing_fields([every - {"bytes"}]) == [
        "no bytes, which tells the volume sent"
    ]


@pytest.mark.parametrize(
    ("accepted", "rejected", "phrase"),
    [
        (5, 0, "no REJECT among 5 records: perhaps only ACCEPT was recorded"),
        (0, 5, "no ACCEPT among 5 records: only REJECT was recorded"),
        (5, 1, None),
        (4, 0, None),
        (0, 0, None),
    ],
)
def test_one_sided_logs_are_reported_when_there_are_enough_records(
    accepted, rejected, phrase
) -> None:
    rows = [{"action": "ACCEPT"}] * accepted + [{"action": "REJECT"}] * rejected
    flows = ibis.memtable(FLOWS.rows(rows))
    phrases = coverage.describe_one_sided(flows, min_records=5)
    assert phrases == ([] if phrase is None else [phrase])


def test_the_latest_settings_of_each_flow_log_count() -> None:
    table = flow_log_settings.TABLE
    common = {"resource_id": "vpc-1", "deliver_status": "SUCCESS", "evidence_id": "a", "item": 1}
    rows = [
        {"flow_log_id": "fl-1", "traffic_type": "REJECT", "observed_at": START},
        {"flow_log_id": "fl-1", "traffic_type": "ALL", "observed_at": at(1)},
        {"flow_log_id": "fl-2", "traffic_type": "ACCEPT", "observed_at": None},
        {"flow_log_id": "fl-3", "traffic_type": "ALL", "observed_at": START}
        | {"deliver_status": "FAILED", "deliver_error": "Access error"},
    ]
    settings = ibis.memtable(table.rows([common | row for row in rows]))
    assert coverage.describe_setting_problems(settings) == [
        "fl-2 of vpc-1 records ACCEPT only",
        "fl-3 of vpc-1 fails to deliver (Access error)",
    ]
