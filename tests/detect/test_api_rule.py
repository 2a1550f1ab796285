"""A rule's event names, and the values that every rule has to have."""

from __future__ import annotations

import re

import pytest

from flowbench.detect.api_matches import RULES
from flowbench.detect.api_rule import Rule
from flowbench.detect.finding import SEVERITIES


def test_event_names_are_separated_by_spaces() -> None:
    assert Rule("x", "Impact", "T1485", "low", "A B", "Why.").names == {"A", "B"}
    assert Rule("x", "Impact", "T1485", "low", "", "Why.").names == frozenset()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_rule_is_complete(rule: Rule) -> None:
    assert re.fullmatch(r"T\d{4}(\.\d{3})?", rule.technique)
    assert rule.severity in SEVERITIES[:3]
    assert rule.tactic == rule.tactic.capitalize()
    assert all(re.fullmatch(r"[A-Z][A-Za-z]+", name) for name in rule.names)
