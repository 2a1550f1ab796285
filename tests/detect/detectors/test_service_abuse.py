"""Unexpected use of credentials and services is found; ordinary use is not."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest

from flowbench import detect
from flowbench.case import Case
from tests.traffic import T0, Record, connect, interface, make_case, move

HOUR, DAY = 3_600, 86_400
HOST, OTHER, SAAS, EXTERNAL = "10.0.0.5", "10.0.7.6", "203.0.113.200", "198.51.100.66"
NAT, NAT2, INSTANCE, OTHER_INSTANCE = "203.0.113.10", "203.0.113.20", "i-0aaaa1111", "i-0bbbb2222"
THIRD, THIRD_INSTANCE = "10.0.8.7", "i-0cccc3333"
ACCOUNT = "arn:aws:sts::111122223333:assumed-role/"


def attached(address: str, name: str, instance: str, **more: Any) -> dict[str, Any]:
    return interface(address, name, VpcId="vpc-1", Attachment={"InstanceId": instance}, **more)


def gateway(address: str, name: str, public: str, vpc: str) -> dict[str, Any]:
    return interface(address, name, kind="nat_gateway", VpcId=vpc, Association={"PublicIp": public})


INTERFACES = [
    attached(HOST, "a", INSTANCE),
    attached(OTHER, "b", OTHER_INSTANCE, Association={"PublicIp": "203.0.113.30"}),
    gateway("10.0.9.1", "n", NAT, "vpc-1"),
    gateway("10.5.9.1", "m", NAT2, "vpc-2"),
]


def call(
    who: str,
    source: str,
    at: float,
    name: str = "GetObject",
    *,
    service: str = "s3",
    number: int = 0,
    **more: Any,
) -> dict[str, Any]:
    """A call by role/session, or by a user where there is no slash."""
    user = "/" not in who
    identity = (
        {"type": "IAMUser", "userName": who, "arn": f"arn:aws:iam::111122223333:user/{who}"}
        if user
        else {"type": "AssumedRole", "arn": ACCOUNT + who, "accessKeyId": f"ASIA{who[-5:]}"}
    )
    return {
        "eventVersion": "1.08", "eventID": f"{who}-{name}-{at}-{number}", "eventName": name,
        "eventTime": pd.Timestamp(T0 + at, unit="s").strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": f"{service}.amazonaws.com", "awsRegion": "us-east-1",
        "userIdentity": identity, "sourceIPAddress": source,
    } | more  # fmt: skip


def look_up(host: str, name: str, at: float, answer: str = SAAS) -> dict[str, Any]:
    return {
        "version": "1.100000", "account_id": "1", "region": "us-east-1", "vpc_id": "vpc-1",
        "query_timestamp": pd.Timestamp(T0 + at, unit="s").strftime("%Y-%m-%dT%H:%M:%SZ"),
        "query_name": name + ".", "rcode": "NOERROR", "query_type": "A", "query_class": "IN",
        "srcaddr": host, "srcport": "5", "transport": "UDP",
        "answers": [{"Rdata": answer, "Type": "A", "Class": "IN"}],
    }  # fmt: skip


def alive(*hosts: str) -> list[Record]:
    """Hosts that call something for four days."""
    return [
        record
        for host in hosts
        for hour in [*range(0, 96, 6), 95.9]
        for record in connect(host, SAAS, 443, T0 + int(hour * HOUR), source_port=40_000)
    ]


def run(case: Case) -> list[dict[str, Any]]:
    return detect.run(case, only=["service-abuse"]).to_pandas().to_dict("records")


def own(count: int = 6, *, instance: str = INSTANCE, host: str = HOST) -> list[dict[str, Any]]:
    """Ordinary calls of an instance: from its NAT gateway, and by an endpoint."""
    return [
        call(f"web/{instance}", NAT if n % 2 else host, n * HOUR, number=n) for n in range(count)
    ]


# ---- instance credentials used elsewhere ---------------------------------------------------------


class Stolen(NamedTuple):
    """What a stranger called with an instance's credentials."""

    instance: str
    host: str
    external: str
    at: float
    count: int

    def calls(self) -> list[dict[str, Any]]:
        return [
            call(
                f"web/{self.instance}",
                self.external,
                self.at + n * 60,
                "ListBuckets",
                number=n,
                errorCode="AccessDenied",
            )
            for n in range(self.count)
        ]


