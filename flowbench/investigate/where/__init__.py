"""Filter expressions over connections and flow records: ``src in 10.0.0.0/8 and dport = 22``.

One grammar for the option ``--where``, for ``filter_connections`` and ``filter_flows``, and for the
hunting bench; docs/filters.md describes it.
"""

from flowbench.investigate.where.apply import filter_connections as filter_connections
from flowbench.investigate.where.apply import filter_flows as filter_flows
from flowbench.investigate.where.completion import complete as complete
from flowbench.investigate.where.on_cube import cube_condition as cube_condition
from flowbench.investigate.where.on_inventory import filter_inventory as filter_inventory
from flowbench.investigate.where.parser import parse as parse
from flowbench.investigate.where.syntax import EVERYTHING as EVERYTHING
from flowbench.investigate.where.syntax import And as And
from flowbench.investigate.where.syntax import Comparison as Comparison
from flowbench.investigate.where.syntax import Expression as Expression
from flowbench.investigate.where.syntax import FilterError as FilterError
from flowbench.investigate.where.syntax import Or as Or
from flowbench.investigate.where.syntax import comparisons as comparisons
from flowbench.investigate.where.syntax import format_filter as format_filter
from flowbench.investigate.where.syntax import quote as quote
from flowbench.investigate.where.syntax import terms_of as terms_of
