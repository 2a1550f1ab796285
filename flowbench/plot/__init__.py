"""Figures: a table or a graph in, a plotly Figure out. They know nothing of cases."""

from flowbench.plot.activity import activity
from flowbench.plot.matrix import matrix
from flowbench.plot.network import network
from flowbench.plot.timeline import timeline

__all__ = ["activity", "matrix", "network", "timeline"]
