"""Lines of many records: every version has its fields, and is read as it was written."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowbench.case import Case
from flowbench.scenario.record_format import FIELD_COUNTS
from tests.scenario.exercises.fleet_logs import read, write


@pytest.mark.parametrize("version", sorted(FIELD_COUNTS))
def test_every_version_has_its_fields_and_loads(tmp_path: Path, version: int) -> None:
    count = write(tmp_path / "logs", version=version, window=600)
    assert len(read(tmp_path / "logs").columns) == FIELD_COUNTS[version]
    if version in (2, 11):
        case = Case.create(tmp_path / "case", "volume")
        case.ingest(tmp_path / "logs")
        assert case.flows.count().execute() == count
        assert case.quarantine.count().execute() == 0