def steal(number: int, seed: int, *, ip6: bool) -> Stolen:
    chance = random.Random(seed)
    six = f"2001:db8:{number}{chance.randrange(9)}::{chance.randrange(1, 99)}"
    return Stolen(
        f"i-0aaaa111{number}",
        move(HOST, number),
        six if ip6 else move(EXTERNAL, number),
        chance.uniform(1, 90) * HOUR,
        chance.randrange(1, 9),
    )


def test_credentials_used_outside_are_high(tmp_path: Path) -> None:
    kinds = [(seed, ip6) for seed in (21, 22, 23) for ip6 in (False, True)]
    thefts = [steal(n, seed, ip6=ip6) for n, (seed, ip6) in enumerate(kinds, 1)]
    listed, calls, items = INTERFACES[1:], [], {}
    for n, theft in enumerate(thefts):
        listed = [*listed, attached(theft.host, f"a{n}", theft.instance)]
        calls += own(instance=theft.instance, host=theft.host)
        items[theft.host] = list(range(len(calls) + 1, len(calls) + 1 + theft.count))
        calls += theft.calls()
    hosts = [theft.host for theft in thefts]
    case = make_case(tmp_path, alive(*hosts), interfaces=listed, json_lines=calls)
    rows = {row["subject"]: row for row in run(case)}
    assert rows.keys() == items.keys()
    for _, host, external, at, count in thefts:
        row = rows[host]
        assert (row["severity"], row["peer"]) == ("high", external)
        assert row["title"] == "AWS credentials used from an unexpected location"
        assert f"called AWS {count} time" in row["summary"]
        assert (
            f"from {external}, which is not in the address inventory: ListBuckets {count}x"
            in row["summary"]
        )
        came = f"Its other 6 calls came from {host}, {NAT}"
        assert f"{count} denied or failed. {came}" in row["summary"]
        assert row["first_seen"] == pd.Timestamp(T0 + int(at), unit="s", tz="UTC")
        events = case.evidence_for(row)
        assert events["source_ip"].tolist() == [external] * count
        assert events["item"].tolist() == items[host]
        assert set(events["file"]) == {"other.jsonl"}


def test_use_by_another_host_is_high_and_by_another_gateway_medium(tmp_path: Path) -> None:
    beyond = attached(THIRD, "c", THIRD_INSTANCE)
    calls = [*own(), *own(instance=THIRD_INSTANCE, host=THIRD)]
    calls.append(call(f"web/{INSTANCE}", OTHER, HOUR, number=9))
    calls.append(call(f"web/{THIRD_INSTANCE}", NAT2, HOUR, number=9))
    case = make_case(
        tmp_path, alive(HOST, THIRD), interfaces=[*INTERFACES, beyond], json_lines=calls
    )
    rows = {row["subject"]: row for row in run(case)}
    assert rows.keys() == {HOST, THIRD}
    assert (rows[HOST]["severity"], rows[HOST]["peer"]) == ("high", OTHER)
    assert "another internal host" in rows[HOST]["summary"]
    assert rows[THIRD]["severity"] == "medium"
    assert "the NAT gateway of another VPC" in rows[THIRD]["summary"]


def test_expected_addresses_and_aws_services_are_silent(tmp_path: Path) -> None:
    calls = [
        *own(),
        call(f"b/{OTHER_INSTANCE}", "203.0.113.30", HOUR),
        call(f"b/{OTHER_INSTANCE}", OTHER, 2 * HOUR),
    ]
    calls += [call(f"web/{INSTANCE}", "ec2.amazonaws.com", HOUR, number=7)]
    calls += [call(f"web/{INSTANCE}", "AWS Internal", HOUR, number=8)]
    assert run(make_case(tmp_path, alive(HOST), interfaces=INTERFACES, json_lines=calls)) == []


def test_an_egress_address_that_no_inventory_lists(tmp_path: Path) -> None:
    hosts = [attached(f"10.0.0.{n}", f"h{n}", f"i-0cccc000{n}") for n in range(3)]
    calls = [
        call(f"web/i-0cccc000{n}", NAT, n * HOUR + m, number=m) for n in range(3) for m in range(3)
    ]
    assert run(make_case(tmp_path / "1", alive(HOST), interfaces=hosts, json_lines=calls)) == []
    calls.append(call("web/i-0cccc0001", EXTERNAL, 30 * HOUR))
    (row,) = run(make_case(tmp_path / "2", alive(HOST), interfaces=hosts, json_lines=calls))
    assert (row["subject"], row["peer"]) == ("10.0.0.1", EXTERNAL)
    assert f"{NAT} is assumed to be its egress address" in row["caveats"]


