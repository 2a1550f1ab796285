"""Results of a policy's evaluation as tables: per rule, and per pair of groups.

Both are made from the classes of connections (see segmentation.evaluation): rows with the profile
of both ends, direction, service port, protocol, sums, ``rule`` (the index of the rule that decides,
or UNKNOWN) and ``allowed``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pandas as pd

from flowbench.enrich.ports import label
from flowbench.schema import Table
from flowbench.segmentation.policy import Policy, Rule

DEFAULT = "default"  # the name under which the policy's default stands beside its rules
UNKNOWN = -1  # a port or protocol that the records lack; the rule of a class that none decides

RULE_RESULTS = Table.of(
    "policy_rules",
    ("rule", "string", "name of the rule, or 'default' for connections that no rule matches"),
    ("line", "int64", "its line in the policy; null for the default"),
    ("verdict", "string", "allow or deny"),
    (
        "state",
        "string",
        "allow: used or unused; deny: compliant (no connection), attempted (all rejected) or"
        " violated; shadowed: earlier rules decided every connection that it matches",
    ),
    ("connections", "int64", "connections that it decided"),
    ("rejected", "int64", "of these, the rejected ones"),
    ("answered", "int64", "of these, the answered ones"),
    ("shadowed", "int64", "connections that it matches and an earlier rule decided"),
    ("first_seen", "time", "start of the first connection that it decided"),
    ("last_seen", "time", "end of the last"),
)

CELLS = Table.of(
    "policy_cells",
    ("initiator_group", "string", "group of the initiator; internal or external: in no group"),
    ("responder_group", "string", "group of the responder"),
    ("verdict", "string", "violated, attempted, allowed, or rejected (allowed, all rejected)"),
    ("connections", "int64", "all from the one group to the other"),
    ("violations", "int64", "denied by the policy and not rejected"),
    ("attempts", "int64", "denied by the policy and rejected"),
    ("rejected", "int64", "allowed by the policy and rejected"),
    ("bytes_out", "int64", "bytes from initiators to responders"),
    ("bytes_in", "int64", "bytes from responders to initiators"),
    ("ports", "string", "the five service ports with most connections"),
    ("first_seen", "time", "start of the first connection"),
    ("last_seen", "time", "end of the last"),
)

# For each end of a connection, the direction in which that end is external.
EXTERNAL_DIRECTION = {"initiator": "inbound", "responder": "outbound"}
_MOST_PORTS = 5  # named in a cell


def tabulate_rules(
    policy: Policy, classes: pd.DataFrame, shadowed: np.ndarray | Sequence[int]
) -> pd.DataFrame:
    """Tabulate the result of each rule (RULE_RESULTS), in the policy's order, the default last.

    Args:
        policy: The policy that was evaluated.
        classes: The classes of connections.
        shadowed: For each rule, the connections that it matches and an earlier rule decided.
    """
    by_rule = dict(list(classes.groupby("rule")))
    rows = []
    rules: list[Rule | None] = [*policy.rules, None]
    for index, rule in enumerate(rules):
        decided = by_rule.get(index, classes.iloc[:0])
        sums = {name: int(decided[name].sum()) for name in ("connections", "rejected", "answered")}
        allow = rule.allow if rule else policy.allow_by_default
        count = int(shadowed[index]) if rule else 0
        rows.append(
            {
                "rule": rule.name if rule else DEFAULT,
                "line": rule.line if rule else None,
                "verdict": "allow" if allow else "deny",
                "state": _state(sums["connections"], sums["rejected"], count, allow=allow),
                **sums,
                "shadowed": count,
                "first_seen": _none_for_nat(decided["first_seen"].min()),
                "last_seen": _none_for_nat(decided["last_seen"].max()),
            }
        )
    return RULE_RESULTS.frame(rows)


def tabulate_groups(classes: pd.DataFrame, profiles: Sequence[frozenset[str]]) -> pd.DataFrame:
    """Tabulate the connections between each pair of groups (CELLS), ordered by both.

    An address in several groups counts in several cells. Connections that neither a rule nor the
    default decides are in none.

    Args:
        classes: The classes of connections.
        profiles: The set of groups that each profile stands for.
    """
    rows = classes[classes["rule"] != UNKNOWN].copy()
    allowed = rows["allowed"]
    rows["violations"] = (rows["connections"] - rows["rejected"]).where(~allowed, 0)
    rows["attempts"] = rows["rejected"].where(~allowed, 0)
    rows["rejected"] = rows["rejected"].where(allowed, 0)
    for end, direction in EXTERNAL_DIRECTION.items():
        external = rows["direction"].isin([direction, "external"])
        rows[f"{end}_group"] = [
            sorted(profiles[profile]) or ["external" if is_external else "internal"]
            for profile, is_external in zip(rows[f"{end}_profile"], external, strict=True)
        ]
        rows = rows.explode(f"{end}_group")
    pair = ["initiator_group", "responder_group"]
    sums = ["connections", "violations", "attempts", "rejected", "bytes_out", "bytes_in"]
    cells = rows.groupby(pair, as_index=False, sort=True).agg(
        **{name: (name, "sum") for name in sums},
        first_seen=("first_seen", "min"),
        last_seen=("last_seen", "max"),
    )
    cells["ports"] = _most_used_ports(rows, cells[pair])
    other = cells["connections"] - cells["violations"] - cells["attempts"] - cells["rejected"]
    cells["verdict"] = np.select(
        [cells["violations"] > 0, cells["attempts"] > 0, other > 0],
        ["violated", "attempted", "allowed"],
        "rejected",
    )
    return CELLS.frame(cells.to_dict("records"))


def service_label(port: int, protocol: int) -> str:
    """Format a service port and its protocol, like '5432/tcp (postgresql)'."""
    return label(max(int(port), 0), None if protocol == UNKNOWN else int(protocol))


def _most_used_ports(rows: pd.DataFrame, cells: pd.DataFrame) -> list[str]:
    """The service ports with most connections of each cell, as text."""
    by_port = rows.groupby([*cells.columns, "service_port", "protocol"], as_index=False)
    sums = by_port["connections"].sum().sort_values("connections", ascending=False, kind="stable")
    ports: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in sums.itertuples():
        if len(labels := ports[row.initiator_group, row.responder_group]) < _MOST_PORTS:
            labels.append(service_label(row.service_port, row.protocol))
    return [", ".join(ports[cell]) for cell in cells.itertuples(index=False, name=None)]


def _state(connections: int, rejected: int, shadowed: int, *, allow: bool) -> str:
    if shadowed and not connections:
        return "shadowed"
    if allow:
        return "used" if connections else "unused"
    if connections > rejected:
        return "violated"
    return "attempted" if connections else "compliant"


def _none_for_nat(value: pd.Timestamp) -> pd.Timestamp | None:
    return None if pd.isna(value) else value
