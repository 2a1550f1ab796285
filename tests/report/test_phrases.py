"""Findings as phrases for a manager."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from flowbench.detect.detectors import beacon
from flowbench.detect.finding import Finding, Traffic, make_finding
from flowbench.investigate.api_events import ApiEvent
from flowbench.report.phrases import describe_calls, describe_finding, name_topics

AT = pd.Timestamp("2026-09-01", tz="UTC")
TRAFFIC = Traffic((443,), 6, AT, AT + pd.Timedelta(hours=24), 289, 1_200_000, 5_000)


def finding(detector: str, title: str = "X", **changes: object) -> Finding:
    made = make_finding(
        beacon.DETECTOR, "10.0.0.5", ["192.0.2.1"], TRAFFIC,
        severity="high", score=1, summary="", caveats="", title=title,
    )  # fmt: skip
    return replace(made, detector=detector, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("detector", "title", "phrase"),
    [
        ("mining", "X", "exchanged crypto-mining traffic with 192.0.2.1 on 443/tcp (https)"),
        ("beacon", "X", "connected to 192.0.2.1 on 443/tcp (https) every 5.0 min"),
        ("contact", "Indicator match (tor)", "communicated with 192.0.2.1 (indicator list: tor)"),
        ("exfiltration", "X", "sent 1.2 MB to 192.0.2.1"),
        ("remote-access", "X", "had an administrative session from 192.0.2.1 on 443/tcp (https)"),
        ("brute-force", "X", "received 289 login attempts on 443/tcp (https) from 192.0.2.1"),
        ("scan", "X", "scanned 1 address"),
        ("api-abuse", "Persistence: CreateUser", "called CreateUser from 192.0.2.1"),
        (
            "lateral-movement",
            "Rejected internal connection attempts",
            "attempted 289 connections to 1 internal host, all of which were rejected",
        ),
        (
            "lateral-movement",
            "New internal connections",
            "opened 289 connections to 1 internal host for the first time",
        ),
        ("spike", "Traffic spike", "is the subject of “Traffic spike” (192.0.2.1)"),
    ],
)
def test_phrases(detector: str, title: str, phrase: str) -> None:
    assert describe_finding(finding(detector, title)) == phrase


def test_the_source_of_a_brute_force_is_not_called_its_target() -> None:
    source = finding("brute-force", summary="10.0.0.5 opened 289 short connections to 192.0.2.1.")
    expected = "made 289 login attempts on 443/tcp (https) at 192.0.2.1"
    assert describe_finding(source) == expected


def test_many_peers_and_one_connection() -> None:
    many = finding("exfiltration", peers=("192.0.2.1", "192.0.2.2", "192.0.2.3"))
    assert describe_finding(many) == "sent 1.2 MB to 192.0.2.1, 192.0.2.2 and 1 more"
    assert describe_finding(finding("beacon", connections=1)).endswith("every 24.0 h")


def test_a_listed_peer_is_said_to_be() -> None:
    listed = {"192.0.2.1": "tor"}
    phrase = describe_finding(finding("beacon"), listed)
    assert phrase == "connected to 192.0.2.1 (indicator list: tor) on 443/tcp (https) every 5.0 min"


def call(name: str, target: str | None = None, error: str | None = None) -> ApiEvent:
    nothing = dict.fromkeys(ApiEvent._fields)
    known = {"event_name": name, "target_user": target, "error_code": error, "event_time": AT}
    return ApiEvent(**nothing | known)  # type: ignore[arg-type]


def test_api_calls() -> None:
    events = [
        call("CreateUser", "eve"),
        call("CreateAccessKey", "eve", "AccessDenied"),
        call("CreateAccessKey", "eve"),
        call("DeleteTrail"),
        call("ListUsers", error="AccessDenied"),
    ]
    assert describe_calls("ada", events, ["192.0.2.1"]) == (
        "The credentials of ada were used from 192.0.2.1 to create user eve, create an access key"
        " for eve, call DeleteTrail and call ListUsers, which failed (CreateUser, CreateAccessKey)"
    )
    assert describe_calls("ada", events[-1:], []) == (
        "The credentials of ada were used to call ListUsers, which failed"
    )


def test_a_role_is_called_so_once_and_permissions_are_named() -> None:
    role = '{"roleArn": "arn:aws:iam::111122223333:role/reporting"}'
    events = [
        call("AssumeRole")._replace(request=role),
        call("ModifySnapshotAttribute")._replace(request='{"snapshotId": "snap-1"}'),
    ]
    assert describe_calls("ada", events, []) == (
        "The credentials of ada were used to assume role reporting and change the permissions of"
        " snap-1 (AssumeRole, ModifySnapshotAttribute)"
    )


def test_topics_are_in_order_of_weight_and_each_once() -> None:
    found = [
        finding("api-abuse", "Persistence: CreateUser"),
        finding("api-abuse", "Persistence: CreateAccessKey"),
        finding("mining"),
        finding("spike", "Traffic spike"),
    ]
    assert name_topics(found) == ["crypto-mining traffic", "new credentials", "traffic spike"]
