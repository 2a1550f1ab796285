"""What came of credentials: keys, users, roles, instances, and the limits of following them."""

from __future__ import annotations

import pytest

from flowbench.case import Case
from flowbench.investigate import derived as module
from flowbench.investigate.api_events import read_events
from flowbench.investigate.derived import Derived, follow_credentials
from tests.investigate.credentials import ACCOUNT


def follow(case: Case, *tokens: str, **given: list[str]) -> Derived:
    return follow_credentials(case, case.api_events, tokens, **given)


def test_created_roles_users_keys_and_instances_are_followed(credential_case: Case) -> None:
    found = follow(credential_case, f"user {ACCOUNT} mallory")
    assert found.tokens == {
        f"role {ACCOUNT} backdoor", f"user {ACCOUNT} bob", "key AKIABOB", "instance i-0feed0001",
    }  # fmt: skip
    assert found.instances == ["i-0feed0001"]
    assert found.limit is None
    assert [event.event_id for event in read_events(found.grants)] == ["m1", "m3", "b1", "b2"]


def test_only_the_kinds_that_are_wanted(credential_case: Case) -> None:
    assert follow(credential_case, f"user {ACCOUNT} mallory", kinds=["key"]).tokens == set()


def test_a_key_that_only_the_other_account_records(credential_case: Case) -> None:
    assert follow(credential_case, f"user {ACCOUNT} eve").tokens == {"key ASIATRUSTED"}


def test_keys_that_issue_each_other_end_it(credential_case: Case) -> None:
    found = follow(credential_case, "key AKIALOOPA")
    assert (found.tokens, found.limit) == ({"key AKIALOOPB"}, None)


def test_the_limits_are_stated(credential_case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    found = follow(credential_case, "key ASIA000")
    assert found.tokens == {f"key ASIA{n:03}" for n in range(1, 9)}
    assert found.limit == "Derived credentials were followed for 8 hops only."
    last = read_events(found.grants)[-1]
    assert last.event_id == "hop008"  # it is stated, though not followed
    monkeypatch.setattr(module, "MOST_CREDENTIALS", 3)
    few = follow(credential_case, "key ASIA000")
    assert few.limit == "More than 3 credentials were derived: others may not be followed."


def test_nothing_came_of_it(credential_case: Case) -> None:
    found = follow(credential_case, "key AKIAUNKNOWN")
    assert (found.tokens, found.instances, found.grants) == (set(), [], None)
