"""The daily API calls of the Winterday scenario."""

from __future__ import annotations

import random
from collections import Counter

from flowbench.scenario.daily_api_events import daily_api_events
from flowbench.scenario.network import OFFICE, build
from flowbench.scenario.winterday_facts import FIRST, LAST
from flowbench.scenario.writer import format_time


def test_each_day_has_sign_ins_calls_sessions_and_a_deployment() -> None:
    events = list(daily_api_events(build(), random.Random(1)))
    assert all(format_time(FIRST) <= e["eventTime"] < format_time(LAST) for e in events)
    names = Counter(event["eventName"] for event in events)
    assert names["ConsoleLogin"] == 9
    assert names["AssumeRole"] == 54
    assert names["AuthorizeSecurityGroupIngress"] == 3
    assert names["RunInstances"] == 2
    assert len(events) == 3 * (3 * 26 + 50 + 18 + 1) + 2


def test_source_addresses_are_of_office_gateway_or_endpoint() -> None:
    network = build()
    gateways = {host.public for host in network.with_role("nat")}
    for event in daily_api_events(network, random.Random(1)):
        kind, source = event["userIdentity"]["type"], event["sourceIPAddress"]
        if kind == "IAMUser":
            assert source == OFFICE
        elif kind == "AWSService":
            assert source == "lambda.amazonaws.com"
        elif "vpcEndpointId" in event:
            assert event["eventSource"] == "ssm.amazonaws.com"
            assert source in network.by_address
        else:
            assert source in gateways
