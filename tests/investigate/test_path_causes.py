"""Causes: each of them when the records fit it, and not when they do not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from flowbench.investigate.path_causes import find_causes
from flowbench.investigate.path_facts import Cause, Path
from flowbench.investigate.path_records import Observation
from flowbench.investigate.path_rules import Ruling

TIME = datetime(2026, 9, 1, tzinfo=UTC)
LOGGED = {"records": 9, "nodata": 0, "skipdata": 0, "long": 0, "accepted": 5, "rejected": 4}
ALLOWS, DENIES, UNKNOWN = Ruling("allows"), Ruling("denies", ("a rule",)), Ruling("unknown")


def seen(place: str, direction: str, action: str = "ACCEPT", **more: Any) -> Observation:
    given: dict[str, Any] = {"records": 2, "late": 0, "syn_acks": None, "resets": None}
    given |= {"without_data": 0, "reject_reasons": (), "first_port": 40_000, "last_port": 40_000}
    given |= {"first_seen": TIME, "last_seen": TIME, "evidence_id": "e", "file": "f", "line": 1}
    return Observation(
        place=place, interface_id=f"eni-{place}", direction=direction, action=action, **given | more
    )


def causes(*observations: Observation, **more: Any) -> list[Cause]:
    ends = ("source", "destination")
    group, acl, route = (more.pop(name, UNKNOWN) for name in ("group", "acl", "route"))
    given: dict[str, Any] = {
        "protocol": "tcp",
        "logged": {name: LOGGED | more.pop(name, {}) for name in ends},
        "interfaces": {name: (f"eni-{name}",) for name in ends},
        "subnets": {name: (f"subnet-{name}",) for name in ends},
        "security_group": lambda *_: group,
        "network_acl": lambda *_: acl,
        "route": lambda *_: route,
    }
    return find_causes(Path("X", "Y", port=443, observations=observations, **given | more))


def kinds(found: list[Cause]) -> list[tuple[str, str, str]]:
    return [(cause.control, cause.place, cause.confidence) for cause in found]


REQUEST = [seen("source", "request"), seen("destination", "request")]
REPLY = [*REQUEST, seen("destination", "reply"), seen("source", "reply")]


@pytest.mark.parametrize(
    ("group", "acl", "of_group", "of_acl"),
    [
        (DENIES, UNKNOWN, "high", "low"),
        (DENIES, ALLOWS, "high", "low"),
        (ALLOWS, DENIES, "low", "high"),
        (ALLOWS, UNKNOWN, "low", "high"),
        (UNKNOWN, UNKNOWN, "medium", "medium"),
        (ALLOWS, ALLOWS, "low", "low"),
        (DENIES, DENIES, "high", "high"),
    ],
)
@pytest.mark.parametrize("place", ["source", "destination"])
def test_a_rejected_request(place, group, acl, of_group, of_acl) -> None:
    found = kinds(causes(seen(place, "request", "REJECT"), group=group, acl=acl))
    assert sorted(found) == [
        ("network ACL", place, of_acl),
        ("security group", place, of_group),
    ]


@pytest.mark.parametrize(
    ("acl", "confidence"), [(DENIES, "high"), (UNKNOWN, "high"), (ALLOWS, "medium")]
)
@pytest.mark.parametrize("place", ["source", "destination"])
def test_a_rejected_reply_to_an_accepted_request(place, acl, confidence) -> None:
    found = causes(*REQUEST, seen(place, "reply", "REJECT"), acl=acl)
    assert kinds(found) == [("network ACL", place, confidence)]


def test_a_rejected_reply_without_its_request_may_be_either() -> None:
    found = kinds(causes(seen("destination", "reply", "REJECT")))
    assert {control for control, *_ in found} == {"network ACL", "security group"}


def test_the_reason_of_the_records_counts() -> None:
    found = causes(seen("destination", "request", "REJECT", reject_reasons=("BPA",)), group=DENIES)
    assert kinds(found) == [("VPC Block Public Access", "destination", "high")]
    assert found[0].check == "aws ec2 describe-vpc-block-public-access-options"


def test_a_rejection_at_an_interface_of_neither_end() -> None:
    found = causes(REQUEST[0], seen("between", "request", "REJECT"))
    assert kinds(found) == [("intermediate device", "between", "medium")]
    assert found[0].check.endswith("--network-interface-ids eni-between")
    late = causes(*REPLY, seen("between", "request", "REJECT", late=2))
    assert [cause.control for cause in late] == ["none"]


def test_late_packets_are_no_rejection() -> None:
    found = causes(*REPLY, seen("destination", "request", "REJECT", late=2))
    assert [cause.control for cause in found] == ["none"]


@pytest.mark.parametrize(
    ("route", "confidence"), [(DENIES, "high"), (UNKNOWN, "medium"), (ALLOWS, "low")]
)
def test_lost_requests_and_replies(route, confidence) -> None:
    lost = causes(REQUEST[0], route=route)
    assert kinds(lost) == [("route", "between", confidence)]
    assert lost[0].check.endswith("Name=association.subnet-id,Values=subnet-source")
    lost = causes(*REPLY[:3], route=route)
    assert kinds(lost) == [("return path", "between", confidence)]
    assert lost[0].check.endswith("Name=association.subnet-id,Values=subnet-destination")


def test_an_end_without_records_or_interface() -> None:
    assert kinds(causes(REQUEST[0], destination={"records": 0})) == [
        ("logging", "destination", "high")
    ]
    ends = {"source": ("eni-source",), "destination": ()}
    assert kinds(causes(REQUEST[0], interfaces=ends)) == [
        ("unknown beyond the source", "between", "medium")
    ]
    # Replies at the destination, and a source that is not logged.
    assert kinds(causes(*REPLY[:3], source={"records": 0})) == [("none", "destination", "medium")]


def test_no_reply() -> None:
    assert kinds(causes(*REQUEST)) == [("listener", "destination", "medium")]
    assert kinds(causes(*REQUEST, protocol="udp")) == [("listener", "destination", "low")]
    hidden = causes(*REQUEST, acl=DENIES, destination={"rejected": 0})
    assert [cause.control for cause in hidden] == ["network ACL", "listener"]
    assert [c.control for c in causes(*REQUEST, acl=DENIES)] == ["listener"]
    lost = causes(*REQUEST, destination={"skipdata": 1})
    assert kinds(lost)[1:] == [("logging", "destination", "low")]


def test_no_records() -> None:
    assert kinds(causes()) == [("sender", "source", "medium")]
    assert kinds(causes(source={"rejected": 0}))[1:] == [("logging", "source", "low")]
    assert kinds(causes(source={"records": 0})) == [("route", "between", "medium")]
    nothing = {"records": 0}
    assert kinds(causes(source=nothing, destination=nothing)) == [("logging", "source", "high")]
    for place in ("source", "destination"):
        lost = kinds(causes(**{place: {"skipdata": 3}}))
        assert lost == [("sender", "source", "medium"), ("logging", place, "low")]


@pytest.mark.parametrize(
    ("syn_acks", "resets", "without_data", "expected"),
    [
        (None, None, 2, ("listener", "medium")),
        (None, None, 1, ("none", "medium")),
        (0, 2, 2, ("listener", "high")),
        (2, 2, 0, ("application", "medium")),
        (2, 0, 0, ("none", "high")),
        (0, 0, 0, ("none", "medium")),
        (0, 0, 2, ("listener", "low")),
    ],
)
def test_replies(syn_acks, resets, without_data, expected) -> None:
    flags = {"syn_acks": syn_acks, "resets": resets, "without_data": without_data}
    replies = [seen(place, "reply", **flags) for place in ("destination", "source")]
    (cause,) = causes(*REQUEST, *replies)
    assert (cause.control, cause.confidence) == expected


def test_udp_replies_are_an_answer() -> None:
    assert kinds(causes(*REPLY, protocol="udp")) == [("none", "destination", "high")]
