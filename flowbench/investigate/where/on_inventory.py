"""Filter expressions on the address inventory: which hosts have what fields of ends name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import ibis

from flowbench.investigate.where.apply import Rows, build_condition
from flowbench.investigate.where.ends import ASSIGNED, End, Test
from flowbench.investigate.where.fields import Field
from flowbench.investigate.where.syntax import Expression

if TYPE_CHECKING:
    from flowbench.case import Case


@dataclass(frozen=True)
class _InventoryEnd(End):
    """An end that is a row of the inventory, with the assignment of that row."""

    def _is_assigned(self, field: Field, test: Test) -> ibis.Value:
        column = self.table.tags.get(field.key) if field.key else self.table[ASSIGNED[field.base]]
        return test(column).fill_null(False)


def filter_inventory(case: Case, where: Expression) -> ibis.Table:
    """Return the rows of the address inventory that match.

    Args:
        case: The case.
        where: Conditions on ends, all with the side ``src`` (``host_selectors.at_side``).
    """
    rows = case.addresses
    end = _InventoryEnd(case, rows, ("address",), None, has_zones=True)
    nothing = ibis.literal(None)
    return rows.filter(build_condition(where, Rows(rows, {}, nothing, nothing, {"src": end})))
