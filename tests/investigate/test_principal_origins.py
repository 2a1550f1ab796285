"""Who created a principal: users, roles, keys and sessions."""

from __future__ import annotations

from flowbench.case import Case
from flowbench.investigate.principal_origins import describe_origins, origin_calls
from tests.investigate.credentials import ACCOUNT, OTHER_ACCOUNT


def origins(case: Case, *tokens: str) -> list[str | None]:
    return [row.origin["event_id"] for row in describe_origins(case, origin_calls(case, tokens))]


def test_who_created_each_kind(credential_case: Case) -> None:
    assert origins(credential_case, f"role {ACCOUNT} backdoor") == ["m1", "m2"]
    assert origins(credential_case, f"session {ACCOUNT} backdoor/x") == ["m1", "m2"]
    assert origins(credential_case, f"user {ACCOUNT} bob", "key AKIABOB") == ["b1", "b2"]
    assert origins(credential_case, "key ASIATRUSTED") == ["x1"]  # not x2, which names no caller


def test_of_another_account_or_of_its_own_there_is_none(credential_case: Case) -> None:
    assert origins(credential_case, f"role {OTHER_ACCOUNT} backdoor") == []
    assert origins(credential_case, f"user {ACCOUNT} loop-a", "key AKIALOOPB") == []
    assert origins(credential_case) == []


def test_a_role_names_whom_it_trusts(credential_case: Case) -> None:
    first, *_others = describe_origins(
        credential_case, origin_calls(credential_case, [f"role {ACCOUNT} backdoor"])
    )
    assert first.description == (
        "mallory called CreateRole on backdoor (trusts account 999988887777) from 192.0.2.66."
    )
