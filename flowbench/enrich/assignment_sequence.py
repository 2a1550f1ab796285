"""Assignments of one address in sequence: each ends where the next one in the same VPC starts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from flowbench.enrich.interface_events import Origin

EARLIEST = datetime.min.replace(tzinfo=UTC)  # sorts what has no time before all that has


@dataclass
class Assignment:
    """An address of an interface and instance in a period, before others of it are compared."""

    address: str
    interface_id: str | None
    instance_id: str | None
    service: str | None
    name: str | None
    tags: list[tuple[str, str]]
    vpc_id: str | None
    subnet_id: str | None
    account_id: str | None
    public_addresses: list[str]
    valid_from: datetime | None
    valid_until: datetime | None
    known_from: str
    origin: Origin
    first_sign: datetime | None  # start, else the first moment at which the interface existed
    last_seen: datetime | None  # of the interface
    undated: set[str]  # evidence ids of undated inventories with the interface
    listed_at: datetime | None  # the earliest time at which one of them can be recorded

    @property
    def key(self) -> str | None:
        """The interface; its instance where the evidence lacks the interface's id."""
        return self.interface_id or self.instance_id

    def to_row(self) -> dict[str, object]:
        """Convert to a row of assignments.TABLE."""
        row = {name: value for name, value in vars(self).items() if name not in _NOT_COLUMNS}
        return row | self.origin._asdict()


_NOT_COLUMNS = {"origin", "first_sign", "last_seen", "undated", "listed_at"}


def in_sequence(assignments: list[Assignment]) -> list[Assignment]:
    """End each assignment of one address where the next one in the same VPC starts."""
    assignments.sort(key=lambda each: (*_sequence_key(each), each.interface_id or ""))
    open_ones: list[Assignment] = []
    for each in assignments:
        start = each.first_sign
        if start is None and each.undated:
            start = each.first_sign = _start_after_others(each, assignments)
        for other in open_ones:
            if start is not None and _is_exclusive(other, each):
                end = other.valid_until = min(other.valid_until or start, start)
                each.valid_from = max(each.valid_from or end, end)
        open_ones = [o for o in open_ones if not (o.valid_until and start) or o.valid_until > start]
        open_ones.append(each)
    # Of two that start at the same moment the first in order has no duration.
    return [
        each
        for each in assignments
        if not (each.valid_from and each.valid_until) or each.valid_from < each.valid_until
    ]


def _start_after_others(each: Assignment, assignments: list[Assignment]) -> datetime | None:
    """The earliest start of an assignment that only undated inventories have; None: unknown."""
    others = [o for o in assignments if o.first_sign and _is_exclusive(o, each)]
    if not others:
        return None
    ends = [o.valid_until or o.last_seen or o.first_sign for o in others]
    return max([each.listed_at or EARLIEST, *filter(None, ends)])


def _sequence_key(each: Assignment) -> tuple[bool, datetime]:
    """Sort by first sign; assignments without, then those only in undated inventories, last."""
    is_late = each.first_sign is None and bool(each.undated)
    return is_late, each.first_sign or (each.listed_at if is_late else None) or EARLIEST


def _is_exclusive(one: Assignment, other: Assignment) -> bool:
    """Whether two assignments cannot have been valid at the same time."""
    in_other_vpc = one.vpc_id and other.vpc_id and one.vpc_id != other.vpc_id
    in_one_answer = one.undated & other.undated
    return not (in_other_vpc or one.key == other.key or in_one_answer)
