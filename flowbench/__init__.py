"""flowbench: a Jupyter workbench for cloud network forensics.

import flowbench as fb
case = fb.Case.open("cases/winterday")
findings = fb.detect.run(case)
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from flowbench.version import __version__ as __version__

if TYPE_CHECKING:
    from flowbench import (
        detect,
        export,
        fetch,
        panel,
        playbooks,
        plot,
        pricing,
        report,
        scenario,
        segmentation,
        training,
    )
    from flowbench.detect import evaluate
    from flowbench.errors import (
        CaseError,
        FlowbenchError,
        InputError,
        MissingFieldError,
        StoppedError,
    )
    from flowbench.investigate import (
        about,
        attribution,
        corroborate,
        graph,
        hunt,
        pivot,
        reachability,
        timeline,
        where,
    )
    from flowbench.investigate.hunting import Case

# Arrow returns memory after 10 ms and soon needs it again: up to a tenth of a load's time. It reads
# this when it is imported; a value that the user has set stays.
os.environ.setdefault("MIMALLOC_PURGE_DELAY", "1000")

_MODULES = {
    "about": "flowbench.investigate.about",
    "attribution": "flowbench.investigate.attribution",
    "corroborate": "flowbench.investigate.corroborate",
    "detect": "flowbench.detect",
    "evaluate": "flowbench.detect.evaluate",
    "export": "flowbench.export",
    "fetch": "flowbench.fetch",
    "graph": "flowbench.investigate.graph",
    "hunt": "flowbench.investigate.hunt",
    "panel": "flowbench.panel",
    "pivot": "flowbench.investigate.pivot",
    "playbooks": "flowbench.playbooks",
    "plot": "flowbench.plot",
    "pricing": "flowbench.pricing",
    "reachability": "flowbench.investigate.reachability",
    "report": "flowbench.report",
    "scenario": "flowbench.scenario",
    "segmentation": "flowbench.segmentation",
    "timeline": "flowbench.investigate.timeline",
    "training": "flowbench.training",
    "where": "flowbench.investigate.where",
}
__all__ = [
    "Case",
    "CaseError",
    "FlowbenchError",
    "InputError",
    "MissingFieldError",
    "StoppedError",
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
]


def __getattr__(name: str) -> Any:
    """Import a module, the errors or Case when it is first used: the command must start at once."""
    if name == "Case":
        return importlib.import_module("flowbench.investigate.hunting").Case
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    if name in __all__:
        return getattr(importlib.import_module("flowbench.errors"), name)
    raise AttributeError(f"module 'flowbench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
