"""What each file covers, and what another file says already."""

from __future__ import annotations

from flowbench.case import Case, coverage
from tests.case.conftest import HEADER, record, write_log

SKIPDATA = "2 123456789012 eni-0a - - - - - - - 1788250000 1788250060 - SKIPDATA"
NODATA = "2 123456789012 eni-0b - - - - - - - 1788250000 1788250060 - NODATA"


def test_overlapping_logs_are_reported_and_each_record_is_charged_to_the_later_file(
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


def test_an_empty_case_covers_nothing(tmp_path) -> None:
    case = Case.create(tmp_path / "case")
    assert coverage.coverage_by_file(case.flows, case.evidence).empty
