"""Principals: people and automation, new users and keys, networks of the baseline."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from flowbench.detect.api_principals import (
    Caller,
    Creation,
    Principals,
    identify,
    is_service_name,
    network_of,
    read_principals,
)
from tests.detect.detectors.test_service_abuse import DAY, HOUR, call
from tests.traffic import T0, make_case

ACCOUNT = "111122223333"
START = pd.Timestamp("2026-09-01", tz="UTC")
MIRA = Caller(ACCOUNT, "mira", is_person=True)


@pytest.mark.parametrize(
    ("kind", "name", "expected", "is_person"),
    [
        ("IAMUser", "mira", "mira", True),
        ("Root", "root", "root", True),
        ("FederatedUser", "mira", "mira", True),
        ("AssumedRole", "deploy/run-17", "deploy", False),
        ("AssumedRole", "web/i-0aaaa1111", "web", False),
        ("AssumedRole", "AWSReservedSSO_Admin_1/mira", "AWSReservedSSO_Admin_1/mira", True),
        ("AssumedRole", "admin/mira@example.com", "admin/mira@example.com", True),
        ("AWSAccount", None, "unknown", False),
    ],
)
def test_who_made_a_call(kind: str, name: str | None, expected: str, is_person: bool) -> None:
    assert identify(ACCOUNT, kind, name) == Caller(ACCOUNT, expected, is_person)


@pytest.mark.parametrize(
    ("source", "network", "is_service"),
    [
        ("198.51.100.7", "198.51.0.0/16", False),
        ("2001:db8::7", "2001:db8::/32", False),
        ("autoscaling.amazonaws.com", "autoscaling.amazonaws.com", True),
        ("AWS Internal", "AWS Internal", True),
        ("253.1.1.07", "253.1.1.07", False),
        (None, "", False),
    ],
)
def test_networks(source: str | None, network: str, is_service: bool) -> None:
    assert (network_of(source), is_service_name(source)) == (network, is_service)


@pytest.mark.parametrize(("days", "is_new"), [(0, True), (7, True), (7.1, False), (-1, False)])
def test_a_created_user_is_new_for_a_week(days: float, is_new: bool) -> None:
    created = {(ACCOUNT, "mira"): Creation("The user", START, "eve")}
    reason = Principals(users=created).why_new(MIRA, START + pd.Timedelta(days=days), None, None)
    expected = "The user was created by eve at 2026-09-01 00:00 UTC."
    assert reason == (expected if is_new else "")


def test_a_key_that_somebody_else_created_is_new() -> None:
    principals = Principals(keys={"AKIA1": Creation("The access key AKIA1", START, "eve")})
    assert "created by eve" in principals.why_new(MIRA, START, "AKIA1", None)
    assert principals.why_new(MIRA, START, "AKIA2", None) == ""


OFFICE, CAFE = "198.51.0.0/16", "203.0.0.0/16"
AT = {hour: START + pd.Timedelta(hours=hour) for hour in range(100)}


@pytest.mark.parametrize(
    ("own", "first_use", "source", "hour", "is_new"),
    [
        ({OFFICE: 2}, 13, "203.0.113.7", 13, True),
        ({OFFICE: 2}, 13, "203.0.113.7", 37, True),
        ({OFFICE: 2}, 13, "203.0.113.7", 38, False),  # known for more than a day
        ({OFFICE: 2}, 11, "203.0.113.7", 13, False),  # the events began shortly before
        ({OFFICE: 2}, 13, "198.51.7.7", 13, False),
        ({OFFICE: 2}, 13, "cloudformation.amazonaws.com", 13, False),
        ({OFFICE: 2, CAFE: 13}, 13, "203.0.113.7", 14, True),
        ({CAFE: 13}, 13, "203.0.113.7", 14, False),  # the principal has no other network
        ({OFFICE: 20, CAFE: 13}, 13, "203.0.113.7", 14, False),  # not yet
        ({f"10.{n}.0.0/16": 2 for n in range(5)}, 13, "203.0.113.7", 13, False),  # from anywhere
    ],
)
def test_new_networks(
    own: dict[str, int], first_use: int, source: str, hour: int, is_new: bool
) -> None:
    networks = {network: AT[first] for network, first in own.items()}
    everyones = {ACCOUNT: {OFFICE: AT[0], CAFE: AT[first_use]}}
    principals = Principals(AT[0], None, {MIRA: networks}, everyones)
    reason = principals.why_new(MIRA, AT[hour], None, source)
    assert bool(reason) == is_new
    if is_new:
        assert reason == (
            "The account's first recorded call from the network of 203.0.113.7 was at 2026-09-01"
            " 13:00 UTC."
        )
    role = Caller(ACCOUNT, "mira", is_person=False)
    assert principals.first_use_of_new_network(role, AT[hour], source) is None


def test_the_baseline_and_creations_of_a_case(tmp_path: Path) -> None:
    made = {"requestParameters": {"userName": "mallory"}}
    key = {"responseElements": {"accessKey": {"accessKeyId": "AKIAEXAMPLEMALLORY"}}}
    failed = {"errorCode": "AccessDenied", "requestParameters": {"userName": "nobody"}}
    calls = [
        call("mira", "198.51.100.7", 0),
        call("mira", "203.0.113.7", 2 * DAY),
        call("eve", "198.51.100.9", HOUR, "CreateUser", service="iam", **made),
        call("eve", "198.51.100.9", HOUR, "CreateAccessKey", service="iam", **made, **key),
        call("eve", "198.51.100.9", 2 * HOUR, "CreateUser", service="iam", **failed),
    ]
    found = read_principals(make_case(tmp_path / "1", [], json_lines=calls))
    assert found.baseline_end == pd.Timestamp(T0 + DAY / 2, unit="s", tz="UTC")
    assert {caller.name: list(used) for caller, used in found.networks.items()} == {
        "mira": [OFFICE, CAFE],
        "eve": [OFFICE],
    }
    assert [found.baseline_networks(caller) for caller in found.networks] == [{OFFICE}] * 2
    assert list(found.everyones.values()) == [{OFFICE: found.begin, CAFE: AT[48]}]
    assert [name for _account, name in found.users] == ["mallory"]
    assert list(found.keys) == ["AKIAEXAMPLEMALLORY"]
    short = make_case(tmp_path / "2", [], json_lines=[calls[0], calls[2]])
    assert read_principals(short).baseline_end is None
