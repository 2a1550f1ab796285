"""Detectors: each answers one question about a case with findings.

``run`` gives the findings of a case, ``plan`` says which detectors can run. Allow lists (indicators
of kind ``allow``) suppress findings about what the analyst knows to be harmless; see ``suppress``.
A new detector is a file in ``detectors`` and a line in ``registry``.
"""

from flowbench.detect.compare import CHANGES, compare
from flowbench.detect.current import current_findings
from flowbench.detect.finding import FINDINGS, SEVERITIES, Finding
from flowbench.detect.findings import Findings
from flowbench.detect.group_links import LINKS, link_groups
from flowbench.detect.grouping import (
    FINDING_GROUPS,
    RELATED_FINDINGS,
    group_findings,
    relate_findings,
)
from flowbench.detect.plan import plan
from flowbench.detect.registry import registered
from flowbench.detect.run import run

__all__ = [
    "CHANGES",
    "FINDINGS",
    "FINDING_GROUPS",
    "LINKS",
    "RELATED_FINDINGS",
    "SEVERITIES",
    "Finding",
    "Findings",
    "compare",
    "current_findings",
    "group_findings",
    "link_groups",
    "plan",
    "registered",
    "relate_findings",
    "run",
]
