"""Changes to interfaces out of CloudTrail: each call, and calls that are broken or failed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import ibis
import pytest

from flowbench.enrich.interface_events import READERS, InterfaceEvent, Origin, read_events
from flowbench.loaders.aws import cloudtrail

NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)
INTERFACE = {"networkInterfaceId": "eni-1"}


def events(name: str, request: Any = None, response: Any = None, **more: Any) -> list[Any]:
    row = {"event_name": name, "event_time": NOON, "evidence_id": "s", "line": 1, "item": 2}
    row |= {"request": json.dumps(request), "response": json.dumps(response)} | more
    return read_events(ibis.memtable(cloudtrail.TABLE.rows([row])))


def kinds(found: list[InterfaceEvent]) -> list[tuple[Any, ...]]:
    return [(e.kind, e.interface_id, e.instance_id, e.addresses) for e in found]


def test_an_instance_with_two_interfaces() -> None:
    instance = {
        "instanceId": "i-1", "privateIpAddress": "10.0.0.5", "vpcId": "vpc-1",
        "launchTime": 1_788_264_060_000,
        "networkInterfaceSet": {"items": [
            {"networkInterfaceId": "eni-1", "attachment": {"deleteOnTermination": True,
                                                           "attachmentId": "eni-attach-1"}},
            {"networkInterfaceId": "eni-2", "privateIpAddress": "10.0.0.6"},
            {"description": "without an id"},
        ]},
    }  # fmt: skip
    tags = {
        "items": [
            {"resourceType": "instance", "tags": [{"key": "Name", "value": "web"}]},
            {"resourceType": "volume", "tags": [{"key": "Name", "value": "x"}]},
        ]
    }
    first, second = events(
        "RunInstances", {"tagSpecificationSet": tags}, {"instancesSet": {"items": [instance]}}
    )
    assert kinds([first, second]) == [
        ("created", "eni-1", "i-1", ["10.0.0.5"]),
        ("created", "eni-2", "i-1", ["10.0.0.6"]),
    ]
    assert first.at == datetime(2026, 9, 1, 12, 1, tzinfo=UTC)
    assert (first.attachment_id, first.origin) == ("eni-attach-1", Origin("s", 1, 2))
    assert (first.details["ends_with_instance"], first.details["vpc_id"]) == (True, "vpc-1")
    assert second.details["ends_with_instance"] is None
    assert first.tags == {"Name": "web"}


def test_an_instance_whose_interfaces_are_not_listed() -> None:
    instances = [{"instanceId": "i-1", "privateIpAddress": "10.0.0.5"}, {"instanceId": "i-2"}]
    (event,) = events("RunInstances", None, {"instancesSet": {"items": instances}})
    assert kinds([event]) == [("created", None, "i-1", ["10.0.0.5"])]
    assert event.at == NOON


@pytest.mark.parametrize(
    ("name", "request_", "response", "more", "expected"),
    [
        ("CreateNetworkInterface", None, {"networkInterface": INTERFACE}, {},
         ("created", "eni-1", None, [])),
        ("AttachNetworkInterface", INTERFACE | {"instanceId": "i-1"}, None, {},
         ("attached", "eni-1", "i-1", [])),
        ("DetachNetworkInterface", {"attachmentId": "eni-attach-1"}, None, {},
         ("detached", None, None, [])),
        ("DeleteNetworkInterface", INTERFACE, None, {}, ("deleted", "eni-1", None, [])),
        ("AssignPrivateIpAddresses", INTERFACE, None, {"addresses": ["10.0.0.7"]},
         ("assigned", "eni-1", None, ["10.0.0.7"])),
        ("UnassignIpv6Addresses", INTERFACE, None, {"addresses": ["2001:db8::1"]},
         ("unassigned", "eni-1", None, ["2001:db8::1"])),
        ("TerminateInstances", None, None, {"instance_ids": ["i-1"]},
         ("terminated", None, "i-1", [])),
        ("CreateTags", {"resourcesSet": {"items": [{"resourceId": "i-1"}]}}, None, {},
         ("tagged", "i-1", None, [])),
    ],
)  # fmt: skip
def test_each_call(name, request_, response, more, expected) -> None:
    assert kinds(events(name, request_, response, **more)) == [expected]
    assert events(name, request_, response, error_code="AccessDenied", **more) == []


@pytest.mark.parametrize("name", sorted(READERS))
@pytest.mark.parametrize("value", [None, 5, "x", [], {"networkInterfaceId": {}}, {"items": [5]}])
def test_calls_without_what_they_need(name: str, value: Any) -> None:
    assert events(name, value, value) == []


def test_other_calls_are_left_out() -> None:
    assert events("StopInstances", None, None, instance_ids=["i-1"]) == []
