"""Usual traffic: services that are there, at all hours and in working hours."""

from __future__ import annotations

from flowbench.scenario.exercises.recorder import Recorder
from flowbench.scenario.exercises.usual_traffic import call_service


def test_all_is_between_hosts_services_and_clients(recorder: Recorder) -> None:
    organisation = recorder.organisation
    known = {host.address for host in organisation.hosts} | set(organisation.services.values())
    unknown = [
        x.initiator if x.initiator not in known else x.responder
        for x in recorder.connections
        if not {x.initiator, x.responder} <= known
    ]
    assert {address.rsplit(".", 2)[0] for address in unknown} == {"198.18", "198.19"}
    hours = {int(x.start) % 86_400 // 3_600 for x in recorder.connections}
    assert hours == set(range(24))


def test_sessions_with_the_bastion_are_from_the_office(recorder: Recorder) -> None:
    (bastion,) = recorder.organisation.with_role("bastion")
    sessions = [
        x for x in recorder.connections if x.responder == bastion.address and x.seconds > 60
    ]
    assert {(x.initiator, x.port) for x in sessions} == {(recorder.organisation.office, 22)}
    assert all(8 <= x.start % 86_400 / 3_600 <= 17 for x in sessions)


def test_a_third_of_the_look_ups_are_not_cached(recorder: Recorder) -> None:
    recorder.queries.clear()
    host = recorder.organisation.pick("web")
    for at in range(1_000, 1_030):
        call_service(recorder, host, "metrics", at, 100, 100)
    assert len(recorder.queries) == 10
    (name,) = {query["query_name"] for query in recorder.queries}
    assert name.startswith("metrics.")
