"""The evidence table of a playbook: records with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowbench import detect
from flowbench.detect import registry
from flowbench.detect.detectors import contact
from flowbench.playbooks import list_records
from tests.incident_case import HOST, POOL, make_incident_case


def test_records_have_file_and_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "MODULES", (contact,))
    incident = make_incident_case(tmp_path)
    about = [f for f in detect.run(incident, keep=False) if f.subject == HOST]
    records = list_records(incident, about)
    assert len(about) == 2
    assert set(records["finding_id"]) == {f.finding_id for f in about}
    assert records.groupby("finding_id").size().max() <= 10
    assert records[["file", "line"]].notna().all(axis=None)
    one = list_records(incident, about[:1])
    assert "finding_id" not in one
    assert one["start"].is_monotonic_increasing
    flows = list_records(incident, [], f"ip = {HOST} and ip = {POOL}")
    assert {*flows["srcaddr"], *flows["dstaddr"]} == {HOST, POOL}
    assert 0 < len(flows) <= 20
    assert flows[["file", "line"]].notna().all(axis=None)
    assert list_records(incident, []).empty
