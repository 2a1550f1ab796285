"""Figures: each function takes a table or a graph and returns a plotly Figure.

docs/figures.md says which figure answers which question.
"""

from flowbench.plot.activity import activity
from flowbench.plot.beacon import beacon
from flowbench.plot.blast_radius import blast_radius
from flowbench.plot.chain import chain
from flowbench.plot.countries import countries
from flowbench.plot.coverage import coverage
from flowbench.plot.heatmap import heatmap
from flowbench.plot.lanes import lanes
from flowbench.plot.matrix import matrix
from flowbench.plot.network import network
from flowbench.plot.notebook import prepare
from flowbench.plot.paths import paths
from flowbench.plot.sankey import sankey
from flowbench.plot.scan import scan
from flowbench.plot.timeline import timeline
from flowbench.plot.traffic_matrix import traffic_matrix
from flowbench.plot.volume import volume

__all__ = [
    "activity",
    "beacon",
    "blast_radius",
    "chain",
    "countries",
    "coverage",
    "heatmap",
    "lanes",
    "matrix",
    "network",
    "paths",
    "sankey",
    "scan",
    "timeline",
    "traffic_matrix",
    "volume",
]

prepare()
