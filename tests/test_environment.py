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


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    found = re.findall(r"^([\w.-]+)==(\S+)", lines, re.MULTILINE)
    return {canonicalize_name(name): version for name, version in found}


@pytest.mark.skipif(sys.platform != "linux", reason="the pins were taken on Linux")
def test_everything_that_is_installed_is_pinned() -> None:
    seen: dict[str, set[str]] = {}
    needed("flowbench", frozenset({"dev"}), seen)
    assert len(seen) > 50
    assert set(seen) - {"flowbench"} - set(pins()) == set()
    refused = {
        f"{name} wants {line}, the pin is {pins()[canonicalize_name(wanted.name)]}"
        for name in seen
        for line in requires(name) or ()
        if canonicalize_name((wanted := Requirement(line)).name) in pins()
        and (wanted.marker is None or wanted.marker.evaluate({"extra": ""}))
        and pins()[canonicalize_name(wanted.name)] not in wanted.specifier
    }
    assert refused == set()


def test_conda_hands_pip_only_what_a_requirements_file_may_hold() -> None:
    listed = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    assert [entry["pip"] for entry in listed if isinstance(entry, dict)] == [["-e ."]]


def test_every_target_of_the_makefile_does_something() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY:(.*)$", text, re.MULTILINE).group(1).split()
    rules = re.findall(r"^([a-z]+):.*\n\t", text, re.MULTILINE)
    assert {"demo", "test", "lab", "check", "clean"} <= set(phony)
    assert sorted(phony) == sorted(rules)
