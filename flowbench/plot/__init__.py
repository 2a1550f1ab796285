"""Figures: each function takes a table or a graph and returns a plotly Figure."""

from flowbench.plot.activity import activity
from flowbench.plot.chain import chain
from flowbench.plot.coverage import coverage
from flowbench.plot.matrix import matrix
from flowbench.plot.network import network
from flowbench.plot.notebook import prepare
from flowbench.plot.paths import paths
from flowbench.plot.timeline import timeline

__all__ = ["activity", "chain", "coverage", "matrix", "network", "paths", "timeline"]

prepare()
