"""Tests of the installation: pins, conda's file, the Makefile, the wheel."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from importlib.metadata import requires

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import ROOT


def collect_requirements(package: str, extras: frozenset[str], seen: dict[str, set[str]]) -> None:
    """Collect into ``seen`` what a package and its extras require, recursively, on this Python."""
    name = canonicalize_name(package)
    if name in seen and extras <= seen[name]:
        return
    seen.setdefault(name, set()).update(extras)
    for line in requires(name) or ():
        wanted = Requirement(line)
        chosen = ({"extra": extra} for extra in (*extras, ""))
        if wanted.marker is None or any(wanted.marker.evaluate(extra) for extra in chosen):
            collect_requirements(wanted.name, frozenset(wanted.extras), seen)


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    found = re.findall(r"^([\w.-]+)==(\S+)", lines, re.MULTILINE)
    return {canonicalize_name(name): version for name, version in found}


@pytest.mark.skipif(sys.platform != "linux", reason="the pins were taken on Linux")
def test_everything_that_is_installed_is_pinned() -> None:
    seen: dict[str, set[str]] = {}
    collect_requirements("flowbench", frozenset({"dev"}), seen)
    assert len(seen) > 50
    assert set(seen) - {"flowbench"} - set(pins()) == set()
    conflicts = {
        f"{name} wants {line}, the pin is {pins()[canonicalize_name(wanted.name)]}"
        for name in seen
        for line in requires(name) or ()
        if canonicalize_name((wanted := Requirement(line)).name) in pins()
        and (wanted.marker is None or wanted.marker.evaluate({"extra": ""}))
        and pins()[canonicalize_name(wanted.name)] not in wanted.specifier
    }
    assert conflicts == set()


def test_conda_gives_pip_only_the_package_itself() -> None:
    listed = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    assert [entry["pip"] for entry in listed if isinstance(entry, dict)] == [["-e ."]]


def test_every_target_of_the_makefile_does_something() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY:(.*)$", text, re.MULTILINE).group(1).split()
    rules = re.findall(r"^([a-z]+):.*\n\t", text, re.MULTILINE)
    assert {"demo", "lab", "quick", "test", "check", "clean"} <= set(phony)
    assert sorted(phony) == sorted(rules)


@pytest.mark.slow
def test_the_wheel_has_the_notebooks_and_the_settings(tmp_path) -> None:
    """Build without isolation or dependencies, so that nothing is downloaded."""
    pytest.importorskip("hatchling")
    words = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path, ROOT]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True)
    (wheel,) = tmp_path.glob("flowbench-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    notebooks = {path.relative_to(ROOT) for path in (ROOT / "notebooks").rglob("*.ipynb")}
    assert {f"flowbench/{path.as_posix()}" for path in notebooks} <= names
    jupyter = "flowbench/cli/jupyter"
    assert f"{jupyter}/labconfig/default_setting_overrides.json" in names
    assert f"{jupyter}/voila/templates/flowbench/index.html.j2" in names
    assert {"flowbench/py.typed", "flowbench/panel/static/graph.js"} <= names
    assert not any("/js/" in name for name in names)
    assert not any(name.startswith(("tests/", "data/")) for name in names)
