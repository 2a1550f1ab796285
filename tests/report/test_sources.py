"""What the report says of its sources: missing logs, quarantine."""

from __future__ import annotations

from pathlib import Path

from flowbench.case import Case
from flowbench.report import sources
from tests.incident_case import HOST, POOL
from tests.traffic import T0, connect, interface, make_case


def test_interfaces_without_records(tmp_path: Path) -> None:
    interfaces = [interface(HOST, "a"), interface("10.0.0.9", "z"), interface("10.0.0.8", "b")]
    case = make_case(tmp_path, connect(HOST, POOL, 443, T0), interfaces=interfaces)
    assert sources.list_unlogged_interfaces(case) == ["eni-b", "eni-z"]


def test_quarantined_lines_by_reason(tmp_path: Path) -> None:
    (tmp_path / "flows.log").write_text(
        "srcaddr dstaddr start end bytes packets action\n"
        "10.0.0.5 10.0.0.6 yesterday 1788220860 1 1 ACCEPT\n"
        "10.0.0.5 10.0.0.6 1788220800 1788220860 1 1 ACCEPT\n"
        "10.0.0.5 10.0.0.6 1788220800 1788220860 -7 1 ACCEPT\n"
    )
    case = Case.create(tmp_path / "case")
    assert sources.summarize_quarantine(case) == []
    case.ingest(tmp_path / "flows.log")
    rows = sources.summarize_quarantine(case)
    assert [(row["kind"], row["entries"], row["example"]) for row in rows] == [
        ("flow-logs", 1, "flows.log"),
        ("flow-logs", 1, "flows.log"),
    ]
    assert {row["line"] for row in rows} == {2, 4}
