"""GuardDuty findings in the timeline: about hosts, external addresses, keys and domains."""

from __future__ import annotations

from typing import Any

import pytest

from flowbench.case import Case
from flowbench.detect import Findings
from flowbench.investigate import pivot
from flowbench.investigate.timeline.alerts import alert_rows
from flowbench.investigate.timeline.scope import Scope, scope_of_pivot
from tests.incident_case import HOST, POOL
from tests.traffic import T0, connect, make_case

TIME = "2026-09-01T00:00:00Z"
PROBER = "198.51.100.23"


def alert(
    name: str, type_: str, action: dict[str, Any], resource: dict[str, Any]
) -> dict[str, Any]:
    return {
        "SchemaVersion": "2.0",
        "CreatedAt": TIME,
        "UpdatedAt": TIME,
        "Id": name,
        "Type": type_,
        "Severity": 5,
        "AccountId": "111122223333",
        "Resource": resource,
        "Service": {"Action": action, "EventFirstSeen": TIME, "EventLastSeen": TIME, "Count": 3},
    }


ALERTS = [
    alert(
        "probe",
        "Recon:EC2/PortProbeUnprotectedPort",
        {
            "ActionType": "PORT_PROBE",
            "PortProbeAction": {
                "PortProbeDetails": [
                    {
                        "LocalIpDetails": {"IpAddressV4": HOST},
                        "RemoteIpDetails": {"IpAddressV4": PROBER},
                        "LocalPortDetails": {"Port": 22},
                    }
                ]
            },
        },
        {"InstanceDetails": {"InstanceId": "i-1"}},
    ),
    alert(
        "dns",
        "CryptoCurrency:EC2/BitcoinTool.B!DNS",
        {"ActionType": "DNS_REQUEST", "DnsRequestAction": {"Domain": "eu.pool.example"}},
        {"InstanceDetails": {"InstanceId": "i-1"}},
    ),
    alert(
        "key",
        "UnauthorizedAccess:IAMUser/TorIPCaller",
        {
            "ActionType": "AWS_API_CALL",
            "AwsApiCallAction": {
                "Api": "ListBuckets",
                "RemoteIpDetails": {"IpAddressV4": PROBER},
            },
        },
        {"AccessKeyDetails": {"AccessKeyId": "AKIAEXAMPLE00000001", "UserName": "eve"}},
    ),
]


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("alerts")
    return make_case(folder, connect(HOST, POOL, 443, T0), json_lines=[{"Findings": ALERTS}])


@pytest.mark.parametrize(
    ("about", "ids"),
    [
        (PROBER, ["key", "probe"]),
        (HOST, ["probe"]),
        ("i-1", ["dns", "probe"]),
        ("pool.example", ["dns"]),
        ("eve", ["key"]),
        ("AKIAEXAMPLE00000001", ["key"]),
        (POOL, []),
    ],
)
def test_alerts_about_what_is_asked(case: Case, about: str, ids: list[str]) -> None:
    scope = scope_of_pivot(case, pivot.resolve(case, about), Findings())
    assert sorted(str(event.evidence) for event in alert_rows(case, scope)) == ids


def test_a_probe_acts_from_outside(case: Case) -> None:
    events = {event.evidence: event for event in alert_rows(case, Scope(Findings(), is_whole=True))}
    probe, key = events["probe"], events["key"]
    assert (probe.actor, probe.object, probe.count) == (PROBER, HOST, 3)
    assert probe.activity == "Recon:EC2/PortProbeUnprotectedPort"
    assert probe.severity == "medium"
    assert (key.actor, key.object) == ("eve", PROBER)
