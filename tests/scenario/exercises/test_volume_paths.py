"""Records of many connections: they agree with each other and with the inventory."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from tests.scenario.exercises.fleet_logs import fleet, traffic


def test_windows_of_an_interface_do_not_overlap() -> None:
    for _, rows in traffic().groupby("interface-id"):
        windows = sorted(
            {(int(a), int(b)) for a, b in zip(rows["start"], rows["end"], strict=True)}
        )
        assert {end - start for start, end in windows} <= {58, 59, 60, 61}
        assert all(a[1] <= b[0] + 1 for a, b in pairwise(windows))


def test_both_ends_log_the_same_bytes() -> None:
    rows = traffic()
    hosts = {host.address: host.role for host in fleet()}
    rows = rows[rows["srcaddr"].map(hosts).eq("server") & rows["dstaddr"].map(hosts).eq("cache")]
    key = ["srcaddr", "dstaddr", "srcport", "dstport"]
    middle = rows.groupby([*key, "flow-direction"])["bytes"].sum().unstack()
    inside = middle.dropna()
    assert len(inside) > 30
    assert (inside["egress"] == inside["ingress"]).mean() > 0.95  # others begin before the logs


def test_interfaces_show_their_primary_address_for_their_pods() -> None:
    nodes = {host.interface: host for host in fleet() if host.role == "eks-node"}
    rows = traffic()
    rows = rows[rows["interface-id"].isin(nodes) & (rows["flow-direction"] == "egress")]
    own = rows["interface-id"].map(lambda name: nodes[name].address)
    assert (rows["srcaddr"] == own).all()
    pods = {pod for host in nodes.values() for pod in host.secondary}
    assert rows["pkt-srcaddr"].isin(pods).mean() > 0.5


def test_a_gateway_logs_four_records_of_an_exchange() -> None:
    gateway = next(host for host in fleet() if host.role == "nat")
    rows = traffic()
    rows = rows[(rows["interface-id"] == gateway.interface) & (rows["tcp-flags"].isin(["3", "19"]))]
    assert set(rows["interface-type"]) == {"nat_gateway"}
    ways = Counter(zip(rows["flow-direction"], rows["traffic-path"], strict=True))
    assert ways["ingress", "-"] == 2 * ways["egress", "1"] == 2 * ways["egress", "8"] > 50
