"""The widget's front end: shipped, self-contained, and built from its source."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from flowbench.panel import graph_view
from flowbench.panel.graph_view import GraphView

STATIC = Path(graph_view.__file__).parent / "static"
SOURCE = STATIC.parent / "js"
LICENSED = ("cytoscape", "d3-dispatch", "d3-force", "d3-quadtree", "d3-timer")


def test_the_widget_carries_its_module_and_style() -> None:
    view = GraphView()
    assert view._esm == (STATIC / "graph.js").read_text(encoding="utf-8")
    assert view._css == (STATIC / "panel.css").read_text(encoding="utf-8")
    assert (view.selected, view.height) == ("", 560)


def test_the_module_loads_nothing_and_evaluates_nothing() -> None:
    code = (STATIC / "graph.js").read_text(encoding="utf-8").partition("*/")[2]
    assert set(re.findall(r"https?://[\w./-]+", code)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"\beval\(|\bimport\(|\bfetch\(|XMLHttpRequest|WebSocket", code)
    assert "innerHTML" not in "".join(path.read_text() for path in (SOURCE / "src").iterdir())


def test_the_module_has_the_licences_of_what_it_contains() -> None:
    banner = (STATIC / "graph.js").read_text(encoding="utf-8").partition("*/")[0]
    locked = json.loads((SOURCE / "package-lock.json").read_text())["packages"]
    for name in LICENSED:
        package = locked[f"node_modules/{name}"]
        assert f"{name} {package['version']} ({package['license']})" in banner
    assert "Permission is hereby granted" in banner
    bundled = {name for name, package in locked.items() if name and not package.get("dev")}
    assert bundled == {f"node_modules/{name}" for name in LICENSED}


def test_versions_are_exact_and_the_lock_file_names_no_host() -> None:
    package = json.loads((SOURCE / "package.json").read_text())
    versions = [*package["dependencies"].values(), *package["devDependencies"].values()]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in versions)
    lock = (SOURCE / "package-lock.json").read_text()
    assert "resolved" not in lock
    assert "http" not in re.sub(r'"url": "https://[^"]+"', "", lock)  # of funding


@pytest.mark.browser
def test_the_module_is_what_the_source_gives(tmp_path) -> None:
    is_required = bool(os.environ.get("FLOWBENCH_REQUIRE_BROWSER"))
    if shutil.which("npm") is None and not is_required:
        pytest.skip("npm is not installed")
    copy = tmp_path / "js"
    shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("node_modules"))
    installed = subprocess.run(
        ["npm", "ci", "--ignore-scripts"], cwd=copy, capture_output=True, text=True, check=False
    )
    if installed.returncode and not is_required:
        pytest.skip(f"npm cannot install: {installed.stderr[-300:]}")
    assert installed.returncode == 0, installed.stderr
    subprocess.run(["npm", "run", "build"], cwd=copy, capture_output=True, check=True)
    for name in ("bench.js", "bench.css", "code.js", "graph.js", "panel.css", "timeline.js"):
        built, committed = (tmp_path / "static" / name), STATIC / name
        assert built.read_bytes() == committed.read_bytes(), f"{name}: run npm ci && npm run build"