def test_most_calls_make_no_egress_address_where_other_instances_show_it(tmp_path: Path) -> None:
    egress = "203.0.113.99"
    others = [call(f"app/i-0{n}", egress, n * HOUR, number=50 + n) for n in range(3)]
    mine = [call(f"web/{INSTANCE}", egress, n * HOUR, number=n) for n in range(4)]
    stolen = [call(f"web/{INSTANCE}", EXTERNAL, 5 * HOUR + n, number=60 + n) for n in range(40)]
    case = make_case(tmp_path, alive(HOST), json_lines=[*others, *mine, *stolen])
    (row,) = run(case)
    # Without an inventory the instance's addresses are unknown.
    assert (row["peer"], row["severity"]) == (EXTERNAL, "medium")
    assert "called AWS 40 times" in row["summary"]
    assert f"{egress} is assumed to be its egress address" in row["caveats"]


def test_an_instance_without_known_addresses(tmp_path: Path) -> None:
    calls = [*own(), call(f"web/{INSTANCE}", EXTERNAL, HOUR, number=9)]
    (row,) = run(
        make_case(
            tmp_path, alive(HOST), json_lines=[c for c in calls if c["sourceIPAddress"] != HOST]
        )
    )
    assert (row["subject"], row["peer"], row["severity"]) == (INSTANCE, EXTERNAL, "medium")
    assert "No evidence gives the addresses of the instance" in row["caveats"]


@pytest.mark.parametrize("source", [EXTERNAL, "2001:db8::66"])
def test_an_address_of_a_user_is_no_egress_address(tmp_path: Path, source: str) -> None:
    """CloudTrail alone: all calls of the instance's session come from where a user works."""
    session = [call(f"web/{INSTANCE}", source, HOUR + n, "DescribeInstances") for n in range(3)]
    user = [call("mallory", source, HOUR - 30, "SendCommand", service="ssm")]
    case = make_case(tmp_path / "1", [], json_lines=[*session, *user])
    (row,) = run(case)
    assert (row["subject"], row["peer"], row["severity"]) == (INSTANCE, source, "medium")
    assert "The user mallory calls from there too." in row["summary"]
    assert len(case.evidence_for(row)) == 3
    elsewhere = [call("mallory", "203.0.113.77", HOUR)]
    assert run(make_case(tmp_path / "2", [], json_lines=[*session, *elsewhere])) == []


# ---- concurrent use from several networks --------------------------------------------------------


def test_one_principal_alternates_between_networks(tmp_path: Path) -> None:
    turns = {  # by principal
        "alice": ["198.51.100.4", "203.0.113.4", "198.51.100.9", "203.0.113.4"],
        "admin/alice": ["198.52.100.4", "203.1.113.4", "198.52.100.9", "203.1.113.4"],
    }
    calls = [
        call(who, source, 9 * HOUR + n * 900)
        for who, sources in turns.items()
        for n, source in enumerate(sources)
    ]
    case = make_case(tmp_path, alive(HOST), json_lines=calls)
    rows = {row["subject"]: row for row in run(case)}
    assert rows.keys() == turns.keys()
    for who, row in rows.items():
        assert row["severity"] == "medium"
        assert row["title"] == "AWS credentials used from an unexpected location"
        assert "from 2 networks alternately, changing 3 times within an hour" in row["summary"]
        assert row["peers"].tolist() == sorted(set(turns[who]))
        assert case.evidence_for(row)["source_ip"].tolist() == turns[who]


def test_a_move_and_many_runners_are_silent(tmp_path: Path) -> None:
    home = [call("alice", "198.51.100.4", n * HOUR) for n in range(8)]
    home += [call("alice", "203.0.113.4", n * HOUR) for n in range(12, 20)]
    home += [call("alice", "198.51.100.4", n * HOUR) for n in range(24, 30)]
    runners = [call("ci", f"198.{51 + n % 7}.100.4", n * 60) for n in range(60)]
    inside = [call("bob", HOST if n % 2 else "198.51.100.4", n * 60) for n in range(8)]
    two = [call(f"deploy/run-{n}", f"198.{51 + n}.100.4", n * 60) for n in range(4)]
    calls = [*home, *runners, *inside, *two]
    assert run(make_case(tmp_path, alive(HOST), json_lines=calls)) == []


