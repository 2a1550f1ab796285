"""Panels for notebooks: each shows a case, and every choice in it can be copied as code."""

from flowbench.panel.bench import HuntingBench, bench
from flowbench.panel.findings import FindingsTriage, findings
from flowbench.panel.graph import GraphExplorer, graph
from flowbench.panel.page import CasePage, page
from flowbench.panel.timeline import TimelinePanel, timeline

__all__ = [
    "CasePage",
    "FindingsTriage",
    "GraphExplorer",
    "HuntingBench",
    "TimelinePanel",
    "bench",
    "findings",
    "graph",
    "page",
    "timeline",
]
