"""Pitfalls of the flow log format, each on a few realistic lines, from evidence to result.

In the order of AWS's pages on limitations and record examples.
"""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flowbench import detect
from flowbench.case import Case
from flowbench.investigate.attribution import trace
from flowbench.schema import VPC_FIELDS
from tests.traffic import T0, interface

V2 = (
    "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start"
    " end action log-status"
)
V3 = f"{V2} tcp-flags pkt-srcaddr pkt-dstaddr"
V5 = f"{V3} flow-direction"
HOST, PEER, OUT = "10.0.0.5", "10.0.1.9", "203.0.113.7"


def line(
    eni: str,
    src: str,
    sport: int,
    dst: str,
    dport: int,
    *rest: object,
    at: int = 0,
    size: int = 500,
    packets: int = 5,
    protocol: int = 6,
    action: str = "ACCEPT",
    account: str = "111122223333",
) -> str:
    """Return a record with the fields of V2 and ``rest``; ``at`` is in seconds after T0."""
    words = (2, account, eni, src, dst, sport, dport, protocol, packets, size, T0 + at,
             T0 + at + 59, action, "OK", *rest)  # fmt: skip
    return " ".join(map(str, words))


def make(folder: Path, fields: str, *lines: str, **others: Any) -> Case:
    """Return a case of a text flow log and of other JSON or text files, by name."""
    return make_from_files(folder, {"flows.log": "\n".join([fields, *lines, ""])}, **others)


def make_from_files(folder: Path, files: dict[str, str], **others: Any) -> Case:
    evidence = folder / "evidence"
    evidence.mkdir(parents=True)
    for name, text in files.items():
        (evidence / name).write_text(text)
    for name, value in others.items():
        (evidence / f"{name}.json").write_text(json.dumps(value))
    case = Case.create(folder / "case")
    loaded = case.ingest(evidence)
    assert loaded["quarantined"].sum() == 0, case.quarantine.to_pandas().to_dict("records")
    return case


def select(case: Case, *columns: str) -> list[tuple[Any, ...]]:
    """Return columns of the connections, in the order of time and ends."""
    c = case.connections
    ends = ["initiator", "responder", "service_port", "protocol", "initiator_port"]
    rows = c.order_by("first_seen", *ends).to_pyarrow().to_pylist()
    return [tuple(row[name] for name in columns) for row in rows]


def find_pairs(case: Case, detector: str) -> list[tuple[str, str]]:
    """Return subject and peer of a detector's findings."""
    found = detect.run(case, only=[detector]).to_pandas()
    return list(zip(found["subject"], found["peer"], strict=True))


ENDS = ("initiator", "responder", "service_port")
BYTES = ("bytes_out", "bytes_in", "records")


def test_records_are_unordered_and_late(tmp_path) -> None:
    parts = [
        [line("eni-a", HOST, 40_000, OUT, 443, at=n * 60, size=100),
         line("eni-a", OUT, 443, HOST, 40_000, at=n * 60, size=1_000)]
        for n in range(6)
    ]  # fmt: skip
    stamp = "20260901T{}Z"  # file names: the last of them says three in the morning
    files = {
        f"111122223333_vpcflowlogs_us-east-1_fl-01_{stamp.format(at)}_a.log": text
        for at, text in (
            ("0000", "\n".join([V2, *parts[4], *parts[1]])),
            ("0005", "\n".join([V2, *parts[5], *reversed(parts[0])])),
            ("0300", "\n".join([V2, parts[3][1], *parts[2], parts[3][0]])),
        )
    }
    case = make_from_files(tmp_path, files)
    (row,) = select(case, *ENDS, *BYTES, "first_seen", "last_seen")
    assert row[:6] == (HOST, OUT, 443, 600, 6_000, 12)
    assert row[6:] == tuple(datetime.fromtimestamp(T0 + at, UTC) for at in (0, 359))


@pytest.mark.parametrize("fields", [V2, V5])
def test_two_directions_are_one_connection(tmp_path, fields) -> None:
    out, back = ([3, HOST, OUT, "egress"], [19, OUT, HOST, "ingress"]) if fields == V5 else ([], [])
    case = make(
        tmp_path,
        fields,
        line("eni-a", OUT, 443, HOST, 40_000, *back, size=9_000),
        line("eni-a", HOST, 40_000, OUT, 443, *out, size=700),
    )
    assert select(case, *ENDS, *BYTES, "direction") == [(HOST, OUT, 443, 700, 9_000, 2, "outbound")]


