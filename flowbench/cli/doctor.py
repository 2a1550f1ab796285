"""flowbench doctor: what is installed, and what is missing."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import click

from flowbench.cli import common
from flowbench.text import format_bytes, format_count
from flowbench.version import __version__

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome", "msedge")
MIN_MEMORY = 2e9  # bytes; a load of 50 million records needs about a quarter of it
MIN_DISK = 2e9  # bytes free in the current folder


class Check(NamedTuple):
    """One line of the result."""

    name: str
    status: str  # ok, missing (something necessary), or optional (missing, not necessary)
    found: str
    remedy: str = ""


@click.command()
@common.output_options
def doctor(out: common.Output) -> None:
    """Check this installation.

    Versions, memory, disk space, browser, JupyterLab and its widgets. Nothing is asked of the
    network. Exit code 1 if something necessary is missing.
    """
    import pandas as pd

    checks = [*check_system(), *check_packages(), *check_jupyter(), check_chromium()]
    out.write(pd.DataFrame(checks, columns=list(Check._fields)))
    missing = [check.name for check in checks if check.status == "missing"]
    if missing:
        common.note(f"missing: {', '.join(missing)}")
        sys.exit(common.EXIT_PROBLEMS)
    common.note("everything necessary is installed")


def check_system() -> Iterator[Check]:
    """Yield the versions of flowbench and Python, and the machine's resources."""
    yield Check("flowbench", "ok", __version__)
    is_supported = sys.version_info >= (3, 11)
    remedy = "" if is_supported else "install Python 3.11 or later"
    yield Check("Python", "ok" if is_supported else "missing", platform.python_version(), remedy)
    yield Check("system", "ok", f"{platform.system()} {platform.machine()}")
    yield Check("processors", "ok", format_count(_count_processors(), "core"))
    yield _check_amount("memory", _read_memory(), MIN_MEMORY, "use a machine with more memory")
    free = shutil.disk_usage(Path.cwd()).free
    yield _check_amount("free disk space", free, MIN_DISK, "free space, or use another folder")


def _check_amount(name: str, size: int | None, minimum: float, remedy: str) -> Check:
    if size is None:
        return Check(name, "ok", "unknown")
    if size >= minimum:
        return Check(name, "ok", format_bytes(size))
    return Check(name, "optional", format_bytes(size), f"large cases need more: {remedy}")


def _count_processors() -> int:
    """Return the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _read_memory() -> int | None:
    """Return the machine's memory in bytes, None where the system does not report it."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def check_packages() -> Iterator[Check]:
    """Yield each package that flowbench requires, with its version, and the optional ones."""
    from packaging.requirements import Requirement

    for line in metadata.requires("flowbench") or []:
        requirement = Requirement(line)
        is_extra = "extra" in str(requirement.marker or "")
        if is_extra or (requirement.marker and not requirement.marker.evaluate()):
            continue
        yield _check_package(requirement.name, str(requirement.specifier))
    for name, remedy in (
        ("boto3", "for `flowbench fetch`: install flowbench[aws]"),
        ("voila", "for `flowbench bench`: install flowbench[voila]"),
    ):
        version = _find_version(name)
        yield Check(name, "ok", version) if version else Check(name, "optional", "none", remedy)


def _check_package(name: str, specifier: str) -> Check:
    from packaging.specifiers import SpecifierSet

    version = _find_version(name)
    if version is None:
        return Check(name, "missing", "none", f"install {name}{specifier}")
    if not SpecifierSet(specifier).contains(version, prereleases=True):
        return Check(name, "missing", version, f"install {name}{specifier}")
    return Check(name, "ok", version)


def _find_version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def check_jupyter() -> Iterator[Check]:
    """Yield whether JupyterLab finds the front ends of the widgets, and a Python kernel."""
    from jupyter_core.paths import jupyter_path

    folders = [Path(folder) for folder in jupyter_path()]
    for name, place, remedy in (
        (
            "widgets in JupyterLab",
            "labextensions/@jupyter-widgets/jupyterlab-manager/package.json",
            "install jupyterlab_widgets again",
        ),
        ("Python kernel", "kernels/python3/kernel.json", "install ipykernel again"),
    ):
        path = next((folder / place for folder in folders if (folder / place).is_file()), None)
        if path is None:
            yield Check(name, "missing", "none", remedy)
        else:
            version = re.search(r'"version": "([^"]+)"', path.read_text(encoding="utf-8"))
            yield Check(name, "ok", version.group(1) if version else "installed")


def check_chromium() -> Check:
    """Return whether a browser is found that can print reports as PDF."""
    path = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if path:
        return Check("Chromium", "ok", path)
    return Check("Chromium", "optional", "none", "to print reports as PDF: install Chromium")
