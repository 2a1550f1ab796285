"""Panels for notebooks: each shows a case, and every choice in it can be copied as code."""

from flowbench.panel.bench import HuntingBench, bench
from flowbench.panel.findings import FindingsTriage, findings
from flowbench.panel.graph import GraphExplorer, graph

__all__ = ["FindingsTriage", "GraphExplorer", "HuntingBench", "bench", "findings", "graph"]
