"""API calls of sessions and users: whose they are, where from, and which are unexpected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from flowbench.detect.credential_use import (
    find_alternating_use,
    find_unexpected_use,
    public_addresses,
    read_assignments,
    read_calls,
)
from tests.traffic import T0, connect, interface, make_case

HOST, NAT, EXTERNAL, INSTANCE = "10.0.0.5", "203.0.113.10", "198.51.100.66", "i-0aaaa1111"
INTERFACES = [
    interface(HOST, "a", VpcId="vpc-1", Attachment={"InstanceId": INSTANCE}),
    interface("10.0.9.1", "n", kind="nat_gateway", VpcId="vpc-1", Association={"PublicIp": NAT}),
]
HOUR = pd.Timedelta(hours=1)


def call(session: str, source: str, at: int, kind: str = "AssumedRole") -> dict[str, Any]:
    arn = f"arn:aws:sts::111122223333:assumed-role/{session}"
    return {
        "eventVersion": "1.08",
        "eventID": f"{session}-{at}",
        "eventName": "GetObject",
        "eventTime": pd.Timestamp(T0 + at, unit="s").strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": "s3.amazonaws.com",
        "awsRegion": "us-east-1",
        "userIdentity": {"type": kind, "arn": arn, "accessKeyId": f"ASIA{session[-5:]}"},
        "sourceIPAddress": source,
    }


def make_calls(*rows: tuple[str | None, str, int]) -> pd.DataFrame:
    """Calls as ``read_calls`` returns them, of (instance, source, minute)."""
    return pd.DataFrame(
        {
            "instance": [instance for instance, _source, _minute in rows],
            "source_ip": [source for _instance, source, _minute in rows],
            "event_time": [pd.Timestamp(T0 + 60 * minute, unit="s") for *_rest, minute in rows],
            "principal_name": "admin/alice",
            "principal_type": "AssumedRole",
            "access_key_id": "ASIA1",
            "network": [source.rpartition(".")[0] for _instance, source, _minute in rows],
        }
    )


def make_assignments(*rows: tuple[str, str | None, str | None, list[str] | None]) -> pd.DataFrame:
    columns = ["address", "instance_id", "service", "public_addresses"]
    return pd.DataFrame(rows, columns=columns).assign(vpc_id="vpc-1")


def test_calls_have_instance_network_and_file(tmp_path: Path) -> None:
    events = [
        call(f"web/{INSTANCE}", EXTERNAL, 60),
        call("admin/alice", "2001:db8:1:2::3", 0),
        call(f"web/{INSTANCE}", HOST, 120),
        call("web/x", "ec2.amazonaws.com", 180),
        call("web/y", EXTERNAL, 240, "AWSService"),
    ]
    case = make_case(
        tmp_path, connect(HOST, EXTERNAL, 443, T0), interfaces=INTERFACES, json_lines=events
    )
    calls = read_calls(case)
    assert calls["source_ip"].tolist() == ["2001:db8:1:2::3", EXTERNAL, HOST]
    assert calls["network"].tolist()[:2] == ["2001:db8::/32", "198.51.0.0/16"]
    assert calls["network"].isna().tolist() == [False, False, True]
    assert calls["instance"].tolist()[1:] == [INSTANCE, INSTANCE]
    assert calls["instance"].isna().tolist() == [True, False, False]
    assert set(calls["file"]) == {"other.jsonl"}
    assignments = read_assignments(case)
    assert public_addresses(assignments) == {NAT}
    (use,) = find_unexpected_use(calls, assignments)
    assert (use.instance, use.host, use.origin) == (INSTANCE, HOST, "external")
    assert use.calls["source_ip"].tolist() == [EXTERNAL]
    assert use.expected["source_ip"].tolist() == [HOST]


def test_the_origin_is_a_gateway_only_if_all_unexpected_calls_are() -> None:
    assignments = make_assignments(
        ("10.0.0.1", "i-1", None, ["203.0.113.1"]), ("10.0.0.2", "i-2", None, None)
    )
    other_vpc = make_assignments(("10.5.0.9", None, "nat-gateway", ["203.0.113.9"]))
    assignments = pd.concat([assignments, other_vpc.assign(vpc_id="vpc-2")], ignore_index=True)
    origins = []
    for sources in (["203.0.113.9"], ["203.0.113.9", "10.0.0.2"], ["203.0.113.9", EXTERNAL]):
        calls = make_calls(*(("i-1", source, 0) for source in ["203.0.113.1", *sources]))
        (use,) = find_unexpected_use(calls, assignments)
        assert use.expected["source_ip"].tolist() == ["203.0.113.1"]
        origins.append(use.origin)
    assert origins == ["nat-gateway", "internal", "external"]


def test_egress_is_assumed_from_three_instances_or_from_most_calls() -> None:
    none = make_assignments()
    shared = make_calls(*((f"i-{n}", NAT, n) for n in range(3)), ("i-0", EXTERNAL, 9))
    (use,) = find_unexpected_use(shared, none)
    assert (use.instance, use.host, use.has_addresses) == ("i-0", "i-0", False)
    assert (use.assumed_egress, use.calls["source_ip"].tolist()) == ([NAT], [EXTERNAL])
    half = make_calls(("i-0", NAT, 0), ("i-0", EXTERNAL, 1))
    (use,) = find_unexpected_use(half, none)
    assert (use.assumed_egress, len(use.calls)) == ([], 2)
    most = make_calls(("i-0", NAT, 0), ("i-0", NAT, 1), ("i-0", EXTERNAL, 2))
    (use,) = find_unexpected_use(most, none)
    assert (use.assumed_egress, len(use.calls)) == ([NAT], 1)


def test_alternating_use_needs_two_changes_within_the_time() -> None:
    first, second = "198.51.100.4", "203.0.113.4"
    back = make_calls((None, first, 0), (None, second, 60), (None, first, 120))
    ((credentials, calls, changes),) = find_alternating_use(back, within=HOUR)
    assert (credentials, len(calls)) == ("ASIA1", 3)
    assert changes["source_ip"].tolist() == [second, first]
    late = make_calls((None, first, 0), (None, second, 60), (None, first, 121))
    assert not list(find_alternating_use(late, within=HOUR))
    assert not list(find_alternating_use(back, most_networks=1, within=HOUR))
