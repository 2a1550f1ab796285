"""Who held which address when: inventories, API events, AWS Config and logs put in order."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ibis
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from flowbench.case import Case
from flowbench.connections import zones
from flowbench.enrich import assignments, interface_events
from flowbench.enrich.assignment_sequence import EARLIEST
from flowbench.enrich.interface_events import InterfaceEvent, Origin
from flowbench.enrich.inventory import assignment_at
from flowbench.loaders.aws import elastic_ips, instances
from flowbench.loaders.aws import interfaces as network_interfaces
from flowbench.schema import Table
from tests.incident_case import api_event, format_time, started
from tests.traffic import T0, connect, interface, make_case

A, B, OUT = "10.0.0.5", "10.0.0.9", "203.0.113.7"
HOUR = 3600
V3 = (
    "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start"
    " end action log-status vpc-id subnet-id instance-id"
)


def hour(when: datetime | None) -> float | None:
    return None if when is None else (when.timestamp() - T0) / HOUR


def held(case: Case, address: str = A) -> list[tuple[Any, ...]]:
    """Interface, instance, from, until, known from; times in hours after T0."""
    table = case.address_assignments.filter(case.address_assignments.address == address)
    return [
        (
            row["interface_id"],
            row["instance_id"],
            hour(row["valid_from"]),
            hour(row["valid_until"]),
            row["known_from"],
        )
        for row in table.to_pyarrow().to_pylist()
    ]


def attached(instance: str, at: float | None, **more: Any) -> dict[str, Any]:
    """The Attachment of an interface, since some hours after T0."""
    time = {} if at is None else {"AttachTime": format_time(int(T0 + at * HOUR))}
    return {"AttachmentId": f"eni-attach-{instance}", "InstanceId": instance, **time, **more}


def ran(at: float, instance: str, eni: str, address: str = A, n: int = 0) -> dict[str, Any]:
    return api_event(f"run{n}", "RunInstances", int(T0 + at * HOUR),
                response=started(instance, eni, address))  # fmt: skip


def event(name: str, at: float, request: Any = None, response: Any = None) -> dict[str, Any]:
    return api_event(f"{name}{at}", name, int(T0 + at * HOUR), request=request, response=response)


def ended(at: float, instance: str) -> dict[str, Any]:
    return event("TerminateInstances", at, {"instancesSet": {"items": [{"instanceId": instance}]}})


def small(folder: Path, events: list[dict[str, Any]], listed: Any = None, **more: Any) -> Case:
    records = more.pop("records", connect(B, OUT, 443, T0, interface_id="eni-other"))
    return make_case(folder, records, interfaces=listed, json_lines=events, **more)


def test_one_address_three_instances_in_turn(tmp_path: Path) -> None:
    """One known by the logs alone, one by CloudTrail, one by the inventory taken last."""
    records = [
        *connect(A, OUT, 443, T0, interface_id="eni-1"),
        *connect(A, "198.51.100.1", 443, T0 + HOUR, interface_id="eni-1", source_port=41_000),
        *connect(A, OUT, 443, T0 + 4 * HOUR, interface_id="eni-2", source_port=42_000),
        *connect(A, OUT, 443, T0 + 9 * HOUR, interface_id="eni-3", source_port=43_000),
    ]
    listed = [interface(A, "3", Attachment=attached("i-0ccc3333", 8))]
    case = small(
        tmp_path, [ran(3, "i-0bbb2222", "eni-2"), ended(5, "i-0bbb2222")], listed, records=records
    )
    assert held(case) == [
        ("eni-1", None, None, 3, "logs"),
        ("eni-2", "i-0bbb2222", 3, 5, "cloudtrail"),
        ("eni-3", "i-0ccc3333", 8, None, "inventory"),
    ]
    rows = case.addresses.filter(case.addresses.address == A).to_pyarrow().to_pylist()
    assert [row["instance_id"] for row in rows] == [None, "i-0bbb2222", "i-0ccc3333"]
    assert [hour(row["valid_until"]) for row in rows] == [3, 5, None]


def test_an_address_with_one_assignment_has_one_row(tmp_path: Path) -> None:
    listed = [interface(A, "a", Attachment=attached("i-0aaa1111", -1))]
    records = connect(A, OUT, 443, T0)
    case = small(tmp_path, [ran(-1, "i-0aaa1111", "eni-a")], listed, records=records)
    assert held(case) == [("eni-a", "i-0aaa1111", -1, None, "inventory")]
    assert case.addresses.filter(case.addresses.address == A).count().to_pyarrow().as_py() == 1


def test_the_logs_name_instances_and_their_vpc(tmp_path: Path) -> None:
    lines = [V3]
    for eni, instance, at in (("eni-1", "i-1", 0), ("eni-1", "i-2", 5), ("eni-9", "-", 7)):
        start = T0 + at * HOUR
        lines += [
            f"3 111122223333 {eni} {A} {peer} 4000 443 6 1 40 {start} {start + 59} ACCEPT OK"
            f" vpc-1 subnet-1 {instance}"
            for peer in (OUT, "198.51.100.1")
        ]
    (tmp_path / "flows.log").write_text("\n".join(lines))
    case = Case.create(tmp_path / "case")
    case.ingest(tmp_path / "flows.log")
    assert held(case) == [
        ("eni-1", "i-1", None, 5, "logs"),
        ("eni-1", "i-2", 5, 7, "logs"),
        ("eni-9", None, 7, None, "logs"),
    ]
    (row, *_) = case.address_assignments.to_pyarrow().to_pylist()
    assert (row["vpc_id"], row["subnet_id"], row["account_id"]) == (
        "vpc-1", "subnet-1", "111122223333",
    )  # fmt: skip
    assert row["service"] == "ec2"


def test_tags_and_type_in_the_logs(tmp_path: Path) -> None:
    fields = f"{V3} instance-tag interface-tag-2 interface-type"
    tail = "vpc-1 subnet-1 -"
    lines = [fields] + [
        f"11 1 eni-1 {A} {peer} 4000 443 6 1 40 {T0} {T0 + 59} ACCEPT OK {tail}"
        " a%20%3Cb%3E - nat_gateway"
        for peer in (OUT, "198.51.100.1")
    ]
    (tmp_path / "flows.log").write_text("\n".join(lines))
    case = Case.create(tmp_path / "case")
    case.ingest(tmp_path / "flows.log")
    (row,) = case.address_assignments.to_pyarrow().to_pylist()
    assert (row["service"], row["tags"]) == ("nat-gateway", [("instance-tag", "a <b>")])


def test_an_interface_that_moves_from_instance_to_instance(tmp_path: Path) -> None:
    made = {"networkInterface": {"networkInterfaceId": "eni-m", "privateIpAddress": A,
                                 "subnetId": "subnet-1", "vpcId": "vpc-1"}}  # fmt: skip

    def attach(at: float, instance: str) -> dict[str, Any]:
        return event("AttachNetworkInterface", at,
                     {"networkInterfaceId": "eni-m", "instanceId": instance},
                     {"attachmentId": f"eni-attach-{instance}"})  # fmt: skip

    events = [
        event("CreateNetworkInterface", 1, {"subnetId": "subnet-1"}, made),
        attach(2, "i-0aaa1111"),
        event("DetachNetworkInterface", 3, {"attachmentId": "eni-attach-i-0aaa1111"}),
        attach(4, "i-0bbb2222"),
        ended(5, "i-0bbb2222"),  # it is not deleted with it
        event("DeleteNetworkInterface", 6, {"networkInterfaceId": "eni-m"}),
    ]
    assert held(small(tmp_path, events)) == [
        ("eni-m", None, 1, 2, "cloudtrail"),
        ("eni-m", "i-0aaa1111", 2, 3, "cloudtrail"),
        ("eni-m", None, 3, 4, "cloudtrail"),
        ("eni-m", "i-0bbb2222", 4, 5, "cloudtrail"),
        ("eni-m", None, 5, 6, "cloudtrail"),
    ]


def test_addresses_assigned_and_unassigned(tmp_path: Path) -> None:
    more = "10.0.0.77"
    asked = {"networkInterfaceId": "eni-a",
             "privateIpAddressesSet": {"items": [{"privateIpAddress": more}]}}  # fmt: skip
    events = [
        ran(0, "i-0aaa1111", "eni-a"),
        event("AssignPrivateIpAddresses", 2, asked),
        event("UnassignPrivateIpAddresses", 4, asked),
        ran(5, "i-0bbb2222", "eni-b", more, n=1),
    ]
    case = small(tmp_path, events)
    assert held(case, more) == [
        ("eni-a", "i-0aaa1111", 2, 4, "cloudtrail"),
        ("eni-b", "i-0bbb2222", 5, None, "cloudtrail"),
    ]
    assert held(case) == [("eni-a", "i-0aaa1111", 0, None, "cloudtrail")]


def test_a_failed_call_changes_nothing(tmp_path: Path) -> None:
    failed = ended(2, "i-0aaa1111") | {"errorCode": "Client.UnauthorizedOperation"}
    case = small(tmp_path, [ran(0, "i-0aaa1111", "eni-a"), failed])
    assert held(case) == [("eni-a", "i-0aaa1111", 0, None, "cloudtrail")]


def test_a_stopped_instance_keeps_its_private_address(tmp_path: Path) -> None:
    stopped = event("StopInstances", 2, {"instancesSet": {"items": [{"instanceId": "i-0aaa1111"}]}})
    case = small(tmp_path, [ran(0, "i-0aaa1111", "eni-a"), stopped])
    assert held(case) == [("eni-a", "i-0aaa1111", 0, None, "cloudtrail")]


def test_overlapping_networks_of_two_vpcs_are_kept_apart(tmp_path: Path) -> None:
    listed = [
        interface(A, "a", VpcId="vpc-1", Attachment=attached("i-1", 1)),
        interface(A, "b", VpcId="vpc-2", Attachment=attached("i-2", 3)),
        interface(A, "c"),  # no VPC, but in the same answer
    ]
    case = small(tmp_path, [], listed)
    assert held(case, f"{A}%vpc-1") == [
        ("eni-c", None, None, None, "inventory"),
        ("eni-a", "i-1", 1, None, "inventory"),
    ]
    assert held(case, f"{A}%vpc-2") == [("eni-b", "i-2", 3, None, "inventory")]
    assert held(case) == []


def config(at: float, eni: str, configuration: Any, status: str = "OK") -> dict[str, Any]:
    return {
        "configurationItemCaptureTime": format_time(int(T0 + at * HOUR)),
        "configurationItemStatus": status,
        "awsAccountId": "111122223333",
        "resourceType": "AWS::EC2::NetworkInterface",
        "resourceId": eni,
        "configuration": configuration,
    }


def stood(eni: str, *addresses: str, instance: str | None = None, **more: Any) -> dict[str, Any]:
    own = {"instanceId": instance} if instance else {}
    listed = [{"privateIpAddress": address} for address in addresses]
    return {"networkInterfaceId": eni, "privateIpAddresses": listed, "attachment": own} | more


def test_aws_config_has_changes_and_deletion(tmp_path: Path) -> None:
    items = [
        config(1, "eni-a", stood("eni-a", A, "10.0.0.6", instance="i-1")),
        config(3, "eni-a", stood("eni-a", A, instance="i-2")),
        config(5, "eni-a", None, "ResourceDeleted"),
        config(7, "eni-b", stood("eni-b", A, instance="i-3")),
    ]
    case = small(tmp_path, items)
    assert held(case) == [
        ("eni-a", "i-1", None, 3, "inventory"),
        ("eni-a", "i-2", 3, 5, "inventory"),
        ("eni-b", "i-3", 5, None, "inventory"),
    ]
    assert held(case, "10.0.0.6") == [("eni-a", "i-1", None, 3, "inventory")]


def test_the_newest_details_of_an_interface_are_kept(tmp_path: Path) -> None:
    old, new = interface(A, "a"), interface(A, "a")
    old |= {"Attachment": attached("i-1", 1), "SubnetId": "subnet-1", "VpcId": "vpc-1",
            "TagSet": [{"Key": "Name", "Value": "old"}]}  # fmt: skip
    new |= {"Attachment": attached("i-1", 1), "TagSet": [{"Key": "Name", "Value": "new"}]}
    newer = interface(B, "b", Attachment=attached("i-2", 6))
    folder = tmp_path / "more"
    folder.mkdir()
    (folder / "2.json").write_text(json.dumps({"NetworkInterfaces": [old]}))
    case = small(tmp_path, [], [new, newer])
    case.ingest(folder)
    (row,) = (
        case.address_assignments.filter(case.address_assignments.address == A)
        .to_pyarrow()
        .to_pylist()
    )
    assert (row["name"], row["subnet_id"], row["vpc_id"]) == ("new", "subnet-1", "vpc-1")


def test_details_that_only_the_instance_has(tmp_path: Path) -> None:
    instance = {
        "InstanceId": "i-1", "ImageId": "ami-1", "State": {"Name": "running"},
        "Tags": [{"Key": "Name", "Value": "web"}, {"Key": "env", "Value": "prod"}],
        "NetworkInterfaces": [{
            "NetworkInterfaceId": "eni-a", "PrivateIpAddress": A,
            "Attachment": {"AttachTime": format_time(T0)}}],
    }  # fmt: skip
    plain = interface(
        A, "a", TagSet=[{"Key": "env", "Value": "own"}], Attachment=attached("i-1", 0)
    )
    case = small(tmp_path, [{"Reservations": [{"ReservationId": "r", "Instances": [instance]}]}],
                 [plain])  # fmt: skip
    (row,) = (
        case.address_assignments.filter(case.address_assignments.address == A)
        .to_pyarrow()
        .to_pylist()
    )
    assert row["name"] == "web"
    assert dict(row["tags"]) == {"Name": "web", "env": "own"}
    assert (row["instance_id"], row["valid_from"]) == ("i-1", datetime.fromtimestamp(T0, UTC))


def test_an_instance_that_is_terminated_in_the_inventory(tmp_path: Path) -> None:
    gone = {
        "InstanceId": "i-0aaa1111", "ImageId": "ami-1", "State": {"Name": "terminated"},
        "StateTransitionReason": "User initiated (2026-09-01 02:00:00 GMT)",
    }  # fmt: skip
    lines = [ran(0, "i-0aaa1111", "eni-a"), {"Instances": [gone]}]
    assert held(small(tmp_path, lines)) == [("eni-a", "i-0aaa1111", 0, 2, "cloudtrail")]


def test_tags_from_the_calls_that_gave_them(tmp_path: Path) -> None:
    run = ran(0, "i-0aaa1111", "eni-a")
    run["requestParameters"] = {"tagSpecificationSet": {"items": [
        {"resourceType": "instance", "tags": [{"key": "Name", "value": "=x"}]},
        {"resourceType": "volume", "tags": [{"key": "Name", "value": "disk"}]}]}}  # fmt: skip
    asked = {"resourcesSet": {"items": [{"resourceId": "i-0aaa1111"}]},
             "tagSet": {"items": [{"key": "env", "value": "<b>"}]}}  # fmt: skip
    tag = event("CreateTags", 1, asked)
    case = small(tmp_path, [run, tag])
    (row,) = (
        case.address_assignments.filter(case.address_assignments.address == A)
        .to_pyarrow()
        .to_pylist()
    )
    assert (row["name"], dict(row["tags"])) == ("=x", {"Name": "=x", "env": "<b>"})


@pytest.mark.parametrize(
    "response",
    [None, [], "x", {"instancesSet": None}, {"instancesSet": {"items": [None, 7, {"x": 1}]}},
     {"instancesSet": {"items": [{"instanceId": "i-1", "networkInterfaceSet": "x"}]}},
     {"instancesSet": {"items": [{"instanceId": "i-1", "launchTime": "soon",
                                  "networkInterfaceSet": [[], {"networkInterfaceId": 0.5}]}]}},
     {"networkInterface": []}, {"networkInterface": {"networkInterfaceId": "eni-1",
                                                     "privateIpAddressesSet": {"item": [1]}}}],
)  # fmt: skip
def test_broken_calls_are_left_out(tmp_path: Path, response: Any) -> None:
    events = [
        event(name, n, request={"networkInterfaceId": {"a": 1}, "resourcesSet": "x", "tagSet": 1},
              response=response)
        for n, name in enumerate(sorted(interface_events.READERS))
    ]  # fmt: skip
    assert held(small(tmp_path, events)) == []


STEPS = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from(["run", "end", "list"]), st.integers(0, 3)),
    max_size=12,
)


@settings(max_examples=30, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(steps=STEPS)
def test_one_vpc_has_one_assignment_at_a_time(steps: list[tuple[int, str, int]]) -> None:
    events, listed = [], []
    for at, what, who in steps:
        time, names = datetime.fromtimestamp(T0 + at * HOUR, UTC), (f"eni-{who}", f"i-{who}")
        origin = Origin("s", 1, at)
        if what == "run":
            events.append(InterfaceEvent("created", time, origin, *names, addresses=[A]))
        elif what == "end":
            events.append(InterfaceEvent("terminated", time, origin, instance_id=names[1]))
        else:
            listed.append(
                network_interfaces.to_row(stood(names[0], A, instance=names[1]))
                | {"observed_at": time, "evidence_id": "c", "item": len(listed)}
            )
    events.sort(key=lambda one: one.at)
    nothing = Table.of("seen", *((name, "string", "") for name in SEEN)).rows([])
    rows = assignments.build_assignments(
        ibis.memtable(network_interfaces.TABLE.rows(listed)),
        ibis.memtable(instances.TABLE.rows([])),
        ibis.memtable(elastic_ips.TABLE.rows([])),
        events,
        ibis.memtable(nothing),
        ibis.memtable(zones.TABLE.rows([])),
    ).to_pylist()
    end = datetime.fromtimestamp(T0 + 10**7, UTC)
    spans = [(row["valid_from"] or EARLIEST, row["valid_until"] or end) for row in rows]
    assert all(begun < until for begun, until in spans)
    assert all(one[1] <= two[0] for one, two in itertools.pairwise(spans))
    assert bool(rows) == any(what != "end" for _, what, _ in steps)


SEEN = ("interface_id", "instance_id", "first_seen", "last_seen", "vpc_id", "subnet_id",
        "account_id", "interface_type", "instance_tag", "instance_tag_2", "interface_tag",
        "interface_tag_2", "addresses")  # fmt: skip


def row(since: int | None, until: int | None) -> dict[str, Any]:
    def when(at: int | None) -> datetime | None:
        return None if at is None else datetime.fromtimestamp(T0 + at, UTC)

    return {"valid_from": when(since), "valid_until": when(until), "is": (since, until)}


@pytest.mark.parametrize(
    ("spans", "at", "expected"),
    [
        ([(None, None)], 5, (None, None)),
        ([(None, 10), (10, None)], 9, (None, 10)),
        ([(None, 10), (10, None)], 10, (10, None)),
        ([(0, 10), (90, None)], 20, (0, 10)),
        ([(0, 10), (90, None)], 60, (90, None)),
        ([(0, 10), (90, None)], -50, (0, 10)),
        ([(None, None), (5, None)], 6, (5, None)),
        ([(None, None), (5, None)], 4, (None, None)),
        ([(0, 10), (90, None)], None, (90, None)),
    ],
)
def test_the_assignment_at_a_time(spans: list[Any], at: int | None, expected: Any) -> None:
    time = None if at is None else datetime.fromtimestamp(T0 + at, UTC)
    assert assignment_at([row(*span) for span in spans], time)["is"] == expected


def test_no_assignment() -> None:
    assert assignment_at([], None) is None
