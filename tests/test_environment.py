"""What sets the house up: pins for everything, a file that conda can read, targets that work."""

from __future__ import annotations

import re
import sys
from importlib.metadata import requires

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import ROOT


def needed(package: str, extras: frozenset[str], seen: dict[str, set[str]]) -> None:
    """Gather into ``seen`` what a package and its extras need, on this Python, all the way down."""
    name = canonicalize_name(package)
    if name in seen and extras <= seen[name]:
        return
    seen.setdefault(name, set()).update(extras)
    for line in requires(name) or ():
        wanted = Requirement(line)
        chosen = ({"extra": extra} for extra in (*extras, ""))
        if wanted.marker is None or any(wanted.marker.evaluate(one) for one in chosen):
            needed(wanted.name, frozenset(wanted.extras), seen)


@pytest.mark.skipif(sys.platform != "linux", reason="the pins were taken on Linux")
def test_everything_that_is_installed_is_pinned() -> None:
    seen: dict[str, set[str]] = {}
    needed("flowbench", frozenset({"dev"}), seen)
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pinned = {canonicalize_name(name) for name in re.findall(r"^([\w.-]+)==", pins, re.MULTILINE)}
    assert len(seen) > 50
    assert set(seen) - {"flowbench"} - pinned == set()


def test_conda_hands_pip_only_what_a_requirements_file_may_hold() -> None:
    listed = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    assert [entry["pip"] for entry in listed if isinstance(entry, dict)] == [["-e ."]]


def test_every_target_of_the_makefile_does_something() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY:(.*)$", text, re.MULTILINE).group(1).split()
    rules = re.findall(r"^([a-z]+):.*\n\t", text, re.MULTILINE)
    assert {"demo", "test", "lab", "check", "clean"} <= set(phony)
    assert sorted(phony) == sorted(rules)
