"""Policies that a case keeps: not one without rules and countries."""

from __future__ import annotations

import pytest

from flowbench.case import Case
from flowbench.errors import InputError

RULES = "groups:\n  web: {addresses: [10.0.0.1]}\nrules:\n  - {from: web, to: any, verdict: deny}\n"


@pytest.mark.parametrize(
    "text",
    [
        *("", "# nothing", "groups: {}", "groups: {web: {addresses: [10.0.0.1]}}", "rules: []"),
        *("rules:", "countries: {}", "default: deny", "- rules", "rules", "{", "a: [" * 2_000),
        "rules: []\ncountries: {}\n",
    ],
)
def test_a_policy_that_decides_nothing_is_refused(tmp_path, text) -> None:
    case = Case.create(tmp_path / "case")
    with pytest.raises(InputError, match="segmentation policy"):
        case.set_policy(text)
    assert case.policy is None


@pytest.mark.parametrize(
    "text",
    [RULES, "countries: {deny: [KP]}", "{countries: {allow: [CH]}}", f"{RULES}countries: {{}}"],
)
def test_others_are_kept_as_they_are(tmp_path, text) -> None:
    case = Case.create(tmp_path / "case")
    case.set_policy(text)
    assert case.policy == text
