"""GuardDuty findings: both spellings, every container, each kind of action."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flowbench.errors import BadRecord
from flowbench.loaders.aws import guardduty

FINDING: dict[str, Any] = {
    "schemaVersion": "2.0",
    "accountId": "111122223333",
    "region": "us-east-1",
    "id": "aabbccddeeff",
    "arn": "arn:aws:guardduty:us-east-1:111122223333:detector/d1/finding/aabb",
    "type": "CryptoCurrency:EC2/BitcoinTool.B",
    "severity": 8,
    "createdAt": "2026-09-01T03:30:00.000Z",
    "updatedAt": "2026-09-01T04:30:00.000Z",
    "title": "Mining",
    "description": "The instance queries a mining pool.",
    "resource": {
        "resourceType": "Instance",
        "instanceDetails": {
            "instanceId": "i-0ffffeeee11112222",
            "networkInterfaces": [
                {"networkInterfaceId": "eni-0aaa", "privateIpAddress": "10.0.9.8"},
                {"networkInterfaceId": "eni-0ccc", "privateIpAddress": "10.0.9.9"},
            ],
        },
    },
    "service": {
        "count": 4,
        "archived": False,
        "eventFirstSeen": "2026-09-01T03:12:00.000Z",
        "eventLastSeen": "2026-09-01T04:21:00.000Z",
        "additionalInfo": {"threatListName": "ProofPoint"},
        "evidence": {
            "threatIntelligenceDetails": [
                {"threatListName": "ProofPoint", "threatNames": []},
                {"threatListName": "Custom", "threatNames": []},
            ]
        },
        "action": {
            "actionType": "NETWORK_CONNECTION",
            "networkConnectionAction": {
                "connectionDirection": "OUTBOUND",
                "blocked": False,
                "protocol": "tcp",
                "localNetworkInterface": "eni-0ccc",
                "localPortDetails": {"port": 44122, "portName": "Unknown"},
                "localIpDetails": {"ipAddressV4": "10.0.9.9"},
                "remotePortDetails": {"port": 3333, "portName": "Unknown"},
                "remoteIpDetails": {"ipAddressV4": "192.0.2.55"},
            },
        },
    },
}


def pascal(value: Any) -> Any:
    """Return the finding as the SDK spells it."""
    if isinstance(value, dict):
        return {key[:1].upper() + key[1:]: pascal(each) for key, each in value.items()}
    return [pascal(each) for each in value] if isinstance(value, list) else value


def with_action(action: object, **changes: object) -> dict[str, Any]:
    return FINDING | {"service": FINDING["service"] | {"action": action} | changes}


def test_values_of_a_finding() -> None:
    (row,) = guardduty.TABLE.rows([guardduty.to_row(FINDING)]).to_pylist()
    assert row == {
        "alert_id": "aabbccddeeff",
        "type": "CryptoCurrency:EC2/BitcoinTool.B",
        "title": "Mining",
        "description": "The instance queries a mining pool.",
        "severity": 8.0,
        "severity_label": "high",
        "account_id": "111122223333",
        "region": "us-east-1",
        "created_at": datetime(2026, 9, 1, 3, 30, tzinfo=UTC),
        "updated_at": datetime(2026, 9, 1, 4, 30, tzinfo=UTC),
        "first_seen": datetime(2026, 9, 1, 3, 12, tzinfo=UTC),
        "last_seen": datetime(2026, 9, 1, 4, 21, tzinfo=UTC),
        "count": 4,
        "resource_type": "Instance",
        "instance_id": "i-0ffffeeee11112222",
        "instance_ids": ["i-0ffffeeee11112222"],
        "interface_ids": ["eni-0ccc", "eni-0aaa"],
        "local_address": "10.0.9.9",
        "local_addresses": ["10.0.9.9"],
        "local_port": 44122,
        "local_ports": ["44122"],
        "remote_address": "192.0.2.55",
        "remote_addresses": ["192.0.2.55"],
        "remote_port": 3333,
        "remote_ports": ["3333"],
        "protocol": "TCP",
        "direction": "OUTBOUND",
        "blocked": False,
        "domain": None,
        "domains": [],
        "api": None,
        "action_type": "NETWORK_CONNECTION",
        "resources": [],
        "signals": [],
        "signal_types": [],
        "access_key_id": None,
        "access_key_ids": [],
        "principal_name": None,
        "principal_names": [],
        "archived": False,
        "sample": False,
        "threat_lists": ["ProofPoint", "Custom"],
        "evidence_id": None,
        "line": None,
        "item": None,
    }


def test_both_spellings_give_the_same_row() -> None:
    sdk_finding = pascal(FINDING)
    sdk_finding["Service"]["AdditionalInfo"] = {
        "Type": "default",
        "Value": '{"threatListName": "ProofPoint"}',
    }
    assert guardduty.to_row(sdk_finding) == guardduty.to_row(FINDING)


def test_containers() -> None:
    event = {"version": "0", "detail-type": "GuardDuty Finding", "detail": FINDING}
    assert guardduty.matches({"Findings": [pascal(FINDING)]}) == [pascal(FINDING)]
    assert guardduty.matches({"findings": [FINDING]}) == [FINDING]
    assert guardduty.matches({"Findings": []}) == []
    assert guardduty.matches(FINDING) == [FINDING]
    assert guardduty.matches([FINDING, None]) == [FINDING, None]
    assert guardduty.matches(event) == [event]
    assert guardduty.to_row(event) == guardduty.to_row(FINDING)


def test_security_hub_findings_are_refused_with_a_reason() -> None:
    hub = pascal(FINDING) | {"ProductArn": "arn:aws:securityhub:::product/aws/guardduty"}
    asff = {"SchemaVersion": "2018-10-08", "ProductArn": "arn:aws:securityhub:::x", "Id": "x"}
    for finding in (hub, asff):
        assert guardduty.matches({"Findings": [finding]}) == [finding]
        with pytest.raises(BadRecord, match="Security Hub"):
            guardduty.to_row(finding)
    assert guardduty.matches({"Findings": ["x"]}) is None


def test_first_probe_of_a_port_probe() -> None:
    probe = {
        "localPortDetails": {"port": 22},
        "localIpDetails": {"ipAddressV4": "10.0.9.9"},
        "remoteIpDetails": {"ipAddressV4": "198.51.100.7"},
    }
    row = guardduty.to_row(
        with_action({"portProbeAction": {"blocked": True, "portProbeDetails": [probe, None]}})
    )
    assert (row["local_port"], row["remote_address"], row["blocked"]) == (22, "198.51.100.7", True)


def test_dns_request() -> None:
    row = guardduty.to_row(
        with_action({"dnsRequestAction": {"domain": "Pool.example.net", "protocol": "UDP"}})
    )
    assert (row["domain"], row["protocol"]) == ("pool.example.net", "UDP")
    assert row["local_address"] == "10.0.9.8"  # of the instance: the action has none


def test_api_call_with_a_stolen_access_key() -> None:
    call = {
        "api": "RunInstances",
        "remoteIpDetails": {"ipAddressV6": "2001:DB8::7"},
        "domainDetails": {"domain": "cloudformation.amazonaws.com"},
    }
    key = {"accessKeyId": "ASIAEXAMPLE", "userName": "web", "principalId": "AROA:i-1"}
    record = with_action({"awsApiCallAction": call}) | {
        "resource": {"resourceType": "AccessKey", "accessKeyDetails": key}
    }
    row = guardduty.to_row(record)
    assert (row["api"], row["access_key_id"], row["principal_name"]) == (
        "RunInstances",
        "ASIAEXAMPLE",
        "web",
    )
    assert (row["remote_address"], row["domain"], row["instance_id"]) == ("2001:db8::7", None, None)


@pytest.mark.parametrize(
    ("severity", "label"),
    [
        *((1, "low"), (3.9, "low"), (4, "medium"), (6.9, "medium"), (7.0, "high"), (8.9, "high")),
        *((9, "critical"), (None, None), ("8", None), (True, None), (float("nan"), None)),
    ],
)
def test_severity_label(severity: object, label: str | None) -> None:
    assert guardduty.to_row(FINDING | {"severity": severity})["severity_label"] == label


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id": None}, "no id"),
        ({"type": 5.5}, "no type"),
        ({"createdAt": None, "updatedAt": None}, "no updatedAt"),
        ({"createdAt": "", "updatedAt": "soon"}, "updatedAt is not a time: 'soon'"),
    ],
)
def test_finding_without_a_required_value_is_rejected(change: dict, reason: str) -> None:
    with pytest.raises(BadRecord, match=f"^{reason}$"):
        guardduty.to_row(FINDING | change)


def test_update_time_of_a_new_finding_is_its_creation_time() -> None:
    row = guardduty.to_row(FINDING | {"updatedAt": None})
    assert row["updated_at"] == datetime(2026, 9, 1, 3, 30, tzinfo=UTC)


def test_recorded_findings(samples: Path) -> None:
    yaml = pytest.importorskip("yaml")
    rows = []
    for path in sorted(samples.glob("guardduty/*.yml")):
        for test in yaml.safe_load(path.read_text()).get("Tests", []):
            rows += [guardduty.to_row(record) for record in guardduty.matches(test["Log"]) or []]
    table = guardduty.TABLE.rows(rows)
    assert table.num_rows == 8
    assert Counter((row["severity_label"], row["sample"]) for row in table.to_pylist()) == {
        ("critical", False): 1,
        ("critical", True): 1,
        ("high", False): 1,
        ("high", True): 1,
        ("medium", False): 1,
        ("medium", True): 1,
        ("low", False): 1,
        ("low", True): 1,
    }
    assert Counter(table["type"].to_pylist()) == {
        "PrivilegeEscalation:IAMUser/AdministrativePermissions": 6,
        "AttackSequence:IAM/CompromisedCredentials": 1,
        "AttackSequence:S3/CompromisedData": 1,
    }
    assert Counter(table["api"].to_pylist()) == {"PutRolePolicy": 6, None: 2}
    # Some exports write times with a space and nanoseconds.
    assert datetime(2025, 2, 25, 20, 40, 6, 721000, tzinfo=UTC) in table["updated_at"].to_pylist()


def test_all_probes_of_a_port_probe_are_kept() -> None:
    probes = [
        {
            "localPortDetails": {"port": local},
            "localIpDetails": {"ipAddressV4": "10.0.9.9"},
            "remoteIpDetails": {"ipAddressV4": remote},
        }
        for local, remote in (
            (9200, "203.0.113.10"),
            (6379, "198.51.100.77"),
            (9200, "2001:db8::1"),
        )
    ]
    action = {"portProbeAction": {"blocked": True, "portProbeDetails": [*probes, None, "x"]}}
    row = guardduty.to_row(with_action(action))
    assert (row["remote_address"], row["local_port"]) == ("203.0.113.10", 9200)
    assert row["remote_addresses"] == ["203.0.113.10", "198.51.100.77", "2001:db8::1"]
    assert (row["local_ports"], row["local_addresses"]) == (["9200", "6379"], ["10.0.9.9"])
    assert row["blocked"] is True


SEQUENCE = {
    "uid": "s1",
    "actors": [
        {
            "id": "a1",
            "user": {"name": "deploy", "credentialUid": "ASIASEQ1", "type": "AssumedRole"},
        },
        {"id": "a2", "process": {"name": "xmrig"}},
    ],
    "endpoints": [
        {"id": "e1", "ip": "198.51.100.77", "port": 6379, "domain": "Pool.Example.net."},
        {"id": "e2", "ip": "2001:db8::7", "port": "443"},
        {"id": "e3", "domain": "c2.example.net"},
    ],
    "resources": [
        {
            "uid": "arn:aws:ec2:us-east-1:111122223333:instance/i-0aa11bb22cc33dd44",
            "resourceType": "EC2_INSTANCE",
            "data": {"ec2Instance": {"instanceState": "running"}},
        },
        {
            "uid": "eni-0seq",
            "data": {
                "ec2NetworkInterface": {
                    "privateIpAddresses": [{"privateIpAddress": "10.0.9.9"}],
                    "publicIp": "192.0.2.44",
                }
            },
        },
        {"uid": "ASIASEQ2", "data": {"accessKey": {"userName": "backup"}}},
        {"uid": "bucket", "data": {"s3Bucket": {}}},
    ],
}


@pytest.mark.parametrize("spelling", [lambda value: value, pascal])
def test_attack_sequence(spelling) -> None:
    service = {"detection": {"sequence": SEQUENCE}}
    finding = FINDING | {"resource": {}, "service": service, "type": "AttackSequence:EC2/X"}
    row = guardduty.to_row(spelling(finding))
    assert (row["instance_id"], row["instance_ids"]) == (
        "i-0aa11bb22cc33dd44",
        ["i-0aa11bb22cc33dd44"],
    )
    assert (row["interface_ids"], row["local_address"]) == (["eni-0seq"], "10.0.9.9")
    assert (row["remote_address"], row["remote_port"]) == ("198.51.100.77", 6379)
    assert row["remote_addresses"] == ["198.51.100.77", "2001:db8::7"]
    assert row["remote_ports"] == ["6379", "443"]
    assert (row["domain"], row["domains"]) == (
        "pool.example.net",
        ["pool.example.net", "c2.example.net"],
    )
    assert (row["access_key_id"], row["access_key_ids"]) == ("ASIASEQ1", ["ASIASEQ1", "ASIASEQ2"])
    assert row["principal_names"] == ["deploy", "backup"]


@pytest.mark.parametrize("sequence", [None, [], "x", {"actors": {"a": 1}, "endpoints": [1, None]}])
def test_a_sequence_of_another_shape_has_no_values(sequence) -> None:
    finding = FINDING | {"resource": {}, "service": {"detection": {"sequence": sequence}}}
    row = guardduty.to_row(finding)
    assert (row["instance_id"], row["remote_addresses"], row["access_key_ids"]) == (None, [], [])
