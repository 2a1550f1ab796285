"""Values of a case that the filter line of the hunting bench completes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ibis import _

if TYPE_CHECKING:
    from flowbench.case import Case

_MOST = 2_000  # of a field
_COLUMNS = {
    "vpc": "vpc_id",
    "subnet": "subnet_id",
    "account": "account_id",
    "instance": "instance_id",
    "interface": "interface_id",
    "name": "name",
}


def known_values(case: Case) -> dict[str, list[str]]:
    """Return the values of some fields in the inventory, and the keys of tags (``tag:``)."""
    assigned = case.address_assignments

    def values(column: Any) -> list[str]:
        found = assigned.select(value=column).filter(_.value.notnull()).distinct()
        rows = found.order_by("value").limit(_MOST).to_pyarrow()
        return list(rows["value"].to_pylist())

    known = {name: values(assigned[column]) for name, column in _COLUMNS.items()}
    return known | {"tag:": values(assigned.tags.keys().unnest())}
