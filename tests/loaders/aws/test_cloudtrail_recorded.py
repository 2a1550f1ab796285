"""CloudTrail as others really recorded it: attack techniques, and lookup-events of a tool."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flowbench.loaders.aws import cloudtrail


@pytest.fixture(scope="module")
def stratus(samples: Path) -> list[dict]:
    """Events of the detonated attack techniques, as read."""
    rows = []
    for path in sorted(samples.glob("cloudtrail/stratus/*.json")):
        rows += map(cloudtrail.to_row, cloudtrail.matches(json.loads(path.read_text())) or [])
    return cloudtrail.TABLE.rows(rows).to_pylist()


def test_events_of_the_attack_techniques(stratus: list[dict]) -> None:
    assert len(stratus) == len({row["event_id"] for row in stratus}) == 310
    assert Counter(row["principal_type"] for row in stratus) == {
        "IAMUser": 241,
        "AssumedRole": 68,
        "FederatedUser": 1,
    }
    names = Counter(row["principal_name"] for row in stratus)
    assert names["christophe"] == 239
    assert names["stratus-red-team-ec2-steal-credentials-role/i-786a3A8B5C0d92eF4"] == 2
    assert None not in names
    assert sum(row["error_code"] is not None for row in stratus) == 52


def test_access_keys_handed_out_in_them(stratus: list[dict]) -> None:
    made = [row for row in stratus if row["new_access_key_id"]]
    assert Counter(row["event_name"] for row in made) == {
        "AssumeRole": 8,
        "CreateAccessKey": 2,
        "GetFederationToken": 1,
    }
    assert ("malicious-iam-user", "AKIAXAFZN8JEPF6L682H") in {
        (row["target_user"], row["new_access_key_id"]) for row in made
    }


def test_no_secret_of_them_survives(samples: Path, stratus: list[dict]) -> None:
    secrets: set[str] = set()

    def gather(value: object) -> None:
        for key, inside in value.items() if isinstance(value, dict) else ():
            if key in {"sessionToken", "secretAccessKey", "tokenValue"}:
                secrets.add(inside)
            gather(inside)
        for inside in value if isinstance(value, list) else ():
            gather(inside)

    for path in samples.glob("cloudtrail/stratus/*.json"):
        gather(json.loads(path.read_text()))
    assert len(secrets) == 10
    everything = "\n".join(str(row) for row in stratus)
    assert not [secret for secret in secrets if secret in everything]
    assert "IQoJb3JpZ2luX2Vj" not in everything  # how each of these session tokens starts


def test_lookup_events_of_another_tool(samples: Path) -> None:
    lines = (samples / "cloudtrail/plaso/aws_cloudtrail.jsonl").read_text().splitlines()
    rows = [
        cloudtrail.to_row(each) for line in lines for each in cloudtrail.matches(json.loads(line))
    ]
    assert [row["event_name"] for row in rows] == [
        "DescribeInstances",
        "TerminateInstances",
        "StopInstances",
        "SharedSnapshotVolumeCreated",
        "RunInstances",
        "CreateSecurityGroup",
    ]
    run = rows[4]
    assert run["event_time"] == datetime(2022, 2, 7, 22, 19, 5, tzinfo=UTC)
    assert (run["principal_name"], run["read_only"]) == ("fakeusername", False)
    assert run["instance_ids"] == ["i-01234567890123456"]
    assert run["interface_ids"] == ["eni-01234567890123456"]
    assert run["addresses"] == ["1.2.3.4"]