def test_the_same_connection_at_both_interfaces_counts_once(tmp_path) -> None:
    case = make(
        tmp_path,
        V5,
        line("eni-a", HOST, 40_000, PEER, 5432, 3, HOST, PEER, "egress", size=700),
        line("eni-a", PEER, 5432, HOST, 40_000, 19, PEER, HOST, "ingress", size=9_000),
        line("eni-b", HOST, 40_000, PEER, 5432, 3, HOST, PEER, "ingress", size=700, at=7),
        line("eni-b", PEER, 5432, HOST, 40_000, 19, PEER, HOST, "egress", size=9_000, at=7),
    )
    assert select(case, *ENDS, *BYTES, "interface_id") == [
        (HOST, PEER, 5432, 700, 9_000, 4, "eni-a")
    ]


NAT = "10.0.9.1"
NAT_ENIS = {"NetworkInterfaces": [interface(NAT, "nat", kind="nat_gateway")]}


def through_nat(*, packets: bool) -> list[str]:
    """An exchange through a zonal NAT gateway: client's interface, then four at the gateway's."""

    def pkt(*words: object) -> tuple[object, ...]:
        return words if packets else ()

    return [
        line("eni-a", HOST, 40_000, OUT, 443, *pkt(3, HOST, OUT, "egress"), size=700),
        line("eni-a", OUT, 443, HOST, 40_000, *pkt(19, OUT, HOST, "ingress"), size=9_000),
        line("eni-nat", HOST, 40_000, NAT, 443, *pkt(3, HOST, OUT, "ingress"), size=700),
        line("eni-nat", NAT, 50_123, OUT, 443, *pkt(3, NAT, OUT, "egress"), size=700),
        line("eni-nat", OUT, 443, NAT, 50_123, *pkt(19, OUT, NAT, "ingress"), size=9_000),
        line("eni-nat", NAT, 443, HOST, 40_000, *pkt(19, OUT, HOST, "egress"), size=9_000),
    ]


def test_a_zonal_nat_gateway_with_packet_addresses(tmp_path) -> None:
    case = make(tmp_path, V5, *through_nat(packets=True), enis=NAT_ENIS)
    assert select(case, *ENDS, *BYTES, "intermediate", "direction") == [
        (HOST, OUT, 443, 700, 9_000, 4, False, "outbound"),
        (NAT, OUT, 443, 700, 9_000, 2, True, "outbound"),
    ]
    # Where only the gateway's interface is logged, the client is seen all the same.
    only = make(tmp_path / "only", V5, *through_nat(packets=True)[2:], enis=NAT_ENIS)
    assert select(only, *ENDS, *BYTES, "intermediate") == [
        (HOST, OUT, 443, 700, 9_000, 2, False),
        (NAT, OUT, 443, 700, 9_000, 2, True),
    ]


def test_a_zonal_nat_gateway_without_packet_addresses(tmp_path) -> None:
    case = make(tmp_path, V2, *through_nat(packets=False), enis=NAT_ENIS)
    # Connections of clients with the gateway are marked intermediate, and not joined with its own.
    assert select(case, *ENDS, *BYTES, "intermediate", "direction") == [
        (HOST, NAT, 443, 700, 9_000, 2, True, "internal"),
        (HOST, OUT, 443, 700, 9_000, 2, False, "outbound"),
        (NAT, OUT, 443, 700, 9_000, 2, True, "outbound"),
    ]


def test_a_nat_gateway_is_recognised_by_its_records_alone(tmp_path) -> None:
    records = [f"{text} nat_gateway" for text in through_nat(packets=True)[2:]]
    case = make(tmp_path, f"{V5} interface-type", *records)
    assert select(case, *ENDS, "intermediate") == [(HOST, OUT, 443, False), (NAT, OUT, 443, True)]


PUBLIC, NOISE = "198.51.100.77", "192.0.2.66"
REGIONAL = {
    "NatGateways": [
        {
            "NatGatewayId": "nat-0a1",
            "VpcId": "vpc-1",
            "ConnectivityType": "public",
            "AvailabilityMode": "regional",
            "NatGatewayAddresses": [{"AllocationId": "eipalloc-1", "PublicIp": PUBLIC}],
            "Tags": [{"Key": "Name", "Value": "way-out"}],
        }
    ]
}


