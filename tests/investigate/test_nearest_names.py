"""The names that errors offer."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowbench.case import Case
from flowbench.investigate.nearest_names import suggest_names
from tests.incident_case import make_incident_case


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_incident_case(tmp_path_factory.mktemp("names") / "incident")


@pytest.mark.parametrize("text", ["EVEE", "evee", "eve "])
def test_spelling_and_capitals(case: Case, text: str) -> None:
    assert suggest_names(case, text) == "; the nearest: eve"


def test_nothing_is_near(case: Case) -> None:
    assert suggest_names(case, "zzzzzzzzz") == ""


def test_an_empty_case_has_no_names(tmp_path: Path) -> None:
    assert suggest_names(Case.create(tmp_path / "empty"), "eve") == ""
