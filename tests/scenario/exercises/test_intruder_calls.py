"""Calls of an intruder: each has its fact, and later steps use what earlier ones made."""

from __future__ import annotations

from flowbench.scenario import cloudtrail
from flowbench.scenario.cloudtrail import time_of
from flowbench.scenario.exercises import intruder_calls as calls
from flowbench.scenario.exercises.recorder import Recorder

ADDRESS = "192.0.2.250"


def make(recorder: Recorder) -> calls.Caller:
    recorder.events.clear()
    identity = cloudtrail.user("ada", "AKIAEXAMPLE000000001")
    return calls.make_caller(recorder, identity, ADDRESS)


def facts(recorder: Recorder) -> list[tuple[str, str, str | None]]:
    return [(fact.activity, fact.actor, fact.object) for fact in recorder.key.facts]


def test_a_created_user_has_the_key_that_it_calls_with(recorder: Recorder) -> None:
    new, at = calls.create_user(make(recorder), "eve", 1e9)
    assert facts(recorder) == [
        ("CreateUser", "ada", "eve"),
        ("CreateAccessKey", "ada", "eve"),
        ("AttachUserPolicy", "ada", "eve"),
    ]
    response = recorder.events[1]["responseElements"]["accessKey"]
    assert response["accessKeyId"] == new.identity["accessKeyId"]
    calls.look_around(new, at, calls=3)
    assert {f.actor for f in recorder.key.facts[3:]} == {"eve"}
    values = {indicator.value for indicator in recorder.key.indicators}
    assert {ADDRESS, "eve", new.identity["accessKeyId"]} <= values


def test_a_chained_role_has_the_key_of_the_response(recorder: Recorder) -> None:
    chained = calls.assume_role(make(recorder), "reporting", 1e9)
    credentials = recorder.events[0]["responseElements"]["credentials"]
    assert credentials["accessKeyId"] == chained.identity["accessKeyId"]
    assert chained.name.partition("/")[0] == "reporting"


def test_data_is_read_and_shared(recorder: Recorder) -> None:
    caller = make(recorder)
    calls.read_secrets(caller, ["db-0", "db-1"], 1e9)
    calls.read_objects(caller, "statements", 5, 1e9)
    calls.share_snapshot(caller, 1e9)
    names = [event["eventName"] for event in recorder.events]
    assert names.count("GetSecretValue") == 2
    assert names.count("GetObject") == 5
    activities = [activity for activity, _, _ in facts(recorder)]
    assert activities.count("GetObject") == activities.count("GetSecretValue") == 1
    assert "ModifySnapshotAttribute" in activities


def test_logging_ends_with_the_trail(recorder: Recorder) -> None:
    vpc = recorder.organisation.hosts[0].subnet.vpc
    calls.switch_off_logging(make(recorder), vpc, 1e9)
    assert recorder.events[-1]["eventName"] == "StopLogging"
    ((unlogged, at),) = recorder.unlogged
    (deleted,) = [e for e in recorder.events if e["eventName"] == "DeleteFlowLogs"]
    assert (unlogged, int(at)) == (vpc, time_of(deleted))


def test_a_launched_host_is_in_the_network_and_is_stopped(recorder: Recorder) -> None:
    organisation = recorder.organisation
    host = organisation.hosts.pop()  # as if it were not there yet
    caller = make(recorder)
    at = calls.launch(caller, host, 1e9)
    assert organisation.hosts[-1] is host
    assert recorder.launched == {host.interface: at}
    calls.open_ssh(caller, host, at)
    calls.contain(recorder, at + 60, caller=caller, host=host)
    assert facts(recorder)[-2:] == [
        ("UpdateAccessKey", organisation.responder.name, caller.identity["accessKeyId"]),
        ("StopInstances", organisation.responder.name, host.instance),
    ]
    assert recorder.stopped == {host.interface: at + 360}