def through_regional(*, directions: bool = True) -> list[str]:
    """An exchange at a regional NAT gateway, a scan of its address, and another exchange."""
    rows = [
        (HOST, 40_000, OUT, 443, 3, "ingress", 700),
        (PUBLIC, 50_123, OUT, 443, 3, "egress", 700),
        (OUT, 443, PUBLIC, 50_123, 19, "ingress", 9_000),
        (OUT, 443, HOST, 40_000, 19, "egress", 9_000),
        (NOISE, 55_555, PUBLIC, 3389, 2, "ingress", 60),
    ]
    return [
        line("-", src, sport, dst, dport, flags, src, dst, way if directions else "-", "nat-0a1",
             size=size)
        for src, sport, dst, dport, flags, way, size in rows
    ]  # fmt: skip


@pytest.mark.parametrize("directions", [True, False])
@pytest.mark.parametrize("listed", [True, False])
def test_a_regional_nat_gateway(tmp_path, directions, listed) -> None:
    records = through_regional(directions=directions)
    others = {"nat": REGIONAL} if listed else {}
    case = make(tmp_path, f"{V5} resource-id", *records, **others)
    assert select(case, *ENDS, *BYTES, "intermediate", "direction", "interface_id") == [
        (HOST, OUT, 443, 700, 9_000, 2, False, "outbound", None),
        (NOISE, PUBLIC, 3389, 60, 0, 1, True, "inbound", None),
        (PUBLIC, OUT, 443, 700, 9_000, 2, True, "outbound", None),
    ]
    book = {row["address"]: row for row in case.addresses.to_pyarrow().to_pylist()}
    assert [a for a, row in book.items() if row["internal"]] == [HOST, PUBLIC]
    ours = book[PUBLIC]
    assert (ours["interface_id"], ours["service"]) == ("nat-0a1", "nat-gateway")
    assert ours["name"] == ("way-out" if listed else None)


def test_a_regional_nat_gateway_that_was_only_scanned_is_known_from_the_inventory(tmp_path) -> None:
    scan = through_regional()[-1]
    fields = f"{V5} resource-id"
    assert select(make(tmp_path / "a", fields, scan), "direction") == [("external",)]
    assert select(make(tmp_path / "b", fields, scan, nat=REGIONAL), "direction") == [("inbound",)]


TGW_1, TGW_2, FAR = "10.0.8.4", "10.0.8.20", "10.50.0.9"


def test_request_and_reply_over_different_transit_gateway_interfaces(tmp_path) -> None:
    case = make(
        tmp_path,
        V5,
        line("eni-tgw1", HOST, 40_000, TGW_1, 22, 3, HOST, FAR, "ingress", size=700),
        line("eni-tgw2", TGW_2, 22, HOST, 40_000, 19, FAR, HOST, "egress", size=9_000),
    )
    assert select(case, *ENDS, *BYTES, "answered", "direction") == [
        (HOST, FAR, 22, 700, 9_000, 2, True, "internal")
    ]


def test_a_transit_gateways_own_log(tmp_path) -> None:
    fields = ("version resource-type account-id tgw-id tgw-attachment-id srcaddr dstaddr srcport "
              "dstport protocol packets bytes start end log-status tcp-flags")  # fmt: skip
    head = "6 TransitGateway 111122223333 tgw-1"
    times = f"{T0} {T0 + 59} OK"
    case = make(
        tmp_path,
        fields,
        f"{head} tgw-attach-1 {HOST} {FAR} 40000 22 6 7 700 {times} 3",
        f"{head} tgw-attach-2 {FAR} {HOST} 22 40000 6 9 9000 {times} 19",
    )
    # No action stands there: what crossed was let through.
    assert select(case, *ENDS, *BYTES, "answered", "rejected") == [
        (HOST, FAR, 22, 700, 9_000, 2, True, False)
    ]


POD, NODE_ENI = "10.0.0.77", "eni-a"


