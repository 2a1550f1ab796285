"""Whose calls belong together: by account, key, session and instance."""

from __future__ import annotations

import pytest

from flowbench.case import Case
from flowbench.errors import InputError
from flowbench.investigate.api_events import read_events
from flowbench.investigate.identity import calls_of, tokens_of, tokens_of_event
from flowbench.investigate.pivot import resolve
from tests.investigate.credentials import ACCOUNT, OTHER_ACCOUNT


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("mallory", {f"user {ACCOUNT} mallory", f"role {ACCOUNT} mallory", "key AKIAMALLORY"}),
        ("backdoor/x", {f"session {ACCOUNT} backdoor/x", "key ASIASTRANGER"}),
        (f"arn:aws:iam::{OTHER_ACCOUNT}:user/twin", {f"user {OTHER_ACCOUNT} twin", "key AKIAT2"}),
        (
            f"twin (account {OTHER_ACCOUNT})",
            {f"user {OTHER_ACCOUNT} twin", f"role {OTHER_ACCOUNT} twin", "key AKIAT2"},
        ),
        (
            f"arn:aws:iam::{ACCOUNT}:role/backdoor",
            {f"role {ACCOUNT} backdoor", "key ASIASTRANGER"},
        ),
        ("AKIABOB", {"key AKIABOB"}),
    ],
)
def test_the_identity_of_what_an_analyst_names(
    credential_case: Case, text: str, tokens: set[str]
) -> None:
    assert tokens_of(credential_case, resolve(credential_case, text)) == tokens


def test_a_name_in_two_accounts_is_refused_with_the_names(credential_case: Case) -> None:
    with pytest.raises(InputError, match="principal of 2 accounts") as raised:
        resolve(credential_case, "twin")
    assert f"twin (account {OTHER_ACCOUNT})" in str(raised.value)


def test_the_calls_of_each_kind_of_token(credential_case: Case) -> None:
    events = credential_case.api_events

    def called(*tokens: str) -> list[str | None]:
        return [event.event_id for event in read_events(calls_of(events, tokens))]

    assert called("key ASIAINSTANCE") == ["i1"]
    assert called("instance i-0feed0001") == ["i1"]
    assert called(f"role {ACCOUNT} backdoor") == ["b1", "b2"]
    assert called(f"session {ACCOUNT} backdoor/x", f"user {ACCOUNT} twin") == ["t1", "b1", "b2"]
    assert called(f"user {OTHER_ACCOUNT} mallory") == []
    assert called() == []


def test_the_identity_of_a_caller(credential_case: Case) -> None:
    table = credential_case.api_events
    user, session = read_events(table.filter(table.event_id.isin(["t2", "b1"])))
    assert tokens_of_event(user) == {f"user {OTHER_ACCOUNT} twin", "key AKIAT2"}
    assert tokens_of_event(session) == {f"session {ACCOUNT} backdoor/x", "key ASIASTRANGER"}
    bare = user._replace(principal_arn=None, account_id=None, access_key_id=None)
    assert tokens_of_event(bare) == {"user  twin"}
    assert tokens_of_event(bare._replace(principal_name=None)) == set()
