"""Assignments of one address: what ends what, and what is left alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from flowbench.enrich.assignment_sequence import Assignment, in_sequence
from flowbench.enrich.interface_events import Origin

NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)


def at(hours: float | None) -> datetime | None:
    return None if hours is None else NOON + timedelta(hours=hours)


def made(interface_id: str, first_sign: float | None, **changes: Any) -> Assignment:
    """Return an assignment with first sign, start and end in hours after noon."""
    start, end = changes.pop("start", first_sign), changes.pop("end", None)
    fields = {
        "address": "10.0.0.5", "interface_id": interface_id, "instance_id": None, "service": None,
        "name": None, "tags": [], "vpc_id": "vpc-1", "subnet_id": None, "account_id": None,
        "public_addresses": [], "valid_from": at(start), "valid_until": at(end),
        "known_from": "logs", "origin": Origin("s", 1, 2), "first_sign": at(first_sign),
        "last_seen": None, "undated": set(), "listed_at": None,
    }  # fmt: skip
    return Assignment(**(fields | changes))


def periods(*assignments: Assignment) -> list[tuple[str | None, Any, Any]]:
    return [(a.interface_id, a.valid_from, a.valid_until) for a in in_sequence(list(assignments))]


def test_the_next_one_ends_the_one_before() -> None:
    found = periods(made("eni-b", 5), made("eni-a", 1, start=None), made("eni-c", 9, end=10))
    assert found == [
        ("eni-a", None, at(5)),
        ("eni-b", at(5), at(9)),
        ("eni-c", at(9), at(10)),
    ]


def test_an_end_before_the_next_start_stays() -> None:
    found = periods(made("eni-a", 1, end=3), made("eni-b", 5))
    assert found == [("eni-a", at(1), at(3)), ("eni-b", at(5), None)]


def test_a_start_that_is_unknown_is_the_end_of_the_one_before() -> None:
    found = periods(made("eni-a", 1), made("eni-b", 5, start=None))
    assert found == [("eni-a", at(1), at(5)), ("eni-b", at(5), None)]


def test_other_vpcs_and_one_answer_are_apart() -> None:
    other = made("eni-b", 5, vpc_id="vpc-2")
    assert periods(made("eni-a", 1), other)[0] == ("eni-a", at(1), None)
    first, second = made("eni-a", 1, undated={"x"}), made("eni-b", 5, undated={"x", "y"})
    assert periods(first, second)[0] == ("eni-a", at(1), None)


def test_what_only_an_undated_inventory_lists_comes_last() -> None:
    listed = made("eni-0", None, undated={"x"})
    seen = made("eni-z", 1, last_seen=at(7))
    assert periods(listed, seen) == [("eni-z", at(1), at(7)), ("eni-0", at(7), None)]
    alone = made("eni-0", None, undated={"x"})
    assert periods(alone) == [("eni-0", None, None)]


def test_of_two_that_start_together_one_is_left() -> None:
    assert periods(made("eni-a", 1), made("eni-b", 1)) == [("eni-b", at(1), None)]


def test_a_row_has_its_origin_and_no_working_columns() -> None:
    row = made("eni-a", 1).to_row()
    assert (row["evidence_id"], row["line"], row["item"]) == ("s", 1, 2)
    assert not {"origin", "first_sign", "last_seen", "undated", "listed_at"} & row.keys()