def test_a_pods_secondary_address_is_not_that_of_its_node(tmp_path) -> None:
    case = make(
        tmp_path,
        V5,
        # Its own calls: the record shows the node's primary address, the packet the pod's.
        line(NODE_ENI, HOST, 40_000, PEER, 5432, 3, POD, PEER, "egress", size=700),
        line(NODE_ENI, PEER, 5432, HOST, 40_000, 19, PEER, POD, "ingress", size=9_000),
        # Calls to it: the sender stands as it is.
        line(NODE_ENI, PEER, 41_000, HOST, 8080, 3, PEER, POD, "ingress", size=100),
        line(NODE_ENI, HOST, 8080, PEER, 41_000, 19, POD, PEER, "egress", size=200),
    )
    assert select(case, *ENDS, *BYTES) == [
        (POD, PEER, 5432, 700, 9_000, 2),
        (PEER, POD, 8080, 100, 200, 2),
    ]


def test_a_forwarding_appliance_is_not_the_sender(tmp_path) -> None:
    appliance = "10.0.7.1"
    case = make(
        tmp_path,
        V5,
        line("eni-fw", HOST, 40_000, appliance, 443, 3, HOST, OUT, "ingress", size=700),
        line("eni-fw", appliance, 40_000, OUT, 443, 3, HOST, OUT, "egress", size=690),
        line("eni-fw", OUT, 443, appliance, 40_000, 19, OUT, HOST, "ingress", size=9_000),
        line("eni-fw", appliance, 443, HOST, 40_000, 19, OUT, HOST, "egress", size=8_990),
    )
    # In and out of it are the same bytes: the larger count is kept, not the sum.
    assert select(case, *ENDS, *BYTES) == [(HOST, OUT, 443, 700, 9_000, 4)]


def test_a_load_balancer_that_preserves_the_clients_address(tmp_path) -> None:
    balancer = "10.0.6.1"
    case = make(
        tmp_path,
        V5,
        line("eni-nlb", OUT, 40_000, balancer, 443, 3, OUT, balancer, "ingress", size=700),
        line("eni-nlb", balancer, 443, OUT, 40_000, 19, balancer, OUT, "egress", size=9_000),
        line("eni-a", balancer, 40_000, HOST, 443, 3, OUT, HOST, "ingress", size=700),
        line("eni-a", HOST, 443, balancer, 40_000, 19, HOST, OUT, "egress", size=9_000),
    )
    assert select(case, *ENDS, "bytes_in", "direction") == [
        (OUT, HOST, 443, 9_000, "inbound"),
        (OUT, balancer, 443, 9_000, "inbound"),
    ]


def test_an_elastic_ip_is_known_from_the_inventory_only(tmp_path) -> None:
    mine = interface(HOST, "a", Association={"PublicIp": PUBLIC})
    case = make(
        tmp_path,
        V5,
        line("eni-a", OUT, 40_000, HOST, 22, 3, OUT, HOST, "ingress"),
        line("eni-a", HOST, 22, OUT, 40_000, 19, HOST, OUT, "egress"),
        enis={"NetworkInterfaces": [mine]},
    )
    assert select(case, *ENDS, "direction") == [(OUT, HOST, 22, "inbound")]
    book = {row["address"]: row for row in case.addresses.to_pyarrow().to_pylist()}
    assert sorted(book) == sorted([HOST, OUT, PUBLIC])
    assert book[PUBLIC]["private_address"] == HOST
    assert book[HOST]["public_addresses"] == [PUBLIC]
    assert trace(case, HOST).value("interface") == "eni-a"


@pytest.mark.parametrize("fields", [V2, V3])
def test_network_acls_are_stateless_and_security_groups_stateful(tmp_path, fields) -> None:
    def flags(*words: object) -> tuple[object, ...]:
        return words if fields == V3 else ()

    case = make(
        tmp_path,
        fields,
        # A network ACL that lets the request in and drops the reply.
        line("eni-a", OUT, 40_000, HOST, 22, *flags(2, OUT, HOST), packets=1, size=60),
        line("eni-a", HOST, 22, OUT, 40_000, *flags(18, HOST, OUT), packets=3, size=180,
             action="REJECT"),
        # A security group: one REJECT, nothing else.
        line("eni-a", OUT, 40_001, HOST, 23, *flags(2, OUT, HOST), packets=1, size=60,
             action="REJECT"),
    )  # fmt: skip
    assert select(case, *ENDS, "rejected", "answered", "rejected_records") == [
        (OUT, HOST, 22, True, False, 1),
        (OUT, HOST, 23, True, False, 1),
    ]


