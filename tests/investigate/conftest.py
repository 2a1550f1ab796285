"""A case that several modules read."""

from __future__ import annotations

import pytest

from flowbench.case import Case
from flowbench.investigate import hunting
from tests.investigate.credentials import credential_events
from tests.investigate.hunting_case import make_hunting_case
from tests.traffic import T0, connect, make_case


@pytest.fixture(scope="session")
def credential_case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """Credentials that lead to others; see credentials.credential_events."""
    records = [
        *connect("10.0.0.5", "203.0.113.9", 443, T0),
        *connect("203.0.113.99", "10.0.0.5", 22, T0 + 120),
    ]
    folder = tmp_path_factory.mktemp("credentials")
    return make_case(folder, records, json_lines=credential_events(T0))


@pytest.fixture(scope="session")
def hunting_case(tmp_path_factory: pytest.TempPathFactory) -> hunting.Case:
    """A case with what hunters ask about; see hunting_case.make_hunting_case."""
    return make_hunting_case(tmp_path_factory.mktemp("hunting"))
