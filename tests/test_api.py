"""The public API: what ``flowbench`` shows, and that importing it is cheap."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import flowbench as fb

ERRORS = {"CaseError", "FlowbenchError", "InputError", "MissingFieldError", "StoppedError"}
MODULES = {
    "about",
    "attribution",
    "corroborate",
    "detect",
    "evaluate",
    "export",
    "fetch",
    "graph",
    "hunt",
    "panel",
    "pivot",
    "playbooks",
    "plot",
    "pricing",
    "reachability",
    "report",
    "scenario",
    "segmentation",
    "timeline",
    "training",
    "where",
}


def test_dir_shows_the_public_names_and_no_others() -> None:
    assert set(dir(fb)) == {"Case"} | ERRORS | MODULES
    assert dir(fb) == sorted(fb.__all__)


def test_every_public_name_can_be_imported() -> None:
    assert fb.Case.open.__doc__
    assert all(issubclass(getattr(fb, name), fb.FlowbenchError) for name in ERRORS)
    assert all(getattr(fb, name).__doc__ for name in MODULES)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'flowbench' has no attribute 'detector'"):
        _ = fb.detector


@pytest.mark.parametrize("statement", ["import flowbench", "from flowbench import CaseError"])
def test_importing_it_loads_nothing_heavy(statement) -> None:
    heavy = ["pandas", "pyarrow", "ibis", "duckdb", "plotly", "networkx", "numpy", "rich"]
    code = f"{statement}; import sys; print([m for m in {heavy} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


def test_the_package_is_typed_and_has_a_version() -> None:
    assert (Path(fb.__file__).parent / "py.typed").exists()
    assert fb.__version__.count(".") == 2
