"""Sudden connections: many new ones of a host without a baseline, and what a start explains."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pytest

from flowbench.case import Case
from flowbench.detect.sudden_connections import Limits, find_sudden_connections
from flowbench.enrich.ports import ADMIN_PORTS, DATA_PORTS
from flowbench.schema import DEFAULT_FORMAT
from tests.traffic import FIELDS, T0, Record, connect, make_case, reject

SMB, RPC, WINRM, RDP, SSH = 445, 135, 5985, 3389, 22
COLUMNS = ["initiator", "responder", "service_port", "protocol", "first_seen", "last_seen"]
COLUMNS += ["connections", "rejected", "answered", "bytes_out", "bytes_in"]
RESOLVER = "10.0.0.2"
PORTS = sorted(ADMIN_PORTS | DATA_PORTS)


class Traffic:
    """Records of one log: hosts that live from a minute on, and what they open."""

    def __init__(self, window: int) -> None:
        self.window = window
        self.records: list[Record] = []

    def live(self, host: str, minutes: Iterable[int]) -> None:
        """Let a host ask its resolver at some minutes, if it has the same address family."""
        resolver = "fd00:1::2" if ":" in host else RESOLVER
        for minute in minutes:
            self.records += connect(
                host,
                resolver,
                53,
                T0 + 60 * minute,
                source_port=50_000 + minute,
                protocol=17,
                tcp_flags=None,
                window=self.window,
            )

    def open(
        self, host: str, targets: Iterable[str], ports: Iterable[int], minute: float
    ) -> list[Record]:
        """Let a host open a connection to each port of each target, half a minute apart."""
        added: list[Record] = []
        for n, (target, port) in enumerate((t, p) for t in targets for p in ports):
            added += connect(
                host,
                target,
                port,
                T0 + int(60 * minute) + 30 * n,
                source_port=40_000 + n,
                window=self.window,
            )
        self.records += added
        return added


def find(case: Case, **limits: float) -> pd.DataFrame:
    s = case.connection_summaries
    services = s.filter(s.direction == "internal", s.service_port.isin(PORTS))
    return find_sudden_connections(case, services.select(COLUMNS), Limits(**limits))


def hosts(count: int, third: int, *, ip6: bool = False) -> list[str]:
    prefix = f"fd00:1:0:{third}::" if ip6 else f"10.9.{third}."
    return [f"{prefix}{n + 1}" for n in range(count)]


MOVES = {
    # host: targets, ports
    "10.1.0.1": (hosts(1, 1), [SMB, RPC, WINRM]),
    "10.1.0.2": (hosts(5, 2), [SSH]),
    "10.1.0.3": (hosts(1, 3), [3306, 5432, 1433]),
    "10.1.0.4": (hosts(4, 4), [3306]),
    "10.1.0.5": (hosts(6, 5), [RDP, SMB]),
    "fd00:1:0:0::6": (hosts(1, 6, ip6=True), [SSH, RDP, SMB, RPC]),
    "fd00:1:0:0::7": (hosts(4, 7, ip6=True), [WINRM]),
}


@pytest.mark.parametrize("window", [60, 600])
def test_many_kinds_of_service_or_many_targets_are_sudden(tmp_path: Path, window: int) -> None:
    traffic = Traffic(window)
    for host, (targets, ports) in MOVES.items():
        traffic.live(host, range(0, 50, 5))
        traffic.open(host, targets, ports, 25)
    fields = FIELDS if window == 60 else DEFAULT_FORMAT
    found = find(make_case(tmp_path, traffic.records, fields=fields))
    opened = {
        host.replace(":0:0:", "::").replace(":0::", "::"): len(targets) * len(ports)
        for host, (targets, ports) in MOVES.items()
    }
    counts = found["initiator"].value_counts().to_dict()
    assert sorted(counts.values()) == sorted(opened.values())
    assert found["initiator"].nunique() == len(MOVES)
    assert set((found["host_end"] - found["host_begin"]).dt.total_seconds() // 60) <= {45, 46, 49}


def write_ordinary(traffic: Traffic) -> None:
    """Traffic of hosts that start, administer, share a service, or do less."""
    started = "10.2.0.1"  # starts in minute 30, and opens its database and file server
    traffic.live(started, range(30, 50, 5))
    traffic.open(started, hosts(1, 21), [SMB, 2049, 5432, SSH], 31)
    manager = "10.2.0.2"  # begins with the log, and finds more hosts later
    for n, minute in enumerate(range(0, 50, 10)):
        traffic.open(manager, hosts(4 + 4 * n, 22), [SSH], minute)
    deployer = "10.2.0.3"  # known to administer two hosts; then a deployment
    traffic.open(deployer, hosts(2, 23), [SSH], 1)
    traffic.open(deployer, hosts(10, 24), [SSH], 30)
    for member in hosts(4, 25):  # of a domain
        traffic.live(member, range(0, 50, 5))
        traffic.open(member, hosts(1, 26), [88, 389, SMB, RPC, WINRM, RDP], 20)
    others = {
        "10.2.0.5": (hosts(6, 27), [6379]),  # the nodes of a cluster
        "10.2.0.6": (hosts(1, 28), [139, SMB, RPC]),  # two kinds
        "10.2.0.7": (hosts(3, 29), [SSH]),  # three targets
        "10.2.0.8": (hosts(1, 30), [80, 443, 8080, 8443]),
    }
    for host, (targets, ports) in others.items():
        traffic.live(host, range(0, 50, 5))
        traffic.open(host, targets, ports, 25)
    silent = "10.2.0.9"  # nothing answers
    traffic.live(silent, range(0, 50, 5))
    traffic.records += [reject(silent, target, SSH, T0 + 1500) for target in hosts(6, 31)]
    slow = "10.2.0.10"  # a target every quarter of an hour
    traffic.live(slow, range(0, 150, 5))
    for n, target in enumerate(hosts(4, 32)):
        traffic.open(slow, [target], [SSH], 20 + 25 * n)


@pytest.mark.parametrize("window", [60, 600])
def test_ordinary_new_connections_are_not(tmp_path: Path, window: int) -> None:
    traffic = Traffic(window)
    write_ordinary(traffic)
    fields = FIELDS if window == 60 else DEFAULT_FORMAT
    case = make_case(tmp_path, traffic.records, fields=fields)
    assert find(case).empty
    assert set(find(case, clients=5)["initiator"]) == set(hosts(4, 25))
    assert set(find(case, kinds=2)["initiator"]) == {"10.2.0.6"}
    assert set(find(case, targets=3)["initiator"]) == {"10.2.0.7", "10.2.0.10"}
    assert "10.2.0.1" in set(find(case, quiet=0)["initiator"])
    assert "10.2.0.3" in set(find(case, earlier=3)["initiator"])
    assert "10.2.0.10" in set(find(case, within=7200)["initiator"])


def test_a_host_that_the_logs_show_for_days_is_left_to_its_baseline(tmp_path: Path) -> None:
    traffic = Traffic(60)
    host = "10.1.0.1"
    traffic.live(host, range(0, 36 * 60 + 10, 60))
    traffic.open(host, hosts(1, 1), [SMB, RPC, WINRM], 25 * 60)
    case = make_case(tmp_path, traffic.records)
    assert find(case, lifetime=37 * 3600)["service_port"].tolist() == [RPC, SMB, WINRM]
    assert find(case, lifetime=35 * 3600).empty


def test_other_administration_of_the_same_hour_belongs_to_it(tmp_path: Path) -> None:
    traffic = Traffic(60)
    host, (first, other, web) = "10.1.0.1", hosts(3, 1)
    traffic.live(host, range(0, 120, 5))
    traffic.open(host, [first], [SMB, RPC, WINRM], 25)
    traffic.open(host, [other], [SSH], 40)
    traffic.open(host, [web], [80], 41)
    traffic.open(host, [web], [SSH], 100)
    found = find(make_case(tmp_path, traffic.records))
    assert set(found["responder"]) == {first, other}
