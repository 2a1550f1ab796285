"""Incidents: their steps follow one another, and the evidence agrees with the key."""

from __future__ import annotations

import pytest

from flowbench.scenario.cloudtrail import time_of
from flowbench.scenario.exercises.incidents import INCIDENTS
from flowbench.scenario.exercises.recorder import Recorder
from tests.scenario.exercises.conftest import simulated

WITH_FACTS = [name for name in INCIDENTS if name not in ("benign-but-odd", "nothing-happened")]


def times(recorder: Recorder, *activities: str) -> list[int]:
    return [fact.time for fact in recorder.key.facts if fact.activity in activities]


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("name", WITH_FACTS)
def test_each_api_fact_has_its_event(name: str, seed: int) -> None:
    recorder = simulated(name, seed)
    logged = {(event["eventName"], time_of(event)) for event in recorder.events}
    stated = {(f.activity, f.time) for f in recorder.key.facts if f.kind == "api"}
    assert stated <= logged
    names = {alert["type"] for alert in recorder.alerts}
    assert {f.activity for f in recorder.key.facts if f.kind == "alert"} == names
    asked = {query["query_name"] for query in recorder.queries}
    assert {f"{f.object}." for f in recorder.key.facts if f.kind == "dns"} <= asked


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("name", WITH_FACTS)
def test_traffic_facts_are_connections(name: str, seed: int) -> None:
    recorder = simulated(name, seed)
    began = {(x.initiator, x.responder, int(x.start)) for x in recorder.connections}
    for fact in recorder.key.facts:
        if fact.kind != "traffic" or fact.activity.endswith("ends") or fact.object is None:
            continue
        assert (fact.actor, fact.object, fact.time) in began, fact


def test_a_host_mines_after_the_operator_logged_in() -> None:
    recorder = simulated("crypto-mining")
    (session,) = times(recorder, "administrative session")
    (begin,), (end,) = times(recorder, "mining begins"), times(recorder, "mining ends")
    (stopped,) = times(recorder, "StopInstances")
    assert session < begin < end <= stopped


def test_an_insider_calls_from_one_address_that_is_not_the_office() -> None:
    recorder = simulated("insider")
    (home,) = [i.value for i in recorder.key.indicators if i.value.count(".") == 3][:1]
    callers = {
        event["userIdentity"]["arn"]
        for event in recorder.events
        if event["sourceIPAddress"] == home
    }
    assert len(callers) >= 2
    assert home != recorder.organisation.office


def test_a_switched_off_trail_has_no_events_until_it_is_on_again() -> None:
    recorder = simulated("logging-switched-off")
    (stopped,) = times(recorder, "StopLogging")
    (resumed,) = times(recorder, "UpdateAccessKey")
    between = [event for event in recorder.events if stopped + 130 < time_of(event) < resumed - 130]
    assert not between
    (vpc,) = [f.actor for f in recorder.key.facts if f.activity == "logging gap"]
    (gap,) = times(recorder, "logging gap")
    hosts = {h.interface for h in recorder.organisation.hosts if h.vpc_id == vpc}
    ends = [record.end for record in recorder.records() if record.text.split(" ")[2] in hosts]
    assert hosts
    assert gap - 700 < max(ends) <= gap


def test_movement_is_from_host_to_host_in_order() -> None:
    recorder = simulated("lateral-movement")
    (session,) = [f for f in recorder.key.facts if f.activity == "administrative session"]
    first, second = [f for f in recorder.key.facts if f.activity == "internal session"]
    assert session.object == first.actor
    assert first.object == second.actor
    assert session.time < first.time < second.time
