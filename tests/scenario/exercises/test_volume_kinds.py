"""The connections of a fleet: IPv6, ECS tasks, scans and backscatter."""

from __future__ import annotations

from tests.scenario.exercises.fleet_logs import fleet, traffic


def test_ipv6_records_and_ecs_tasks() -> None:
    rows = traffic()
    is_v6 = rows["type"] == "IPv6"
    assert is_v6.eq(rows["srcaddr"].str.contains(":")).all()
    assert 0.02 < is_v6.mean() < 0.15
    tasks = {host.interface for host in fleet() if host.role == "ecs-task"}
    assert rows["interface-id"].isin(tasks).eq(rows["ecs-task-id"] != "-").all()
    assert rows["ecs-service-name"].nunique() == 2  # that, and none


def test_scans_are_rejected_and_backscatter_is_accepted() -> None:
    rows = traffic()
    rejected = rows[rows["action"] == "REJECT"]
    balancers = {host.address for host in fleet() if host.role == "alb"}
    assert set(rejected["dstaddr"]) <= balancers
    assert 0.002 < len(rejected) / len(rows) < 0.03
    backscatter = rows[rows["tcp-flags"].eq("18") & rows["flow-direction"].eq("ingress")]
    unasked = backscatter[backscatter["srcaddr"].str.startswith("198.19.")]
    assert len(unasked) >= 3
    assert set(unasked["action"]) == {"ACCEPT"}
