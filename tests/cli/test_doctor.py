"""Tests of flowbench doctor."""

from __future__ import annotations

import json
import shutil
import socket
from importlib import metadata

import pytest

from flowbench import __version__
from flowbench.cli import doctor as _command  # noqa: F401
from flowbench.cli.doctor import Check, check_chromium, check_jupyter, check_packages
from tests.cli.running import run


def test_this_installation_has_everything_and_no_network_is_used(monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network is used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    result = run("doctor", "--format", "json")
    assert result.exit_code == 0, result.output
    rows = {row["name"]: row for row in json.loads(result.stdout)}
    assert rows["flowbench"]["found"] == __version__
    assert rows["pandas"]["found"] == metadata.version("pandas")
    assert {"Python", "processors", "memory", "free disk space", "Chromium"} <= set(rows)
    assert result.stderr == "everything necessary is installed\n"


def test_a_missing_package_is_exit_code_1_with_the_remedy(monkeypatch) -> None:
    find = metadata.version

    def version(name: str) -> str:
        if name == "networkx":
            raise metadata.PackageNotFoundError(name)
        return find(name)

    monkeypatch.setattr(metadata, "version", version)
    result = run("doctor")
    assert (result.exit_code, result.stderr) == (1, "missing: networkx\n")
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("networkx ")]
    assert line.split()[:3] == ["networkx", "missing", "none"]
    assert "install networkx>=" in line


def test_a_package_that_is_too_old(monkeypatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda _: "0.0.1")
    checks = {check.name: check for check in check_packages()}
    assert checks["pandas"].status == "missing"
    assert checks["pandas"].remedy.startswith("install pandas>=")


def test_an_optional_package_is_not_necessary(monkeypatch) -> None:
    def version(name: str) -> str:
        if name == "boto3":
            raise metadata.PackageNotFoundError(name)
        return "999"

    monkeypatch.setattr(metadata, "version", version)
    (boto3,) = [check for check in check_packages() if check.name == "boto3"]
    assert (boto3.status, "flowbench[aws]" in boto3.remedy) == ("optional", True)


@pytest.mark.parametrize("found", [None, "/opt/chromium"])
def test_chromium(monkeypatch, found) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: found if name == "chromium" else None)
    check = check_chromium()
    assert (check.status, check.found) == (("ok", found) if found else ("optional", "none"))


def test_widgets_that_jupyterlab_does_not_find(monkeypatch) -> None:
    monkeypatch.setattr("jupyter_core.paths.jupyter_path", list)
    widgets, kernel = check_jupyter()
    assert widgets == Check(
        "widgets in JupyterLab", "missing", "none", "install jupyterlab_widgets again"
    )
    assert kernel.status == "missing"
