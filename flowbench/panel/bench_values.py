"""What the filter line of the hunting bench completes: fields, operators, values of the case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ibis import _

from flowbench.investigate import where

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


class Completion:
    """Completes filters of a case; its values are read when they are first needed."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._values: dict[str, list[str]] | None = None

    def complete(self, text: str, position: object) -> dict[str, Any]:
        """Return text, words, start and end: the words that may take the place of a part of a text.

        Args:
            text: The filter so far.
            position: Where the cursor is in it; its end, if that is no number.
        """
        if self._values is None:
            self._values = known_values(self._case)
        at = position if isinstance(position, int) else len(text)
        words, start, end = where.complete(text, at, self._values)
        return {"text": text, "words": words, "start": start, "end": end}
