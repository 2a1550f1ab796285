"""The Winterday evidence: the same bytes from the same seed, as real logs have them."""

from __future__ import annotations

import ipaddress
import json
import zlib
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from flowbench import scenario
from flowbench.schema import DEFAULT_FORMAT
from tests.scenario.conftest import DATA, content, queries

MADE_WITH_ZLIB = "1.2.13"  # another zlib may compress the same content to other bytes

RESERVED = [
    ipaddress.ip_network(text)
    for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "198.18.0.0/15")
]


def listing(folder: Path) -> dict[Path, Path]:
    """The generated files by name; the README is not generated."""
    files = [p for p in folder.rglob("*") if p.is_file() and p.name != "README.md"]
    return {path.relative_to(folder): path for path in files}


def test_the_same_seed_makes_the_same_files(tmp_path) -> None:
    scenario.write("winterday", tmp_path / "again")
    made, kept = listing(tmp_path / "again"), listing(DATA)
    assert set(made) == set(kept)
    for name, path in made.items():
        assert content(path) == content(kept[name]), name
        if path.suffix == ".gz":  # the header is the same on every Python
            assert path.read_bytes()[:10] == kept[name].read_bytes()[:10], name
        if zlib.ZLIB_RUNTIME_VERSION == MADE_WITH_ZLIB:
            assert path.read_bytes() == kept[name].read_bytes(), name


def test_another_seed_has_the_same_incident_in_other_traffic(tmp_path, answers) -> None:
    scenario.write("winterday", tmp_path / "other", seed=7)
    other = json.loads((tmp_path / "other" / "answers.json").read_text())
    assert other["flow_records"] != answers["flow_records"]
    assert other["user"] == answers["user"]


def test_windows_of_ten_minutes_have_the_same_incident(tmp_path, answers) -> None:
    scenario.write("winterday", tmp_path / "v2", version=2, window=600)
    other = json.loads((tmp_path / "v2" / "answers.json").read_text())
    assert other.pop("flow_records") < answers["flow_records"]
    assert other == {name: value for name, value in answers.items() if name != "flow_records"}
    path = next((tmp_path / "v2").glob("evidence/AWSLogs/*/vpcflowlogs/**/*.gz"))
    header, *lines = content(path).decode().splitlines()
    assert tuple(header.replace("-", "_").split(" ")) == DEFAULT_FORMAT
    lengths = {int(end) - int(start) for start, end in (ln.split(" ")[10:12] for ln in lines)}
    assert lengths == {598, 599, 600, 601}


def test_the_data_is_small_and_has_no_answers_in_the_evidence() -> None:
    assert sum(p.stat().st_size for p in DATA.rglob("*") if p.is_file()) < 6_000_000
    assert not list((DATA / "evidence").rglob("answers*"))


def test_flow_logs_cover_three_days_and_42_interfaces(flows) -> None:
    starts = [int(flow["start"]) for flow in flows]
    assert max(starts) - min(starts) > 2.99 * 86_400
    inventory = json.loads(
        (DATA / "evidence/inventory/describe-network-interfaces.json").read_text()
    )
    listed = {i["NetworkInterfaceId"]: i for i in inventory["NetworkInterfaces"]}
    assert len(listed) == 42
    assert {flow["interface-id"] for flow in flows} == set(listed)
    assert len({i["VpcId"] for i in listed.values()}) == 2
    for flow in flows[:20_000]:
        own = listed[flow["interface-id"]]["PrivateIpAddress"]
        if flow["log-status"] == "OK":
            assert own in (flow["srcaddr"], flow["dstaddr"])
            assert (flow["flow-direction"] == "egress") == (flow["srcaddr"] == own)


def test_windows_last_58_to_61_seconds_and_do_not_overlap(flows) -> None:
    lengths = Counter(int(flow["end"]) - int(flow["start"]) for flow in flows)
    assert set(lengths) == {58, 59, 60, 61}
    ends: dict[tuple[str, str], set[str]] = {}
    for flow in flows:
        ends.setdefault((flow["interface-id"], flow["start"]), set()).add(flow["end"])
    assert {len(found) for found in ends.values()} == {1}
    by_interface: dict[str, list[tuple[int, int]]] = {}
    for (interface, start), (end,) in ends.items():
        by_interface.setdefault(interface, []).append((int(start), int(end)))
    for windows in by_interface.values():
        assert all(a[1] <= b[0] for a, b in pairwise(sorted(windows)))


