"""Results as tables: states of rules, and sums, ports and verdicts of pairs of groups."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from flowbench.segmentation import parse_policy
from flowbench.segmentation.results import (
    CELLS,
    RULE_RESULTS,
    UNKNOWN,
    service_label,
    tabulate_groups,
    tabulate_rules,
)

AT = pd.Timestamp("2026-09-01 00:00Z")
PROFILES = [frozenset(), frozenset({"web"}), frozenset({"db", "web"})]
POLICY = parse_policy(
    "groups: {web: {vpcs: vpc-1}, db: {vpcs: vpc-2}}\n"
    "rules:\n"
    "  - {from: web, to: db, verdict: allow}\n"
    "  - {from: any, to: db, verdict: deny}\n",
    "p",
)


def classes(*rows: dict[str, Any]) -> pd.DataFrame:
    usual = {
        "initiator_profile": 1, "responder_profile": 2, "direction": "internal",
        "service_port": 5432, "protocol": 6, "connections": 1, "rejected": 0, "answered": 1,
        "bytes_out": 10, "bytes_in": 20, "first_seen": AT, "last_seen": AT + pd.Timedelta("1h"),
        "rule": 0, "allowed": True,
    }  # fmt: skip
    return pd.DataFrame([usual | row for row in rows], columns=list(usual))


def pairs_of(cells: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(cells["initiator_group"], cells["responder_group"], strict=True))


@pytest.mark.parametrize(
    ("row", "shadowed", "states"),
    [
        ({"rule": 0}, (0, 0), ["used", "compliant", "unused"]),
        ({"rule": 0}, (0, 3), ["used", "shadowed", "unused"]),
        ({"rule": 1, "connections": 3, "rejected": 3}, (0, 0), ["unused", "attempted", "unused"]),
        ({"rule": 1, "connections": 3, "rejected": 2}, (0, 0), ["unused", "violated", "unused"]),
        ({"rule": 2}, (0, 0), ["unused", "compliant", "used"]),
        ({"rule": UNKNOWN}, (0, 0), ["unused", "compliant", "unused"]),
    ],
)
def test_states_of_rules(row: dict[str, Any], shadowed: tuple[int, int], states: list) -> None:
    results = tabulate_rules(POLICY, classes(row), shadowed)
    assert list(results.columns) == RULE_RESULTS.columns
    assert list(results["state"]) == states
    assert list(results["verdict"]) == ["allow", "deny", "allow"]
    assert results["line"].tolist()[:2] == [3, 4]
    assert results["rule"].iloc[-1] == "default"


def test_a_member_of_several_groups_counts_in_each_cell() -> None:
    cells = tabulate_groups(classes({}), PROFILES)
    assert list(cells.columns) == CELLS.columns
    assert pairs_of(cells) == [("web", "db"), ("web", "web")]
    assert list(cells["connections"]) == [1, 1]


def test_ends_in_no_group_are_internal_or_external_by_direction() -> None:
    rows = [
        {"initiator_profile": 0, "responder_profile": 1, "direction": "inbound"},
        {"initiator_profile": 1, "responder_profile": 0, "direction": "outbound"},
        {"initiator_profile": 0, "responder_profile": 1},
        {"initiator_profile": 0, "responder_profile": 0, "rule": UNKNOWN},
    ]
    cells = tabulate_groups(classes(*rows), PROFILES)
    assert pairs_of(cells) == [("external", "web"), ("internal", "web"), ("web", "external")]


def test_verdicts_and_the_ports_with_most_connections() -> None:
    denied = {"rule": 1, "allowed": False}
    rows = [
        denied | {"responder_profile": 1, "connections": 5, "rejected": 4, "service_port": 22},
        denied | {"responder_profile": 0, "connections": 2, "rejected": 2, "protocol": UNKNOWN},
        {"initiator_profile": 0, "responder_profile": 1, "connections": 2, "rejected": 2},
        *({"responder_profile": 1, "service_port": 1_000 + n} for n in range(9)),
    ]
    cells = tabulate_groups(classes(*rows), PROFILES).set_index(
        ["initiator_group", "responder_group"]
    )
    web = cells.loc["web", "web"]
    assert web[["verdict", "connections", "violations", "attempts"]].tolist() == [
        "violated", 14, 1, 4,
    ]  # fmt: skip
    assert web["ports"] == "22/tcp (ssh), 1000/tcp, 1001/tcp, 1002/tcp, 1003/tcp"
    assert cells.loc["web", "internal"][["verdict", "attempts"]].tolist() == ["attempted", 2]
    assert cells.loc["internal", "web"][["verdict", "rejected"]].tolist() == ["rejected", 2]


def test_labels_of_services() -> None:
    assert service_label(5432, 6) == "5432/tcp (postgresql)"
    assert service_label(UNKNOWN, UNKNOWN) == service_label(0, UNKNOWN)
