"""A policy's verdict on countries, and its documentation."""

from __future__ import annotations

import pytest

from flowbench.errors import InputError
from flowbench.segmentation import parse_policy
from flowbench.segmentation.policy import PREDEFINED_GROUPS, Policy


@pytest.mark.parametrize(
    ("countries", "allowed", "denied"),
    [
        ({}, "CH KP", ""),
        ({False: frozenset({"KP"})}, "CH", "KP"),
        ({True: frozenset({"CH", "DE"})}, "CH DE", "KP"),
        ({True: frozenset({"CH", "KP"}), False: frozenset({"KP"})}, "CH", "KP DE"),
    ],
)
def test_countries_allowed_and_denied(countries, allowed: str, denied: str) -> None:
    policy = Policy({}, (), allow_by_default=True, countries=countries)
    assert all(policy.allows(code) for code in allowed.split())
    assert not any(policy.allows(code) for code in denied.split())


def test_predefined_names_can_be_used_but_not_defined() -> None:
    for name in PREDEFINED_GROUPS:
        rule = f"groups: {{a: {{vpcs: vpc-1}}}}\nrules: [{{from: a, to: {name}, verdict: deny}}]"
        assert parse_policy(rule, "p").rules[0].responders == (name,)
        with pytest.raises(InputError, match="predefined name"):
            parse_policy(f"groups: {{{name}: {{vpcs: vpc-1}}}}\nrules: []", "p")
