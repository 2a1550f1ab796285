"""What tests of panels share: JupyterLab in a browser, and a small case to show in it.

The browser and JupyterLab last while tests of this package run: each is started once, and ended
before other tests start a browser of their own.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowbench import detect
from flowbench.case import Case
from flowbench.detect import registry
from flowbench.detect.detectors import contact, lateral_movement, mining
from tests.incident_case import make_incident_case
from tests.panel.jupyterlab import CHROMIUM, FLAGS, LIGHT, WIDE, Lab, Server

CELL = "import flowbench as fb\ncase = fb.Case.open({path!r})"  # first cell of most notebooks


@pytest.fixture(scope="package")
def _lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    if CHROMIUM is None and not os.environ.get("FLOWBENCH_REQUIRE_BROWSER"):
        pytest.skip("Chromium is not installed")
    from playwright.sync_api import sync_playwright

    folder = tmp_path_factory.mktemp("jupyterlab")
    (folder / "settings").mkdir()
    server = Server(folder / "root", folder / "settings")
    try:
        with sync_playwright() as player:
            browser = player.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            yield Lab(server, browser)
            browser.close()
    finally:
        server.stop()


@pytest.fixture
def lab(_lab: Lab) -> Iterator[Lab]:
    """JupyterLab's page, wide and light; afterwards no request has left this machine."""
    _lab.use_size(WIDE)
    _lab.use_theme(LIGHT)
    yield _lab
    assert _lab.outside == []


@pytest.fixture(scope="package")
def _prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small incident with every kind of evidence, hostile names, and a kept run of findings."""
    modules, registry.MODULES = registry.MODULES, (contact, lateral_movement, mining)
    try:
        case = make_incident_case(tmp_path_factory.mktemp("incident"))
        detect.run(case)
    finally:
        registry.MODULES = modules
    return case.path


@pytest.fixture
def incident(_prepared: Path, tmp_path: Path) -> Case:
    """The case of tests.incident_case with a kept run of three detectors, to be changed at will."""
    return Case.open(shutil.copytree(_prepared, tmp_path / "incident"))


@pytest.fixture
def incident_cell(incident: Case) -> str:
    """The cell that opens it."""
    return CELL.format(path=str(incident.path))
