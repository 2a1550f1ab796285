"""API calls as rules see them: texts of requests, at any depth and of any type."""

from __future__ import annotations

import re

import pytest

from flowbench.detect.api_requests import (
    VERSION,
    ApiCall,
    anything,
    as_texts,
    each_event,
    find_texts,
    named,
    shorten,
)


def make_call(name: str = "Call", /, **request: object) -> ApiCall:
    return ApiCall(name, "iam", "111122223333", "mira", "IAMUser", request=request)


@pytest.mark.parametrize(
    ("event_name", "expected"),
    [
        ("UpdateFunctionCode20150331v2", "UpdateFunctionCode"),
        ("CreateDistribution2020_05_31", "CreateDistribution"),
        ("ListTags20170331", "ListTags"),
        ("CreateUser", "CreateUser"),
        ("Get2Things", "Get2Things"),
    ],
)
def test_versions_are_no_part_of_a_name(event_name: str, expected: str) -> None:
    assert re.sub(VERSION, "", event_name) == expected


def test_texts_are_found_in_lists_and_wrapped_requests() -> None:
    request = {
        "DeleteFlowLogsRequest": {"FlowLogId": [{"content": "fl-1", "tag": 1}, "fl-2", 3, None]},
        "instancesSet": {"items": [{"instanceId": "i-1"}, {"instanceId": ["i-2"]}]},
    }
    assert list(find_texts(request, {"flowLogId"})) == ["fl-1", "fl-2"]
    assert named("instanceId")(make_call(**request)) == ["i-1", "i-2"]
    assert named("instanceId")(make_call()) == []


def test_values_are_fit_for_a_summary() -> None:
    assert shorten("arn:aws:iam::1:user/mira") == "user/mira"
    assert shorten("a\x1b[31m\nb") == r"a\x1b[31m\x0ab"
    assert len(shorten("x" * 300)) == 100
    assert make_call(userName=5, roleName="r").text("userName", "roleName") == "r"
    assert make_call().text("userName") is None


def test_conditions_that_always_hold() -> None:
    assert anything(make_call(functionName="f")) == ["f"]
    assert anything(make_call()) == []
    assert each_event(make_call("ListIdentities")) == ["ListIdentities"]
    assert as_texts("a") == as_texts(["a", 1, None]) == ["a"]