def test_rejected_late_packets_are_not_a_scan(tmp_path) -> None:
    records = []
    for n in range(60):  # clients whose last packets come too late, at sixty of our ports
        ends = ("eni-a", f"203.0.113.{n + 1}", 40_000 + n, HOST, 2_000 + n)
        records += [
            line(*ends, 3, ends[1], HOST, at=n),
            line("eni-a", HOST, ends[4], ends[1], ends[2], 19, HOST, ends[1], at=n),
            line(*ends, 4, ends[1], HOST, at=n + 60, action="REJECT", packets=1, size=40),
        ]
    case = make(tmp_path, V3, *records)
    assert set(select(case, "rejected", "answered", "rejected_records")) == {(False, True, 1)}
    assert {finding.detector for finding in detect.run(case)} <= {
        "blind-spot"
    }  # that is about the logs
    # Alone, hours after: a straggler still, and no attempt of anybody.
    late = line("eni-a", OUT, 40_000, HOST, 22, 4, OUT, HOST, action="REJECT", packets=1, size=40)
    assert select(make(tmp_path / "late", V3, late), "rejected") == [(False,)]


def test_accepted_is_not_answered(tmp_path) -> None:
    case = make(
        tmp_path,
        V3,
        # Accepted, and unanswered.
        line("eni-a", OUT, 40_000, HOST, 22, 2, OUT, HOST, packets=3, size=180),
        # Accepted, and refused by a closed port.
        line("eni-a", OUT, 40_001, HOST, 23, 2, OUT, HOST, packets=1, size=60),
        line("eni-a", HOST, 23, OUT, 40_001, 4, HOST, OUT, packets=1, size=40),
    )
    assert select(case, *ENDS, "rejected", "answered", "bytes_in") == [
        (OUT, HOST, 22, False, False, 0),
        (OUT, HOST, 23, False, True, 40),
    ]


def test_blocked_public_access_has_neither_bytes_nor_gaps(tmp_path) -> None:
    def blocked(n: int) -> str:
        words = (8, "111122223333", "eni-a", f"203.0.113.{n}", HOST, 40_000, 22, 6, "-", "-",
                 T0 + n, T0 + n, "REJECT", "OK", 2, f"203.0.113.{n}", HOST, "BPA")  # fmt: skip
        return " ".join(map(str, words))

    case = make(tmp_path, f"{V3} reject-reason", *map(blocked, range(1, 4)))
    assert select(case, *ENDS, "rejected", "bytes_out", "packets_out", "rejected_records") == [
        (f"203.0.113.{n}", HOST, 22, True, 0, 0, 1) for n in range(1, 4)
    ]
    reasons = case.flows.select("reject_reason", "bytes").to_pyarrow().to_pylist()
    assert reasons == [{"reject_reason": "BPA", "bytes": None}] * 3
    assert case.evidence["skipdata"].sum() == 0


def test_a_ping_and_its_reply_are_one_connection_without_ports(tmp_path) -> None:
    case = make(
        tmp_path,
        V5,
        line("eni-a", HOST, 0, OUT, 0, 0, HOST, OUT, "egress", protocol=1, size=840),
        line("eni-a", OUT, 0, HOST, 0, 0, OUT, HOST, "ingress", protocol=1, size=420),
        line("eni-b", OUT, 0, PEER, 0, 0, OUT, PEER, "ingress", protocol=1, size=84),
    )
    assert select(case, *ENDS, "protocol", *BYTES, "answered") == [
        (HOST, OUT, 0, 1, 840, 420, 2, True),
        (OUT, PEER, 0, 1, 84, 0, 1, False),
    ]


def test_ipv6_has_its_own_records_without_translation(tmp_path) -> None:
    ours, theirs = "2600:1f18:1::5", "2001:db8::7"
    case = make(
        tmp_path,
        f"{V5} type",
        line("eni-a", ours, 40_000, theirs, 443, 3, ours, theirs, "egress", "IPv6", size=700),
        line("eni-a", theirs, 443, ours, 40_000, 19, theirs, ours, "ingress", "IPv6", size=9_000),
        line("eni-a", ours, 0, "fe80::1", 0, 0, ours, "fe80::1", "egress", "IPv6", protocol=58),
        line("eni-a", HOST, 40_000, OUT, 443, 3, HOST, OUT, "egress", "IPv4"),
    )
    assert select(case, *ENDS, "protocol", "bytes_in", "direction") == [
        (HOST, OUT, 443, 6, 0, "outbound"),
        (ours, theirs, 443, 6, 9_000, "outbound"),
        (ours, "fe80::1", 0, 58, 0, "internal"),
    ]


