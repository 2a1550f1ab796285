"""The malicious activity of generated intrusions, in the records."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowbench.scenario.intrusions import FORMS
from tests.scenario.test_intrusions import planted, records


def test_a_campaign_calls_an_address_that_nobody_called_before(
    intrusion_folders: dict[str, Path],
) -> None:
    facts = [fact for fact in planted(intrusion_folders["private"]) if fact["kind"] == "campaign"]
    (peer,) = {peer for fact in facts for peer in fact["dst"]}
    assert len({fact["src"] for fact in facts}) == len(facts) == 10
    frame = records(intrusion_folders["private"])
    called = frame[frame["dstaddr"] == peer]
    assert set(called["srcaddr"]) == {fact["src"] for fact in facts}
    span = frame["end"].max() - frame["start"].min()
    assert called["start"].min() - frame["start"].min() > 0.25 * span


def test_an_operator_logs_in_before_the_host_mines(intrusion_folders: dict[str, Path]) -> None:
    facts = {fact["kind"]: fact for fact in planted(intrusion_folders["public"])}
    session, mining = facts["remote-access"], facts["mining"]
    assert session["dst"] == [mining["src"]]
    frame = records(intrusion_folders["public"])
    inbound = frame[(frame["srcaddr"] == session["src"]) & (frame["dstport"] == session["port"])]
    answered = frame[(frame["dstaddr"] == session["src"])]
    mined = frame[(frame["srcaddr"] == mining["src"]) & (frame["dstaddr"] == mining["dst"][0])]
    assert len(answered) > 0
    assert inbound["end"].max() < mined["start"].max()
    assert inbound["start"].min() < mined["start"].min()


def test_sizes_are_varied_or_nearly_equal(intrusion_folders: dict[str, Path]) -> None:
    frame, facts = records(intrusion_folders["private"]), planted(intrusion_folders["private"])
    ratio = {}
    for fact in facts:
        if fact["kind"] in ("beacon-varied", "campaign"):
            sent = frame[(frame["srcaddr"] == fact["src"]) & (frame["dstaddr"] == fact["dst"][0])]
            per_check_in = sent.groupby("srcport")["bytes"].sum()
            ratio[fact["kind"]] = per_check_in.quantile(0.95) / per_check_in.quantile(0.05)
    assert ratio["campaign"] < 1.1
    assert ratio["beacon-varied"] > 10


@pytest.mark.parametrize(("kind", "protocol"), [("scan-icmp", 1), ("scan-udp", 17)])
@pytest.mark.parametrize("form", FORMS)
def test_sweeps_try_hosts_that_are_there_and_others(
    intrusion_folders: dict[str, Path], form: str, kind: str, protocol: int
) -> None:
    (fact,) = [fact for fact in planted(intrusion_folders[form]) if fact["kind"] == kind]
    frame = records(intrusion_folders[form])
    own = frame[(frame["interface-id"] == fact["interface"]) & (frame["protocol"] == protocol)]
    sent = own[(own["srcaddr"] == fact["src"]) & own["dstaddr"].isin(fact["dst"])]
    assert set(sent["dstaddr"]) == set(fact["dst"])
    assert len(fact["dst"]) > 15
    replied = own[(own["dstaddr"] == fact["src"]) & own["srcaddr"].isin(fact["dst"])]
    if protocol == 1:
        assert replied["srcaddr"].nunique() >= fact["answered"] > 0
    # Nobody has most of these addresses, so no interface logs them.
    logged = frame[
        frame["dstaddr"].isin(fact["dst"]) & (frame["interface-id"] != fact["interface"])
    ]
    assert 0 < logged["dstaddr"].nunique() < len(fact["dst"])