def test_records_have_the_properties_of_real_ones(flows) -> None:
    status = Counter(flow["log-status"] for flow in flows)
    assert status["NODATA"] > 5_000
    assert 0 < status["SKIPDATA"] < 20
    assert set(Counter(flow["action"] for flow in flows)) == {"ACCEPT", "REJECT", "-"}
    ok = [flow for flow in flows if flow["log-status"] == "OK"]
    assert {flow["tcp-flags"] for flow in ok if flow["protocol"] == "6"} <= {
        "0", "1", "2", "3", "4", "18", "19"
    }  # fmt: skip
    assert all((f["traffic-path"] == "-") == (f["flow-direction"] == "ingress") for f in ok)
    translated = [
        f for f in ok if (f["pkt-srcaddr"], f["pkt-dstaddr"]) != (f["srcaddr"], f["dstaddr"])
    ]
    assert len(translated) > 10_000  # a NAT gateway's two inner records
    assert sum(flow["account-id"] == "unknown" for flow in ok) > 100
    for flow in ok:
        assert int(flow["bytes"]) >= 40 * int(flow["packets"]) > 0
    unordered = sum(int(a["end"]) > int(b["end"]) for a, b in pairwise(flows))
    assert unordered > 1_000


def test_internal_traffic_is_logged_at_both_ends(flows) -> None:
    seen: dict[tuple[str, ...], Counter[str]] = {}
    own, rejected = set(), set()
    for flow in flows:
        translated = (flow["srcaddr"], flow["dstaddr"]) != (
            flow["pkt-srcaddr"],
            flow["pkt-dstaddr"],
        )
        if flow["log-status"] != "OK" or translated:
            continue
        own.add(flow["srcaddr" if flow["flow-direction"] == "egress" else "dstaddr"])
        key = tuple(flow[name] for name in ("srcaddr", "srcport", "dstaddr", "dstport"))
        if flow["action"] == "REJECT":
            rejected.add(key)
        else:
            seen.setdefault(key, Counter())[flow["interface-id"]] += int(flow["bytes"])
    internal = {key for key in seen if key[0] in own and key[2] in own and key not in rejected}
    assert len(internal) > 10_000
    for key in internal:
        here, there = seen[key].values()
        assert here == pytest.approx(there, abs=80)  # packets without data, where a window is cut


def test_a_nat_gateway_logs_four_records_of_a_connection(flows) -> None:
    inventory = json.loads(
        (DATA / "evidence/inventory/describe-network-interfaces.json").read_text()
    )
    gateways = {
        one["NetworkInterfaceId"]: one["PrivateIpAddress"]
        for one in inventory["NetworkInterfaces"]
        if one["InterfaceType"] == "nat_gateway"
    }
    legs: dict[tuple[str, str], Counter[tuple[bool, bool]]] = {}
    for flow in flows:
        address = gateways.get(flow["interface-id"])
        if address is None or flow["log-status"] != "OK":
            continue
        inner = (flow["srcaddr"], flow["dstaddr"]) != (flow["pkt-srcaddr"], flow["pkt-dstaddr"])
        leg = (flow["flow-direction"] == "egress", inner)
        external = flow["pkt-srcaddr"], flow["pkt-dstaddr"]
        external = next(a for a in external if not a.startswith("10."))
        if ipaddress.ip_address(external) not in RESERVED[3]:  # internet scans end at the gateway
            legs.setdefault((flow["interface-id"], external), Counter())[leg] += 1
        elif not inner:
            assert (leg[0], flow["action"], flow["tcp-flags"] in "02") == (False, "ACCEPT", True)
    assert len(legs) > 8
    for counts in legs.values():
        assert len(counts) == 4
        assert len(set(counts.values())) == 1


def test_external_addresses_are_reserved_ones(flows, events) -> None:
    names = ("srcaddr", "dstaddr", "pkt-srcaddr", "pkt-dstaddr")
    addresses = {flow[name] for flow in flows for name in names}
    addresses |= {event["sourceIPAddress"] for event in events}
    addresses |= {answer["Rdata"] for query in queries() for answer in query["answers"]}
    for text in addresses - {"-"}:
        if text.endswith(".amazonaws.com"):
            continue
        address = ipaddress.ip_address(text)
        assert address in ipaddress.ip_network("10.0.0.0/8") or any(address in n for n in RESERVED)
