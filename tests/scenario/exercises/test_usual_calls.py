"""Usual API events: people call from the office, instances through their NAT gateway."""

from __future__ import annotations

from flowbench.scenario.exercises.recorder import Recorder
from flowbench.scenario.exercises.usual_calls import egress_address, instance_role


def test_people_call_from_the_office(recorder: Recorder) -> None:
    people = [e for e in recorder.events if e["userIdentity"]["type"] == "IAMUser"]
    assert {e["sourceIPAddress"] for e in people} == {recorder.organisation.office}
    assert all(e["readOnly"] or e["eventName"] == "ConsoleLogin" for e in people)


def test_instances_call_through_their_gateway(recorder: Recorder) -> None:
    organisation = recorder.organisation
    host = organisation.pick("web")
    (gateway,) = organisation.with_role("nat")
    assert egress_address(recorder, host) == gateway.public
    (bastion,) = organisation.with_role("bastion")
    assert egress_address(recorder, bastion) == bastion.public
    session = str(instance_role(host, 0)["arn"]).rpartition("/")[2]
    assert session == host.instance
    own = [e for e in recorder.events if e["userIdentity"].get("arn", "").endswith(session)]
    assert {e["sourceIPAddress"] for e in own} <= {gateway.public}
