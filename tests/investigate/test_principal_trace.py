"""The trace of a principal: who created it, what it did, and what came of that."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from flowbench.case import Case
from flowbench.errors import InputError
from flowbench.investigate import attribution
from flowbench.investigate.filters import Filters
from flowbench.investigate.trace import Trace
from tests.investigate.credentials import ACCOUNT, OTHER_ACCOUNT
from tests.traffic import T0


def lines(trace: Trace, *steps: str) -> list[str]:
    return [step.description for step in trace.of(*steps)]


@pytest.fixture(scope="module")
def mallory(credential_case: Case) -> Trace:
    return attribution.trace(credential_case, "mallory")


def test_created_roles_users_and_instances_are_followed(mallory: Trace) -> None:
    assert [step.event_id for step in mallory.of("principal activity")] == ["m1", "m2", "m3", "m4"]
    derived = lines(mallory, "derived activity")
    assert derived[0].startswith("Persistence (T1136.003): backdoor/x called CreateUser")
    assert any("web/i-0feed0001 called ListBuckets" in line for line in derived)
    assert any(
        line.startswith("Collection (T1530): bob called GetObject 5x") and " on data " in line
        for line in derived
    )
    assert set(mallory.activity_ids) == {
        "m1", "m2", "m3", "m4", "b1", "b2", "g0", "g1", "g2", "g3", "g4", "i1",
    }  # fmt: skip


def test_what_came_of_it_and_where_its_addresses_occur(mallory: Trace) -> None:
    made = {step.event_id: step.description for step in mallory.of("consequence")}
    assert set(made) == {"m1", "m2", "m3", "b1", "b2"}
    assert made["b2"] == (
        "CreateAccessKey created AKIABOB at 2026-09-01 00:00:11 UTC; it was deleted at 2026-09-01"
        " 00:00:50 UTC by mallory."
    )
    assert [step.value for step in mallory.of("source address")] == ["192.0.2.66"]
    derived = [step.value for step in mallory.of("derived address")]
    assert derived == ["203.0.113.99", "203.0.113.98", "192.0.2.66"]
    (usage,) = mallory.of("address in flows")
    assert (usage.value, usage.file) == ("203.0.113.99", "flows.log")
    assert all(step.file for step in mallory.steps if step.step != "gap")


@pytest.mark.parametrize(
    ("what", "created_by", "gap"),
    [
        ("backdoor", ["m1", "m2"], None),
        ("bob", ["b1", "b2"], None),
        ("AKIABOB", ["b1", "b2"], None),
        ("web/i-0feed0001", [], None),
        ("eve", [], "No event in the evidence shows who created eve."),
        ("trusted/s1", ["x1"], None),
    ],
)
def test_who_created_it(
    credential_case: Case, what: str, created_by: list[str], gap: str | None
) -> None:
    trace = attribution.trace(credential_case, what)
    assert [step.event_id for step in trace.of("created by")] == created_by
    assert [text for text in trace.gaps if " shows who " in text] == ([gap] if gap else [])
    if what.startswith("web"):
        assert [step.event_id for step in trace.of("role chain")] == ["m3"]
    if what == "eve":
        (session,) = trace.of("derived credential")
        assert session.event_id == "x1"


def test_a_name_in_two_accounts(credential_case: Case) -> None:
    with pytest.raises(InputError, match=rf"twin \(account {OTHER_ACCOUNT}\)"):
        attribution.trace(credential_case, "twin")
    trace = attribution.trace(credential_case, f"arn:aws:iam::{ACCOUNT}:user/twin")
    assert trace.activity_ids == ("t1",)


def test_a_role_of_many_sessions_and_the_limits(credential_case: Case) -> None:
    trace = attribution.trace(credential_case, "ops")
    assert lines(trace, "created by") == []  # its sessions assumed each other
    assert lines(trace, "access key")[-1].startswith("13 more access keys: ASIA005")
    (folded,) = lines(trace, "derived credential")
    assert folded.startswith("18 sessions of ops called AssumeRole 18x at 2026-09-01 00:01 UTC")
    first = attribution.trace(credential_case, "ASIA000")
    assert lines(first, "limit") == ["Derived credentials were followed for 8 hops only."]


def test_a_period_selects_the_calls_but_not_who_created_it(credential_case: Case) -> None:
    period = Filters(datetime.fromtimestamp(T0 + 21, UTC), datetime.fromtimestamp(T0 + 23, UTC))
    trace = attribution.trace(credential_case, "bob", filters=period)
    assert trace.activity_ids == ("g1", "g2")
    assert [step.event_id for step in trace.of("created by")] == ["b1", "b2"]
    assert trace.of("address in flows") == []