# ---- new services --------------------------------------------------------------------------------


def test_a_new_service_that_grants_permissions_is_medium(tmp_path: Path) -> None:
    names = [look_up(HOST, "s3.us-east-1.amazonaws.com", n * 6 * HOUR) for n in range(15)]
    names += [look_up(HOST, "ssm.us-east-1.amazonaws.com", 3 * DAY)]
    quiet = make_case(tmp_path / "1", alive(HOST), json_lines=names)
    assert run(quiet) == []
    names += [look_up(HOST, "iam.amazonaws.com", 3 * DAY + n) for n in range(4)]
    case = make_case(tmp_path / "2", alive(HOST), json_lines=names)
    (row,) = run(case)
    looked_up = case.evidence_for(row).query("kind == 'dns'")
    assert looked_up["name"].tolist() == ["iam.amazonaws.com"] * 4
    assert (row["severity"], row["subject"], row["peer"]) == ("medium", HOST, SAAS)
    assert "1 AWS service that no host in its peer group used in the first 48.0 h" in row["summary"]
    assert (
        "iam from 2026-09-04 00:00 on (DNS, 4x). Services that grant or monitor permissions: iam."
        in row["summary"]
    )
    assert "the case has no CloudTrail" in row["caveats"]


def test_services_by_flow_logs_and_by_the_roles_calls(tmp_path: Path) -> None:
    records = [*alive(HOST), *connect(HOST, "203.0.113.77", 443, T0 + 3 * DAY)]
    asks = call(f"web/{INSTANCE}", NAT, 3 * DAY, "ListRoles", service="organizations")
    named = [Serviced(**vars(record)) for record in records]
    case = make_case(tmp_path, named, interfaces=INTERFACES, json_lines=[asks])
    (row,) = run(case)
    assert (row["severity"], row["peer"]) == ("medium", "203.0.113.77")
    assert "dynamodb from 2026-09-04 00:00 on (flow logs, 1x)" in row["summary"]
    assert "organizations from 2026-09-04 00:00 on (CloudTrail, 1x)" in row["summary"]
    assert case.evidence_for(row)["kind"].tolist() == ["flow-logs"] * 2 + ["cloudtrail"]


class Serviced(Record):
    """A record that names the service of one address."""

    @property
    def pkt_dst_aws_service(self) -> str | None:
        return "DYNAMODB" if self.dstaddr == "203.0.113.77" else None


def test_what_neighbours_use_and_what_many_begin_is_silent(tmp_path: Path) -> None:
    near, hosts = "10.0.0.9", [HOST, "10.0.1.5", "10.0.2.5"]
    names = [look_up(near, "secretsmanager.us-east-1.amazonaws.com", HOUR)]
    names += [look_up(HOST, "secretsmanager.us-east-1.amazonaws.com", 3 * DAY)]
    names += [look_up(host, "sqs.us-east-1.amazonaws.com", 3 * DAY) for host in hosts]
    names += [look_up("10.0.44.5", "iam.amazonaws.com", 3 * DAY)]  # a new host
    names += [look_up(HOST, "ec2-1-2-3-4.compute-1.amazonaws.com", 3 * DAY)]
    names += [look_up(HOST, "iam.amazonaws.com.evil.example", 3 * DAY)]
    assert run(make_case(tmp_path, alive(near, *hosts), json_lines=names)) == []


def test_text_of_attackers_is_only_text(tmp_path: Path) -> None:
    strange = [
        call("<script>/x'; --\x1b[31m", "10.0.0.300", HOUR),
        call("x", "::ffff:1.2.3.4%eth0", 2),
    ]
    strange += [call(f"web/{INSTANCE}", EXTERNAL, HOUR, "=cmd|'/C calc'!A0<b>"), *own()]
    (row,) = run(make_case(tmp_path, alive(HOST), interfaces=INTERFACES, json_lines=strange))
    assert "=cmd|'/C calc'!A0<b> 1x" in row["summary"]


def test_an_empty_case(tmp_path: Path) -> None:
    assert not detect.run(Case.create(tmp_path / "c"), only=["service-abuse"])
