"""Whether an incident is contained: by the API events and the connections after them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from flowbench.case import Case
from flowbench.report.containment import Containment, find_containment
from tests.incident_case import INSTANCE, KEY, api_event
from tests.traffic import T0, connect, make_case

HOUR = 3600
OTHER = "AKIAEXAMPLEADA"


def at(seconds: int) -> pd.Timestamp:
    return pd.Timestamp(T0 + seconds, unit="s", tz="UTC")


def stop(seconds: int, name: str = "StopInstances", error: str | None = None) -> dict[str, Any]:
    request = {"instancesSet": {"items": [{"instanceId": INSTANCE}]}}
    return api_event(f"s{seconds}", name, T0 + seconds, request=request, error=error)


def disable(seconds: int, key: str = KEY, user: str = "eve") -> dict[str, Any]:
    request = {"userName": user, "accessKeyId": key, "status": "Inactive"}
    return api_event(f"k{key}{seconds}", "UpdateAccessKey", T0 + seconds, request=request)


def judge(path: Path, events: list[dict[str, Any]], last: int, *, logs: int = 10) -> Containment:
    records = connect("10.0.0.5", "192.0.2.1", 443, T0, seconds=logs * HOUR)
    case: Case = make_case(path, records, json_lines=events or [api_event("x", "ListX", T0)])
    return find_containment(case, [INSTANCE], [("eve", KEY)], [("ada", OTHER)], at(last))


@pytest.mark.parametrize(
    ("events", "last", "status"),
    [
        ([stop(HOUR), disable(HOUR), disable(HOUR, OTHER, "ada")], HOUR + 60, "contained"),
        ([stop(HOUR), disable(HOUR)], HOUR + 60, "contained in part"),
        ([stop(HOUR)], HOUR + 60, "unknown"),
        ([disable(HOUR), disable(HOUR, OTHER, "ada")], HOUR, "unknown"),
        ([stop(HOUR), disable(HOUR)], 3 * HOUR, "not contained"),
        ([stop(HOUR, error="Client.UnauthorizedOperation")], HOUR, "unknown"),
        ([stop(11 * HOUR), disable(HOUR)], HOUR, "unknown"),  # after the end of the logs
        ([], HOUR, "unknown"),
        ([], 10 * HOUR - 60, "not contained"),  # it went on to the end
    ],
)
def test_status(tmp_path: Path, events: list[dict[str, Any]], last: int, status: str) -> None:
    found = judge(tmp_path, events, last)
    assert found.status == status
    assert f"Last connection of the findings: {at(last):%Y-%m-%d %H:%M:%S} UTC." in found.reason
    assert "The flow logs end at 2026-09-01 10:00:" in found.reason


def test_what_remains_is_named(tmp_path: Path) -> None:
    found = judge(tmp_path, [stop(HOUR)], HOUR)
    assert list(found.remaining) == [KEY, OTHER]
    assert f"No API event stops or disables {KEY}." in found.reason
    assert found.reason.startswith(
        f"{INSTANCE} was stopped by eve at 2026-09-01 01:00:00 UTC (StopInstances)"
    )


def test_a_key_that_is_activated_again_does_not_count(tmp_path: Path) -> None:
    event = disable(HOUR)
    event["requestParameters"]["status"] = "Active"
    found = judge(tmp_path, [stop(HOUR), event], HOUR)
    assert KEY in found.remaining


def enable(seconds: int, key: str = KEY) -> dict[str, Any]:
    event = disable(seconds, key)
    event["requestParameters"]["status"] = "Active"
    return event


def change(seconds: int, **attribute: Any) -> dict[str, Any]:
    request = {"instanceId": INSTANCE} | attribute
    return api_event(f"m{seconds}", "ModifyInstanceAttribute", T0 + seconds, request=request)


GROUPS = {"items": [{"groupId": "sg-0quarantine"}]}


@pytest.mark.parametrize(
    ("events", "remaining"),
    [
        ([stop(HOUR), stop(HOUR + 60, "StartInstances"), disable(HOUR)], [INSTANCE]),
        ([stop(60, "StartInstances"), stop(HOUR), disable(HOUR)], []),
        ([stop(HOUR, "TerminateInstances"), disable(HOUR)], []),
        ([stop(HOUR), disable(HOUR), enable(HOUR + 60)], [KEY]),
        ([stop(HOUR), disable(HOUR), enable(HOUR + 60), disable(HOUR + 90)], []),
        ([change(HOUR, userData="<sensitive>"), disable(HOUR)], [INSTANCE]),
        ([change(HOUR, groupSet=GROUPS), disable(HOUR)], []),
    ],
)
def test_what_is_undone_or_isolates_nothing_does_not_count(
    tmp_path: Path, events: list[dict[str, Any]], remaining: list[str]
) -> None:
    found = judge(tmp_path, events, HOUR)
    assert list(found.remaining) == [*remaining, OTHER]
    assert found.status == ("unknown" if remaining else "contained in part")
