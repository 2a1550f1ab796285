"""Whether an incident is contained: by the API events and the connections after them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from flowbench.case import Case
from flowbench.report.containment import Containment, find_containment
from tests.incident_case import api_event
from tests.report.test_countermeasures import EVE, INSTANCE, KEY, call, groups, numbered
from tests.traffic import T0, connect, make_case

HOUR = 3600
ADA = ("ada0000", "AKIAADMIN0000")
OTHER = ADA[1]

Event = dict[str, Any]


def at(seconds: int) -> pd.Timestamp:
    return pd.Timestamp(T0 + seconds, unit="s", tz="UTC")


def stop(seconds: int, name: str = "StopInstances", error: str | None = None) -> Event:
    request = {"instancesSet": {"items": [{"instanceId": INSTANCE}]}}
    return api_event(f"{name}-0000-{seconds}", name, T0 + seconds, request=request, error=error)


def disable(seconds: int, who: tuple[str, str] = EVE, status: str = "Inactive") -> Event:
    request = {"userName": who[0], "accessKeyId": who[1], "status": status}
    return api_event(f"{who[1]}-{seconds}", "UpdateAccessKey", T0 + seconds, request=request)


STATUS: list[tuple[list[Event], int, str]] = [
    ([stop(HOUR), disable(HOUR), disable(HOUR, ADA)], HOUR + 60, "contained"),
    ([stop(HOUR), disable(HOUR)], HOUR + 60, "contained in part"),
    ([stop(HOUR)], HOUR + 60, "unknown"),
    ([disable(HOUR), disable(HOUR, ADA)], HOUR, "unknown"),
    ([stop(HOUR), disable(HOUR)], 3 * HOUR, "not contained"),
    ([stop(HOUR, error="Client.UnauthorizedOperation")], HOUR, "unknown"),
    ([stop(11 * HOUR), disable(HOUR)], HOUR, "unknown"),  # after the end of the logs
    ([], HOUR, "unknown"),
    ([], 10 * HOUR - 60, "not contained"),  # it went on to the end
]
REMAINING: list[tuple[list[Event], list[str]]] = [
    ([stop(HOUR)], [KEY]),
    ([stop(HOUR), stop(HOUR + 60, "StartInstances"), disable(HOUR)], [INSTANCE]),
    ([stop(60, "StartInstances"), stop(HOUR), disable(HOUR)], []),
    ([stop(HOUR, "TerminateInstances"), disable(HOUR)], []),
    ([stop(HOUR), disable(HOUR, status="Active")], [KEY]),
    ([stop(HOUR), disable(HOUR), disable(HOUR + 60, status="Active")], [KEY]),
    (
        [
            stop(HOUR),
            disable(HOUR),
            disable(HOUR + 60, status="Active"),
            disable(HOUR + 90),
        ],
        [],
    ),
    (
        [
            call("ModifyInstanceAttribute", 60, instanceId=INSTANCE, userData="<sensitive>"),
            disable(HOUR),
        ],
        [INSTANCE],
    ),
    ([groups(60, "sg-q"), disable(HOUR)], []),
]


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """Ten hours of traffic, and the events of all examples."""
    examples = [each[0] for each in (*STATUS, *REMAINING)]
    lines = [numbered(n, event) for n, events in enumerate(examples) for event in events]
    folder: Path = tmp_path_factory.mktemp("containment")
    records = connect("10.0.0.5", "192.0.2.1", 443, T0, seconds=10 * HOUR)
    return make_case(folder, records, json_lines=lines)


def judge(case: Case, number: int, last: int) -> Containment:
    instance, eve, ada = numbered(number, [INSTANCE, EVE, ADA])
    return find_containment(case, [instance], [eve], [ada], at(last))


@pytest.mark.parametrize("number", range(len(STATUS)))
def test_status(case: Case, number: int) -> None:
    _, last, status = STATUS[number]
    found = judge(case, number, last)
    assert found.status == status
    assert f"Last connection of the findings: {at(last):%Y-%m-%d %H:%M:%S} UTC." in found.reason
    assert "The flow logs end at 2026-09-01 10:00:" in found.reason


@pytest.mark.parametrize("example", range(len(REMAINING)))
def test_what_is_undone_or_isolates_nothing_does_not_count(case: Case, example: int) -> None:
    number, remaining = len(STATUS) + example, REMAINING[example][1]
    found = judge(case, number, HOUR)
    assert list(found.remaining) == numbered(number, [*remaining, OTHER])
    assert found.status == ("unknown" if remaining else "contained in part")


def test_what_was_done_and_what_remains_is_named(case: Case) -> None:
    number = len(STATUS)
    instance, key = numbered(number, [INSTANCE, KEY])
    found = judge(case, number, HOUR)
    assert found.reason.startswith(
        f"{instance} was stopped by eve at 2026-09-01 01:00:00 UTC (StopInstances)."
    )
    assert f"No API event stops or disables {key}." in found.reason


def test_a_disabled_key_is_named_with_its_user(case: Case) -> None:
    user, key = numbered(3, EVE)
    done = f"ccess key {key} of {user} was disabled by eve at 2026-09-01 01:00:00 UTC"
    other = f"access key {numbered(3, OTHER)} of {numbered(3, ADA[0])} was disabled"
    reason = judge(case, 3, HOUR).reason
    assert done in reason
    assert other.casefold() in reason.casefold()
    assert reason.startswith("Access key ")
