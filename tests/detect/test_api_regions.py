"""First use of a Region: after the baseline, by calls that change something."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flowbench.detect.api_principals import read_principals
from flowbench.detect.api_regions import find_new_regions
from tests.detect.detectors.test_service_abuse import DAY, call
from tests.traffic import make_case

NEW = "ap-south-2"


def launch(at: float, region: str = NEW, name: str = "RunInstances", **more: Any) -> dict[str, Any]:
    service = more.pop("service", "ec2")
    given = {"awsRegion": region, "readOnly": False} | more
    return call("mira", "198.51.100.7", at, name, service=service, **given)


def test_the_first_change_in_a_region(tmp_path: Path) -> None:
    calls = [call("mira", "198.51.100.7", at) for at in (0, 4 * DAY)]
    calls += [launch(3 * DAY), launch(3 * DAY + 60, name="CreateVpc", errorCode="AccessDenied")]
    calls += [launch(3 * DAY, readOnly=True, name="DescribeInstances")]
    case = make_case(tmp_path, [], json_lines=calls)
    (found,) = find_new_regions(case, read_principals(case))
    assert (found.name, found.caller.name, found.why_new) == (NEW, "mira", "")
    assert found.calls["event_name"].tolist() == ["RunInstances", "CreateVpc"]
    assert found.calls["failed"].tolist() == [False, True]


@pytest.mark.parametrize(
    "calls",
    [
        [launch(DAY / 2), launch(3 * DAY)],  # used in the baseline
        [launch(3 * DAY, name="DescribeInstances", readOnly=True)],  # only looked at
        [launch(3 * DAY, name="CreateUser", service="iam")],  # a service without a Region
        [launch(3 * DAY, name="ConsoleLogin", service="signin")],
    ],
)
def test_other_calls_are_silent(tmp_path: Path, calls: list[dict[str, Any]]) -> None:
    calls = [*(call("mira", "198.51.100.7", at) for at in (0, 4 * DAY)), *calls]
    case = make_case(tmp_path, [], json_lines=calls)
    assert list(find_new_regions(case, read_principals(case))) == []


def test_a_short_log_has_no_baseline(tmp_path: Path) -> None:
    case = make_case(tmp_path, [], json_lines=[launch(0, "us-east-1"), launch(DAY / 2)])
    assert list(find_new_regions(case, read_principals(case))) == []
