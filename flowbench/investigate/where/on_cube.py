"""Filter expressions on the cube of a case, where its dimensions answer them exactly.

They do not answer what a single connection has (bytes, packets, records, duration, source port, the
recording interface), times within a period of the cube, and assignments of addresses that several
had in turn.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import ibis

from flowbench.case.cube import DIRECTIONS, Cube
from flowbench.investigate.where.apply import Rows, build_condition
from flowbench.investigate.where.ends import End, NotCounted, Test
from flowbench.investigate.where.fields import SIDES, Field
from flowbench.investigate.where.syntax import Expression
from flowbench.investigate.where.values import Value

if TYPE_CHECKING:
    from flowbench.case import Case


@dataclass(frozen=True)
class _NumberedEnd(End):
    """An end whose address is a number; conditions are asked of the cube's addresses."""

    number: ibis.Value

    def has_address(self, values: Iterable[Value]) -> ibis.Value:
        return self._is_any(super().has_address(values))

    def has_value(self, field: Field, test: Test) -> ibis.Value:
        return self._is_any(super().has_value(field, test))

    def _is_any(self, condition: ibis.Value) -> ibis.Value:
        return self.number.isin(self.table.filter(condition).number)


def cube_condition(case: Case, where: str | Expression) -> ibis.Value | None:
    """Return whether a cell of the case's cube matches; None if the cube cannot answer it.

    Raises:
        FilterError: The text cannot be read.
    """
    cube = case.cube
    cells = cube.cells
    columns = {
        "dport": (cells.service_port,),
        "port": (cells.service_port,),
        "proto": (cells.protocol,),
        "action": (cells.rejected.ifelse("REJECT", "ACCEPT"),),
        "direction": (cells.direction.cases(*enumerate(DIRECTIONS)),),
        "rejected": (cells.rejected,),
        "answered": (cells.answered,),
        "intermediate": (cells.intermediate,),
    }
    ends: dict[str, End] = {
        side: _NumberedEnd(case, cube.addresses, ("address",), None, True, number)
        for side, number in zip(SIDES, (cells.initiator, cells.responder), strict=True)
    }

    def number_of(time: datetime) -> ibis.Value:
        return ibis.literal(_number_of(cube, time), type="int32")

    rows = Rows(cells, columns, cells.period, cells.last_period, ends, time=number_of)
    try:
        return build_condition(where, rows)
    except NotCounted:
        return None


def _number_of(cube: Cube, time: datetime) -> int:
    number = cube.number_of(time)
    if number is None:
        raise NotCounted("the time is within a period of the cube")
    return number
