"""flowbench: a Jupyter workbench for cloud network forensics.

import flowbench as fb
case = fb.Case.open("cases/winterday")
findings = fb.detect.run(case)
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowbench import attribution, detect, graph, plot, report, schema, timeline
    from flowbench.case import Case

# Arrow gives memory back after 10 ms and soon asks for it again: up to a tenth of a load's time. It
# reads this when it is imported; whoever has set it, or imported Arrow before, has it their way.
os.environ.setdefault("MIMALLOC_PURGE_DELAY", "1000")

__version__ = "0.1.0"

__all__ = ["Case", "attribution", "detect", "graph", "plot", "report", "schema", "timeline"]


def __getattr__(name: str) -> Any:  # modules and one class
    """Import what is asked for when it is asked for: the command must start at once."""
    if name == "Case":
        return importlib.import_module("flowbench.case").Case
    if name in __all__:
        return importlib.import_module(f"flowbench.{name}")
    raise AttributeError(f"module 'flowbench' has no attribute {name!r}")