def test_several_flow_logs_of_one_interface(tmp_path) -> None:
    ok = line("eni-a", HOST, 40_000, OUT, 443, size=700)
    reply = line("eni-a", OUT, 443, HOST, 40_000, size=9_000)
    refused = line("eni-a", OUT, 40_000, HOST, 22, action="REJECT", packets=1, size=60)
    flagged = line("eni-a", HOST, 40_000, OUT, 443, 3, HOST, OUT, "egress", size=700)
    name = "111122223333_vpcflowlogs_us-east-1_fl-{}_20260901T0000Z_a.log"
    case = make_from_files(
        tmp_path,
        {
            name.format("0vpc"): f"{V2}\n{ok}\n{reply}\n{refused}",
            name.format("0subnet"): f"{V5}\n{flagged}",
            name.format("0accept"): f"{V2}\n{ok}\n{reply}\n",
            name.format("0reject"): f"{V2}\n{refused}",
        },
    )
    assert case.flows.count().execute() == 7  # the evidence stays as it is
    assert select(case, *ENDS, *BYTES, "rejected", "rejected_records", "initiator_rule") == [
        (HOST, OUT, 443, 700, 9_000, 2, False, 0, "flags"),
        (OUT, HOST, 22, 60, 0, 1, True, 1, "ports"),
    ]


def test_an_accept_log_and_a_reject_log_are_joined(tmp_path) -> None:
    # The request in one log, the reply that a network ACL dropped in the other.
    accept = line("eni-a", OUT, 40_000, HOST, 22, packets=1, size=60)
    reject = line("eni-a", HOST, 22, OUT, 40_000, packets=1, size=60, action="REJECT")
    case = make_from_files(
        tmp_path, {"accept.log": f"{V2}\n{accept}\n", "reject.log": f"{V2}\n{reject}\n"}
    )
    assert select(case, *ENDS, "rejected", "answered", "records") == [
        (OUT, HOST, 22, True, False, 2)
    ]


def test_two_formats_in_one_stream(tmp_path) -> None:
    short = line("eni-a", HOST, 40_000, OUT, 443, size=700)
    long = line("eni-a", OUT, 443, HOST, 40_000, 19, OUT, HOST, "ingress", size=9_000)
    events = [
        {"timestamp": T0 * 1000, "message": text, "ingestionTime": T0 * 1000 + 300_000}
        for text in (short, long, line("eni-a", HOST, 40_001, OUT, 80))
    ]
    settings = {
        "FlowLogs": [
            {
                "FlowLogId": "fl-1",
                "ResourceId": "vpc-1",
                "LogFormat": " ".join(f"${{{name}}}" for name in V5.split()),
            }
        ]
    }
    case = make_from_files(tmp_path, {}, events={"events": events}, settings=settings)
    assert select(case, *ENDS, *BYTES, "initiator_rule") == [
        (HOST, OUT, 80, 500, 0, 1, "ports"),
        (HOST, OUT, 443, 700, 9_000, 2, "flags"),
    ]


def test_tags_are_text_that_may_be_missing(tmp_path) -> None:
    fields = f"{V2} instance-id instance-tag instance-tag-2 interface-tag asg-tag"
    case = make(
        tmp_path,
        fields,
        # Not there yet in the first hour; then as they are, percent-encoded.
        line("eni-a", HOST, 40_000, OUT, 443, "i-1", "-", "-", "-", "-"),
        line("eni-a", HOST, 40_001, OUT, 443, "i-1", "web%20server%2Fprod", "-", "%3Cb%3E", "-",
             at=3_600),
    )  # fmt: skip
    logged = case.flows.order_by("line").select("instance_tag", "interface_tag", "asg_tag")
    assert logged.to_pyarrow().to_pylist() == [
        {"instance_tag": None, "interface_tag": None, "asg_tag": None},
        {"instance_tag": "web%20server%2Fprod", "interface_tag": "%3Cb%3E", "asg_tag": None},
    ]
    (row,) = [r for r in case.addresses.to_pyarrow().to_pylist() if r["address"] == HOST]
    assert dict(row["tags"]) == {"instance-tag": "web server/prod", "interface-tag": "<b>"}


