"""The evidence of a timeline's events: file, line and record of each kind; escaped."""

from __future__ import annotations

import html
import re

import pandas as pd
import pytest

from flowbench.case import Case
from flowbench.detect import history
from flowbench.investigate.timeline import build
from flowbench.panel.timeline_details import describe_event
from tests.incident_case import HOST


@pytest.fixture(scope="module")
def described(_prepared) -> dict[str, list[tuple[pd.Series, str]]]:
    """Each event with its HTML, by data source."""
    case = Case.open(_prepared)
    findings = history.last_run(case).findings
    by_source: dict[str, list[tuple[pd.Series, str]]] = {}
    for _index, event in build(case, None, findings).iterrows():
        shown = describe_event(case, event.to_dict(), findings)
        by_source.setdefault(event["data_source"], []).append((event, shown))
    return by_source


def cells(shown: str) -> list[str]:
    return [html.unescape(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", shown)]


@pytest.mark.parametrize(
    ("source", "file"),
    [
        ("CloudTrail", "other.jsonl"),
        ("DNS", "dns.log"),
        ("GuardDuty", "guardduty.json"),
        ("flow logs", "flows.log"),
    ],
)
def test_a_record_has_its_file_line_and_fields(described, source, file) -> None:
    for event, shown in described[source]:
        record = dict(zip(cells(shown)[::2], cells(shown)[1::2], strict=True))
        assert record["file"].endswith(file)
        assert record["line"] == str(event["line"])
        assert html.escape(event["detail"], quote=False)[:40] in html.unescape(shown)


def test_an_api_event_is_the_one_of_the_row(described) -> None:
    for event, shown in described["CloudTrail"]:
        assert event["evidence"] in cells(shown)


def test_a_finding_has_its_supporting_records(described) -> None:
    for _event, shown in described["flowbench"]:
        assert "Records 1 to" in shown
        assert HOST in cells(shown)


def test_a_note_is_text(incident) -> None:
    note = dict.fromkeys(("end", "severity", "count", "evidence", "evidence_id"), None)
    note |= {"time": pd.Timestamp("2026-09-02", tz="UTC"), "data_source": "notes"}
    shown = describe_event(incident, note | {"detail": "<b>seen</b>"}, None)
    assert "&lt;b&gt;seen&lt;/b&gt;" in shown
    assert "recorded in the custody log" in shown
