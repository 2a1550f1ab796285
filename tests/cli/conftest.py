"""What the tests of commands share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.running import RECORD, load, run
from tests.incident_case import make_incident_case


@pytest.fixture
def case(tmp_path: Path) -> Path:
    """An empty case."""
    assert run("new", tmp_path / "case").exit_code == 0
    return tmp_path / "case"


@pytest.fixture
def loaded(case: Path, tmp_path: Path) -> Path:
    """A case with one flow log record, in a.log beside it."""
    (tmp_path / "a.log").write_text(RECORD)
    load(case, tmp_path / "a.log")
    return case


@pytest.fixture(scope="session")
def incident_case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small incident with every kind of evidence."""
    return make_incident_case(tmp_path_factory.mktemp("incident") / "incident").path
