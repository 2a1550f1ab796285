"""What flow logging costs: volume measured from records, priced by a dated table."""

from flowbench.pricing.costs import COSTS, cost
from flowbench.pricing.prices import PriceTable, read_prices, shipped_prices
from flowbench.pricing.savings import SAVINGS, savings
from flowbench.pricing.volume import (
    FIELDS,
    MONTHS,
    VOLUMES,
    extrapolate,
    measure,
    measure_fields,
)

__all__ = [
    "COSTS",
    "FIELDS",
    "MONTHS",
    "SAVINGS",
    "VOLUMES",
    "PriceTable",
    "cost",
    "extrapolate",
    "measure",
    "measure_fields",
    "read_prices",
    "savings",
    "shipped_prices",
]
