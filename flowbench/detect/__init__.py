"""Detectors: each asks one question of a case. One module each; a new one is a new file here.

What the analyst knows to be harmless stands in allow lists (indicators of kind ``allow``). A
finding whose subject, or whose every peer, such a list covers is hidden, and said to be: see
``run``. Of an allow list and a list of bad addresses that both name an address the more specific
one counts, the allow list if they are alike: a cloud's whole range excuses no listed host in it.
Names that resolved to an address excuse it last and accuse it first: many names share one address.
"""

from flowbench.detect.base import FINDINGS, SEVERITIES
from flowbench.detect.compare import CHANGES, compare
from flowbench.detect.grouping import STORIES, STRANDS, stories, strands
from flowbench.detect.registry import registered
from flowbench.detect.run import plan, run
from flowbench.detect.suppress import HIDDEN, apart

__all__ = [
    "CHANGES",
    "FINDINGS",
    "HIDDEN",
    "SEVERITIES",
    "STORIES",
    "STRANDS",
    "apart",
    "compare",
    "plan",
    "registered",
    "run",
    "stories",
    "strands",
]
