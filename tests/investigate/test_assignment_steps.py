"""The steps from an address to its interface, instance and the call that created them."""

from __future__ import annotations

from flowbench.case import Case
from flowbench.investigate.assignment_steps import AssignmentStepBuilder


def test_an_unknown_address_has_gaps_but_an_external_one_has_no_creator(
    credential_case: Case,
) -> None:
    builder = AssignmentStepBuilder(credential_case, "203.0.113.9")
    assert builder.add_assignment(None) is None
    assert builder.add_creation(None) is None
    gaps = builder.done().gaps
    assert gaps[0] == "No inventory lists an interface with 203.0.113.9."
    assert gaps[1].endswith("names 203.0.113.9; its creator is unknown.")
    builder = AssignmentStepBuilder(credential_case, "203.0.113.9")
    builder.is_external = True
    assert builder.add_creation(None) is None
    assert builder.done().gaps == []
