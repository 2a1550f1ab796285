"""The attacker's and the responder's API calls in the Winterday evidence."""

from __future__ import annotations

import random
import re

from flowbench.scenario import winterday_api_events, winterday_facts
from flowbench.scenario.network import Network, build


def test_identities_and_source_addresses_are_as_in_cloudtrail(events) -> None:
    for event in events:
        identity, address = event["userIdentity"], event["sourceIPAddress"]
        kind = {"IAMUser": "AKIA", "AssumedRole": "ASIA"}.get(identity["type"])
        if event["eventName"] == "ConsoleLogin":
            assert "accessKeyId" not in identity  # a password, not a key
        elif kind:
            assert re.fullmatch(rf"{kind}EXAMPLE[A-Z0-9]{{9}}", identity["accessKeyId"])
        # Only a call through a VPC endpoint has a private source address.
        assert address.startswith("10.") == ("vpcEndpointId" in event)
    sessions: dict[str, set[str]] = {}
    for event in events:
        if event["userIdentity"]["type"] == "AssumedRole":
            identity = event["userIdentity"]
            sessions.setdefault(identity["accessKeyId"], set()).add(identity["arn"])
    assert {len(arns) for arns in sessions.values()} == {1}


def test_the_attacker_creates_a_user_and_launches_an_instance(events, answers) -> None:
    attacker = [e for e in events if e["sourceIPAddress"] == answers["user"]["source_address"]]
    users = {e["userIdentity"]["userName"] for e in attacker}
    assert users == {answers["user"]["created_by"], answers["user"]["name"]}
    changes = [(e["eventName"], e.get("errorCode")) for e in attacker if not e["readOnly"]]
    assert sorted(changes, key=str) == [
        ("AttachUserPolicy", None),
        ("AuthorizeSecurityGroupIngress", None),
        ("CreateAccessKey", "AccessDenied"),
        ("CreateAccessKey", None),
        ("CreateUser", None),
        ("RunInstances", "Client.VcpuLimitExceeded"),
        ("RunInstances", None),
    ]


def test_the_responder_deactivates_the_key_and_stops_the_instance(events, answers) -> None:
    stop = next(e for e in events if e["eventName"] == "StopInstances")
    key = next(e for e in events if e["eventName"] == "UpdateAccessKey")
    assert stop["eventTime"] == answers["stopped"] > key["eventTime"]
    (instance,) = stop["requestParameters"]["instancesSet"]["items"]
    assert instance == {"instanceId": answers["instance"]}
    assert key["requestParameters"]["accessKeyId"] == answers["user"]["access_key"]


def test_the_incident_does_not_depend_on_the_seed() -> None:
    network = Network([*build().hosts, winterday_facts.MINER])

    def attacker_events(seed: int) -> list[dict]:
        events = winterday_api_events.events(network, random.Random(seed))
        return [e for e in events if e["sourceIPAddress"] == winterday_facts.ATTACKER]

    assert attacker_events(1) == attacker_events(2)
