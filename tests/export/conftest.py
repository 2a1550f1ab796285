"""One incident, and one whose texts are hostile."""

from __future__ import annotations

import pytest

from flowbench import detect
from flowbench.case import Case
from flowbench.detect import Findings
from tests.incident_case import make_incident_case


@pytest.fixture(scope="package")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_incident_case(tmp_path_factory.mktemp("export") / "incident")


@pytest.fixture(scope="package")
def findings(case: Case) -> Findings:
    return detect.run(case, keep=False)
