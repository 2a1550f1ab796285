"""Chains of credentials: to the caller in another account, to an instance's launch, and limits."""

from __future__ import annotations

from flowbench.case import Case
from flowbench.investigate.credential_chain import (
    MOST_HOPS,
    find_launch,
    follow_chain,
    instance_of_session,
    read_issuing,
)


def test_the_caller_in_another_account_is_named(credential_case: Case) -> None:
    (event,) = read_issuing(credential_case, ["ASIATRUSTED"])
    assert (event.event_id, event.caller, event.access_key_id) == ("x1", "eve", "AKIAEXAMPLEEVE")
    assert event.new_access_key_id == "ASIATRUSTED"
    (hop,) = follow_chain(credential_case, "ASIATRUSTED").hops
    assert hop.description == (
        "eve called AssumeRole on role/trusted (session s1, issued ASIATRUSTED) from 192.0.2.66"
        " (from account 111122223333 to account 999988887777)."
    )


def test_a_session_of_an_instance_leads_to_its_launch(credential_case: Case) -> None:
    chain = follow_chain(credential_case, "ASIAINSTANCE", "web/i-0feed0001")
    assert [hop.event.event_id for hop in chain.hops] == ["m3"]
    assert chain.hops[0].description.startswith(
        "Session web/i-0feed0001 is named after instance i-0feed0001: mallory called RunInstances"
    )
    assert find_launch(credential_case, "i-0feed0002") is None
    assert instance_of_session("web/i-0feed0001") == "i-0feed0001"
    assert [instance_of_session(name) for name in ("web/x", "i-0feed0001", None)] == [None] * 3


def test_a_longer_chain_states_where_it_was_cut(credential_case: Case) -> None:
    chain = follow_chain(credential_case, "ASIA018")
    assert [hop.event.event_id for hop in chain.hops] == [
        f"hop{n:03}" for n in range(17, 17 - MOST_HOPS, -1)
    ]
    assert chain.limit == (
        "The chain of credentials was followed for 16 calls; a call before them is AssumeRole by"
        " ops/s1."
    )
    assert follow_chain(credential_case, "ASIA016").limit is None


def test_keys_that_issue_each_other_end_the_chain(credential_case: Case) -> None:
    chain = follow_chain(credential_case, "AKIALOOPA")
    assert [hop.event.event_id for hop in chain.hops] == ["l2", "l1", "l2"]
    assert chain.limit == (
        "The chain of credentials returns to AKIALOOPB: loop-b, loop-a issued each other's"
        " credentials."
    )


def test_nothing_to_follow(credential_case: Case) -> None:
    assert follow_chain(credential_case, None).hops == []
    assert follow_chain(credential_case, "AKIAUNKNOWN").hops == []