def test_tasks_of_another_account_have_no_ecs_fields(tmp_path) -> None:
    names = [field.aws_name for name, field in VPC_FIELDS.items() if name.startswith("ecs_")]
    mine = ["arn:aws:ecs:us-east-1:111122223333:cluster/shop", "shop", "-", "-", "c1", "c2", "pay",
            "arn:aws:ecs:us-east-1:111122223333:task-definition/pay:3",
            "arn:aws:ecs:us-east-1:111122223333:task/shop/0a1b", "0a1b"]  # fmt: skip
    case = make(
        tmp_path,
        f"{V2} {' '.join(names)}",
        line("eni-a", HOST, 40_000, OUT, 443, *mine),
        line("eni-b", PEER, 40_000, OUT, 443, *["-"] * 10),
    )
    logged = case.flows.order_by("line").select(
        "ecs_service_name", "ecs_container_instance_id", "ecs_second_container_id", "ecs_task_id"
    )
    assert [tuple(row.values()) for row in logged.to_pyarrow().to_pylist()] == [
        ("pay", None, "c2", "0a1b"),
        (None, None, None, None),
    ]
    assert select(case, *ENDS) == [(HOST, OUT, 443), (PEER, OUT, 443)]


def test_the_next_hop_is_not_an_end_of_the_connection(tmp_path) -> None:
    hop = " ".join(f"next-hop-{name}" for name in ("interface-id", "subnet-id", "az-id", "vpc-id"))
    fields = f"{V5} {hop} next-hop-interface-type"
    case = make(
        tmp_path,
        fields,
        # Through a middlebox it names that; through an internet gateway, nothing.
        line("eni-a", HOST, 40_000, OUT, 443, 3, HOST, OUT, "egress", "eni-nat", "subnet-9",
             "use1-az1", "vpc-1", "nat_gateway"),
        line("eni-b", PEER, 40_000, OUT, 443, 3, PEER, OUT, "egress", "-", "-", "-", "-", "-"),
    )  # fmt: skip
    hops = case.flows.order_by("line").select("next_hop_interface_id", "next_hop_interface_type")
    assert [tuple(row.values()) for row in hops.to_pyarrow().to_pylist()] == [
        ("eni-nat", "nat_gateway"),
        (None, None),
    ]
    assert select(case, *ENDS, "interface_id", "intermediate") == [
        (HOST, OUT, 443, "eni-a", False),
        (PEER, OUT, 443, "eni-b", False),
    ]


@pytest.mark.parametrize("header", [True, False])
def test_repeated_spaces_separate_fields(tmp_path, header) -> None:
    first = line("eni-a", HOST, 40_000, OUT, 443, size=700)
    spaced = line("eni-a", OUT, 443, HOST, 40_000, size=9_000).replace(" 443 ", "  443 ", 1)
    text = "\n".join([*([V2.replace(" ", "  ", 1)] if header else []), first, f"{spaced}  ", ""])
    case = make_from_files(tmp_path, {"flows.log": text})
    assert select(case, *ENDS, *BYTES) == [(HOST, OUT, 443, 700, 9_000, 2)]


def test_account_ids_are_text(tmp_path) -> None:
    case = make(
        tmp_path,
        V2,
        line("eni-a", HOST, 40_000, OUT, 443, account="000011112222"),
        line("eni-b", PEER, 40_000, OUT, 443, account="unknown"),
    )
    accounts = case.flows.order_by("line").account_id.to_pyarrow().to_pylist()
    assert accounts == ["000011112222", "unknown"]
    book = {row["address"]: row["account_id"] for row in case.addresses.to_pyarrow().to_pylist()}
    assert (book[HOST], book[PEER]) == ("000011112222", None)


def test_delivered_gzip_files_each_have_a_header(tmp_path) -> None:
    evidence = tmp_path / "evidence"
    evidence.mkdir()
    for n, text in enumerate(
        (line("eni-a", HOST, 40_000, OUT, 443), line("eni-a", OUT, 443, HOST, 40_000, at=300))
    ):
        (evidence / f"{n}.log.gz").write_bytes(gzip.compress(f"{V2}\n{text}\n".encode()))
    case = Case.create(tmp_path / "case")
    case.ingest(evidence)
    assert select(case, *ENDS, "records") == [(HOST, OUT, 443, 2)]
