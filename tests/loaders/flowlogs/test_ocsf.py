"""Flow logs in OCSF: events of Security Lake give the record of which they were made."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowbench.loaders.flowlogs import ocsf
from flowbench.text import canonical_address
from tests.loaders.flowlogs.test_text import read

# After AWS's published mapping for OCSF 1.5 (egress through a NAT gateway) and 1.0.0-rc.2.
EGRESS: dict[str, Any] = {
    "action": "Allowed",
    "action_id": 1,
    "activity_id": 6,
    "activity_name": "Traffic",
    "category_uid": 4,
    "class_uid": 4001,
    "cloud": {
        "account": {"uid": "000056789012"},
        "provider": "AWS",
        "region": "us-east-2",
        "zone": "use2-az2",
    },
    "connection_info": {
        "boundary": "Same VPC",
        "boundary_id": 4,
        "direction": "Outbound",
        "direction_id": 2,
        "protocol_num": 6,
        "protocol_ver": "IPv4",
        "tcp_flags": 19,
    },
    "disposition": "Allowed",
    "dst_endpoint": {
        "intermediate_ips": ["10.0.0.1"],
        "ip": "203.0.113.5",
        "port": 8864,
        "svc_name": "-",
    },
    "end_time_dt": "2025-07-11 15:26:43+00:00",
    "metadata": {
        "product": {
            "feature": {"name": "Flowlogs"},
            "name": "Amazon VPC",
            "vendor_name": "AWS",
            "version": "8",
        },
        "profiles": ["cloud", "security_control", "datetime"],
        "version": "1.5.0",
    },
    "severity_id": 1,
    "src_endpoint": {
        "instance_uid": "-",
        "interface_uid": "eni-0a",
        "ip": "10.0.0.4",
        "port": 8080,
        "subnet_uid": "subnet-0b",
        "svc_name": "-",
        "vpc_uid": "vpc-0c",
    },
    "start_time_dt": "2025-07-11 15:26:24+00:00",
    "status_code": "OK",
    "time": 1752247584000,
    "time_dt": "2025-07-11 15:26:24+00:00",
    "traffic": {"bytes": 38526, "packets": 8},
    "type_uid": 400106,
    "unmapped": {
        "ecs_cluster_name": "web",
        "ecs_container_instance_id": "-",
        "reject_reason": "Accepted",
        "sublocation_id": "-",
        "else": "x",
    },
}
EGRESS_ROW = {
    "version": 8,
    "account_id": "000056789012",
    "interface_id": "eni-0a",
    "srcaddr": "10.0.0.4",
    "dstaddr": "10.0.0.1",
    "srcport": 8080,
    "dstport": 8864,
    "protocol": 6,
    "packets": 8,
    "bytes": 38526,
    "start": datetime(2025, 7, 11, 15, 26, 24, tzinfo=UTC),
    "end": datetime(2025, 7, 11, 15, 26, 43, tzinfo=UTC),
    "action": "ACCEPT",
    "log_status": "OK",
    "vpc_id": "vpc-0c",
    "subnet_id": "subnet-0b",
    "tcp_flags": 19,
    "type": "IPv4",
    "pkt_srcaddr": "10.0.0.4",
    "pkt_dstaddr": "203.0.113.5",
    "region": "us-east-2",
    "az_id": "use2-az2",
    "flow_direction": "egress",
    "traffic_path": 1,
    "ecs_cluster_name": "web",
    "reject_reason": "Accepted",
}
REFUSED: dict[str, Any] = {
    "metadata": {"product": {"version": "5", "name": "Amazon VPC"}, "version": "1.0.0-rc.2"},
    "cloud": {"account_uid": "123456789012", "region": "us-east-1", "zone": "use1-az1"},
    "src_endpoint": {"port": 56858, "svc_name": "EC2", "ip": "203.0.113.4"},
    "dst_endpoint": {
        "port": 39938,
        "svc_name": "-",
        "ip": "172.31.2.52",
        "interface_uid": "eni-0d",
        "vpc_uid": "vpc-0e",
        "instance_uid": "i-0f",
        "subnet_uid": "subnet-01",
    },
    "connection_info": {
        "protocol_num": 6,
        "tcp_flags": 2,
        "protocol_ver": "IPv4",
        "boundary_id": 99,
        "boundary": "-",
        "direction_id": 1,
        "direction": "Inbound",
    },
    "traffic": {"packets": 1, "bytes": 40},
    "time": 1649721732000,
    "start_time": 1649721732000,
    "end_time": 1649721788000,
    "status_code": "OK",
    "class_uid": 4001,
    "activity_name": "Refuse",
    "activity_id": 5,
    "disposition": "Blocked",
    "disposition_id": 2,
    "unmapped": {"sublocation_id": "-"},
}
REFUSED_ROW = {
    "version": 5,
    "account_id": "123456789012",
    "interface_id": "eni-0d",
    "srcaddr": "203.0.113.4",
    "dstaddr": "172.31.2.52",
    "srcport": 56858,
    "dstport": 39938,
    "protocol": 6,
    "packets": 1,
    "bytes": 40,
    "action": "REJECT",
    "log_status": "OK",
    "start": datetime(2022, 4, 12, 0, 2, 12, tzinfo=UTC),
    "end": datetime(2022, 4, 12, 0, 3, 8, tzinfo=UTC),
    "vpc_id": "vpc-0e",
    "subnet_id": "subnet-01",
    "instance_id": "i-0f",
    "tcp_flags": 2,
    "type": "IPv4",
    "pkt_srcaddr": "203.0.113.4",
    "pkt_dstaddr": "172.31.2.52",
    "region": "us-east-1",
    "az_id": "use1-az1",
    "pkt_src_aws_service": "EC2",
    "flow_direction": "ingress",
}
# The labels of Security Lake's first files: lower-case directions, the status under unmapped.
FIRST = {
    "metadata": {"product": {"version": "5", "name": "Amazon VPC"}},
    "cloud": {"account_uid": "unknown", "region": "eu-west-1", "zone": "euw1-az1"},
    "src_endpoint": {"ip": "-", "port": None, "interface_uid": "eni-0a", "vpc_uid": "vpc-0c"},
    "dst_endpoint": {"ip": "-", "port": None, "interface_uid": None, "vpc_uid": None},
    "connection_info": {"protocol_num": None, "direction": "-", "direction_id": 0},
    "traffic": None,
    "time": 1679000000000,
    "start_time": 1679000000000,
    "end_time": 1679000060000,
    "severity_id": -1,
    "class_uid": 4001,
    "activity_id": 0,
    "activity_name": "",
    "unmapped": {"log_status": "NODATA", "sublocation_id": "-"},
}
FIRST_ROW = {
    "version": 5,
    "account_id": "unknown",
    "interface_id": "eni-0a",
    "vpc_id": "vpc-0c",
    "region": "eu-west-1",
    "az_id": "euw1-az1",
    "log_status": "NODATA",
    "start": datetime(2023, 3, 16, 20, 53, 20, tzinfo=UTC),
    "end": datetime(2023, 3, 16, 20, 54, 20, tzinfo=UTC),
}
BOTH = [(EGRESS, EGRESS_ROW), (REFUSED, REFUSED_ROW), (FIRST, FIRST_ROW)]


def as_parquet(folder: Path, events: list[dict[str, Any]], mapped: bool = False) -> bytes:
    names = {name: None for event in events for name in event}
    table = pa.Table.from_pylist([names | event for event in events])
    if mapped:
        pairs = pa.map_(pa.string(), pa.string())
        columns = pa.array([list(each["unmapped"].items()) for each in events], pairs)
        table = table.set_column(table.column_names.index("unmapped"), "unmapped", columns)
    pq.write_table(table, folder / "made.gz.parquet", compression="gzip")
    return (folder / "made.gz.parquet").read_bytes()


def there(row: dict[str, Any]) -> dict[str, Any]:
    return {
        n: v for n, v in row.items() if v is not None and n not in ("evidence_id", "line", "item")
    }


def test_json(tmp_path) -> None:
    text = "\n".join(json.dumps(event) for event, _ in BOTH)
    flows, bad, kind = read(tmp_path, text, "x.json")
    assert (kind, bad) == ("flow-logs", [])
    assert [there(row) for row in flows.to_pylist()] == [row for _, row in BOTH]
    assert flows["line"].to_pylist() == flows["item"].to_pylist() == [1, 2, 3]


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize(("event", "row"), BOTH, ids=["1.5", "rc.2", "0.39"])
def test_parquet(tmp_path, event, row, mapped) -> None:
    flows, bad, kind = read(tmp_path, as_parquet(tmp_path, [event], mapped), "x.gz.parquet")
    assert (kind, bad) == ("flow-logs", [])
    assert [there(each) for each in flows.to_pylist()] == [row]
    assert flows["line"].to_pylist() == [1]
    assert "item" not in flows.column_names


def test_parquet_of_mixed_versions_and_typed_times(tmp_path) -> None:
    typed = EGRESS | {
        name: datetime.fromisoformat(EGRESS[name])
        for name in ("start_time_dt", "end_time_dt", "time_dt")
    }
    flows, bad, _ = read(tmp_path, as_parquet(tmp_path, [typed, REFUSED], mapped=True), "x.parquet")
    assert bad == []
    assert [there(row) for row in flows.to_pylist()] == [EGRESS_ROW, REFUSED_ROW]


@pytest.mark.parametrize(
    ("change", "action"),
    [
        ({"action_id": 2, "disposition": "Blocked"}, "REJECT"),
        ({"action_id": 0, "action": "Denied"}, "REJECT"),
        ({"action_id": None, "action": None, "disposition": "Blocked"}, "REJECT"),
        ({"action_id": None, "action": None, "disposition": None, "activity_id": 5}, "REJECT"),
        (
            {
                "action_id": None,
                "action": None,
                "disposition": None,
                "activity_id": 99,
                "activity_name": "Established",
            },
            "ACCEPT",
        ),
        ({"action_id": 99, "action": "x", "disposition": "y"}, None),
    ],
)
def test_actions(tmp_path, change, action) -> None:
    flows, bad, _ = read(tmp_path, json.dumps(EGRESS | change), "x.json")
    assert bad == []
    assert flows.to_pylist()[0].get("action") == action


def test_other_classes_and_products_are_named(tmp_path) -> None:
    others = [
        EGRESS | {"class_uid": 3005, "metadata": {"product": {"name": "CloudTrail"}}},
        EGRESS | {"metadata": {"product": {"name": "Some firewall"}}},
        EGRESS | {"class_uid": [4001]},
        EGRESS,
    ]
    said = [
        "OCSF class 3005 of CloudTrail: not Amazon VPC's flow logs",
        "OCSF class 4001 of Some firewall: not Amazon VPC's flow logs",
    ]
    flows, bad, _ = read(tmp_path, "\n".join(map(json.dumps, others)), "x.json")
    assert (flows.num_rows, flows["item"].to_pylist()) == (1, [4])
    assert [row["reason"] for row in bad][:2] == said
    assert [(row["line"], row["item"]) for row in bad] == [(1, 1), (2, 2), (3, 3)]
    flows, bad, kind = read(tmp_path, as_parquet(tmp_path, others[:2]), "x.parquet")
    assert (flows.num_rows, kind) == (0, "unknown")
    assert [row["reason"] for row in bad] == [f"2 rows of {'; '.join(said)}"]
    assert json.loads(bad[0]["raw"])["class_uid"] == 3005
    flows, bad, kind = read(tmp_path, as_parquet(tmp_path, [others[1], EGRESS]), "x.parquet")
    assert (flows["line"].to_pylist(), len(bad), kind) == ([2], 1, "flow-logs")


def test_impossible_values_lose_only_their_event(tmp_path) -> None:
    wrong = [
        {"traffic": {"bytes": -1}},
        {"src_endpoint": {"ip": "300.0.0.1"}},
        {"dst_endpoint": {"ip": "10.0.0.1", "port": 70_000}},
        {"status_code": "Success"},
        {"time_dt": None, "start_time_dt": "2025-02-30 00:00:00"},
    ]
    texts = [json.dumps(EGRESS | change) for change in (*wrong, {})]
    flows, bad, _ = read(tmp_path, "\n".join(texts), "x.json")
    assert flows["line"].to_pylist() == [len(texts)]
    assert sorted(row["item"] for row in bad) == list(range(1, len(texts)))
    assert {row["reason"] for row in bad} == {
        "bytes is not a number: '-1'",
        "pkt-srcaddr cannot be '300.0.0.1'",
        "dstport cannot be '70000'",
        "log-status cannot be 'Success'",
        "start is not a number: '2025-02-30 00:00:00'",
    }


def test_structs_of_wrong_types(tmp_path) -> None:
    odd = {"class_uid": 4001, "metadata": "x", "src_endpoint": 5, "traffic": [1]}
    odd["time"] = 1_788_232_200_000
    flows, bad, _ = read(tmp_path, as_parquet(tmp_path, [odd]), "x.parquet")
    assert (flows.num_rows, bad) == (1, [])
    flows, bad, _ = read(tmp_path, json.dumps(odd), "x.json")
    assert (flows.num_rows, bad) == (1, [])


addresses = st.ip_addresses().map(str).map(canonical_address)
words = st.from_regex(r"[a-z]{1,4}-[0-9a-f]{1,17}", fullmatch=True)
records = st.fixed_dictionaries(
    {
        "version": st.integers(2, 11),
        "account_id": st.from_regex("[0-9]{12}", fullmatch=True),
        "interface_id": words,
        "vpc_id": words | st.none(),
        "subnet_id": words | st.none(),
        "instance_id": words | st.none(),
        "srcaddr": addresses,
        "dstaddr": addresses,
        "pkt_srcaddr": addresses,
        "pkt_dstaddr": addresses,
        "srcport": st.integers(0, 65_535),
        "dstport": st.integers(0, 65_535),
        "protocol": st.integers(0, 255),
        "packets": st.integers(0, 10**12) | st.none(),
        "bytes": st.integers(0, 10**14),
        "start": st.integers(1_600_000_000, 1_800_000_000),
        "end": st.integers(1_600_000_000, 1_800_000_000),
        "action": st.sampled_from(["ACCEPT", "REJECT"]),
        "log_status": st.sampled_from(["OK", "NODATA"]),
        "flow_direction": st.sampled_from(["ingress", "egress"]),
        "traffic_path": st.integers(1, 8) | st.none(),
        "tcp_flags": st.integers(0, 31) | st.none(),
        "type": st.sampled_from(["IPv4", "IPv6"]),
        "region": words,
        "az_id": words,
        "sublocation_type": words | st.none(),
    }
)


def event(flow: dict[str, Any]) -> dict[str, Any]:
    """A record as AWS maps it."""
    ends: dict[str, dict[str, Any]] = {}
    for side in ("src", "dst"):
        ends[side] = {"ip": flow[f"pkt_{side}addr"], "port": flow[f"{side}port"]}
        if flow[f"{side}addr"] != flow[f"pkt_{side}addr"]:
            ends[side]["intermediate_ips"] = [flow[f"{side}addr"]]
    own = ends["dst" if flow["flow_direction"] == "ingress" else "src"]
    own |= {f"{n}_uid": flow[f"{n}_id"] for n in ("interface", "vpc", "subnet", "instance")}
    path = flow["traffic_path"]
    return {
        "class_uid": 4001,
        "activity_id": 6,
        "time": flow["start"] * 1000,
        "action_id": 1 if flow["action"] == "ACCEPT" else 2,
        "status_code": flow["log_status"],
        "end_time_dt": datetime.fromtimestamp(flow["end"], UTC).isoformat(" "),
        "metadata": {"product": {"name": "Amazon VPC", "version": str(flow["version"])}},
        "cloud": {
            "account": {"uid": flow["account_id"]},
            "region": flow["region"],
            "zone": flow["az_id"],
        },
        "connection_info": {
            "direction_id": 1 if flow["flow_direction"] == "ingress" else 2,
            "boundary_id": 99 if path is None else path + 3,
            "tcp_flags": flow["tcp_flags"],
            "protocol_num": flow["protocol"],
            "protocol_ver": flow["type"],
        },
        "traffic": {"bytes": flow["bytes"], "packets": flow["packets"]},
        "src_endpoint": ends["src"],
        "dst_endpoint": ends["dst"],
        "unmapped": {"sublocation_type": flow["sublocation_type"]},
    }


@settings(max_examples=40, deadline=None)
@given(st.lists(records, min_size=1, max_size=4), st.booleans())
def test_mapped_records_are_mapped_back(tmp_path_factory, found, parquet) -> None:
    folder = tmp_path_factory.mktemp("f")
    events = list(map(event, found))
    data = as_parquet(folder, events) if parquet else "\n".join(map(json.dumps, events))
    flows, bad, _ = read(folder, data, "x")
    assert bad == []
    for row, flow in zip(flows.to_pylist(), found, strict=True):
        times = {name: int(row[name].timestamp()) for name in ("start", "end")}
        assert there(row) | times == there(flow)


ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from(["\0", "\ud800", 10**30, "-", 2**63]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["ip", "port", "account", "uid", "product", "name"]), inner
        )
    ),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(sorted(EGRESS)), ODD, max_size=5), max_size=3))
def test_any_value_is_read_or_quarantined(tmp_path_factory, changes) -> None:
    events = [EGRESS | {"metadata": {}} | change for change in changes]
    text = "\n".join(map(json.dumps, events))
    flows, bad, _ = read(tmp_path_factory.mktemp("f"), text or "{}", "x.json")
    assert flows.num_rows + len(bad) == max(1, len(events))


def test_other_values_are_not_matched() -> None:
    assert ocsf.matches({"class_uid": 4001}) is None
    assert ocsf.matches([1, {}]) is None
    assert not ocsf.is_ocsf(["srcaddr", "dstaddr"])
