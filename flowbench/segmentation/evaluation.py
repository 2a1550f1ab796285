"""What a segmentation policy makes of a case: who kept to it, who did not, which rules were used.

Every connection is judged by the groups of its two ends at its time, its service port and its
protocol. The first rule that fits decides; where none does, the policy's default, which speaks only
of connections with an end in some group. A NAT gateway's own address is not judged: its clients
have rows of their own. See flowbench.segmentation.policy for what a policy says.

A case's connections fall into few sorts (groups of the ends, direction, port, protocol): they are
counted in the engine, and the rules are asked once a sort.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
from ibis import _

from flowbench.enrich.ports import label
from flowbench.errors import MissingFieldError
from flowbench.schema import Table, to_frame
from flowbench.segmentation.membership import Members, members
from flowbench.segmentation.policy import Policy, Rule

if TYPE_CHECKING:
    from flowbench.case import Case

NEEDS = ("srcaddr", "dstaddr", "dstport", "protocol", "start", "end")  # fields of the logs
DEFAULT = "default"  # what decides where no rule fits
UNKNOWN = -1  # a port or a protocol that the records do not have

RULES = Table.of(
    "policy_rules",
    ("rule", "string", "its name, or what it says; default: where no rule fits"),
    ("line", "int64", "its line in the policy; null for the default"),
    ("verdict", "string", "may or must not"),
    (
        "state",
        "string",
        "may: used, or unused; must not: kept, tried (all refused), or violated; overruled: what it"
        " fits was decided by rules before it",
    ),
    ("connections", "int64", "how many it decided"),
    ("rejected", "int64", "how many of them were refused"),
    ("answered", "int64", "how many were answered"),
    ("overruled", "int64", "connections that fit it, and that a rule before it decided"),
    ("first_seen", "time", "start of the first that it decided"),
    ("last_seen", "time", "end of the last"),
)

CELLS = Table.of(
    "policy_cells",
    ("source", "string", "group of who opened; 'internal' and 'outside': in no group"),
    ("target", "string", "group of who was called"),
    ("verdict", "string", "violated, attempted, allowed; refused: allowed, and never let through"),
    ("connections", "int64", "all from the one group to the other"),
    ("violations", "int64", "forbidden, and not refused"),
    ("attempts", "int64", "forbidden, and refused"),
    ("rejected", "int64", "allowed, and refused all the same"),
    ("bytes_out", "int64", "bytes from those who opened"),
    ("bytes_in", "int64", "bytes to them"),
    ("ports", "string", "the five service ports with most connections"),
    ("first_seen", "time", "start of the first"),
    ("last_seen", "time", "end of the last"),
)

SORT = ["source", "target", "direction", "service_port", "protocol"]
SUMS = ["connections", "rejected", "answered", "bytes_out", "bytes_in"]
_NAMED = 5  # ports told of a cell


class Judgement:
    """A policy's word on a case; each part is worked out when it is asked for."""

    def __init__(self, case: Case, policy: Policy) -> None:
        """Raises MissingFieldError when the case's evidence does not tell ends and ports."""
        if missing := set(NEEDS) - case.fields:
            raise MissingFieldError(
                "a policy cannot be judged: no flow log of the case tells "
                + ", ".join(sorted(missing))
            )
        self.case, self.policy = case, policy

    @property
    def empty(self) -> list[str]:
        """The groups that no address belongs to: what rules say of them, they say of nobody."""
        return [name for name in self.policy.groups if not self.members.count(name)]

    @cached_property
    def members(self) -> Members:
        """Which addresses belong to which groups."""
        return members(
            self.policy.groups,
            self.case.connection_summaries,
            holders=self.case.address_assignments,
            interfaces=self.case.interfaces,
            subnets=self.case.table("subnets"),
            vpcs=self.case.table("vpcs"),
        )

    @cached_property
    def talks(self) -> ibis.Table:
        """Pairs, and single connections of addresses that changed groups, with their groups."""
        shared = [
            "initiator",
            "responder",
            "first_seen",
            "last_seen",
            "intermediate",
            *SORT[2:],
            *SUMS,
        ]
        talks = self.case.connection_summaries.select(shared)
        if self.members.changing:
            some = ibis.memtable({"changing": pa.array(self.members.changing, pa.string())})
            single = self.case.connections.mutate(
                connections=ibis.literal(1, "int64"),
                rejected=_.rejected.cast("int64"),
                answered=_.answered.cast("int64"),
            ).select(shared)
            changes = [
                t.initiator.isin(some.changing) | t.responder.isin(some.changing)
                for t in (talks, single)
            ]
            talks = talks.filter(~changes[0]).union(single.filter(changes[1]))
        talks = talks.filter(~talks.intermediate).mutate(
            service_port=_.service_port.fill_null(UNKNOWN), protocol=_.protocol.fill_null(UNKNOWN)
        )
        for end, name in (("initiator", "source"), ("responder", "target")):
            held = ibis.memtable(
                self.members.table.rename_columns(["whose", "since", "until", name])
            )
            talks = talks.left_join(
                held,
                [
                    talks[end] == held.whose,
                    held.since.isnull() | (talks.first_seen >= held.since),
                    held.until.isnull() | (talks.first_seen < held.until),
                ],
            ).drop("whose", "since", "until")
            talks = talks.mutate(**{name: talks[name].fill_null(0)})
        return talks

    @property
    def against(self) -> ibis.Table:
        """The rows of ``talks`` that the policy forbids, with the place of the ``rule``.

        The place after the last rule's is the default's.
        """
        bad = self.sorts[~self.sorts["may"]]
        columns = {
            name: pa.array(bad[name], pa.string() if name == "direction" else pa.int32())
            for name in SORT
        }
        columns["rule"] = pa.array(bad["rule"], pa.int32())
        return self.talks.inner_join(ibis.memtable(pa.table(columns)), SORT)

    @cached_property
    def sorts(self) -> pd.DataFrame:
        """The sorts of connections (SORT) with their sums, and the place of the rule for each."""
        rows = self.talks.group_by(SORT).aggregate(
            **{name: _[name].sum().cast("int64") for name in SUMS},
            first_seen=_.first_seen.min(),
            last_seen=_.last_seen.max(),
        )
        found = to_frame(rows.order_by(SORT).to_pyarrow())
        rules = self.policy.rules
        decided = np.full(len(found), len(rules))
        self.overruled = np.zeros(len(rules), dtype=np.int64)
        count = found["connections"].to_numpy()
        for place, rule in enumerate(rules):
            fits = self._fits(rule, found)
            free = decided == len(rules)
            self.overruled[place] = count[fits & ~free].sum()
            decided[fits & free] = place
        # The default speaks of the policy's groups, not of all the internet's noise.
        nobodys = (decided == len(rules)) & (found["source"] == 0) & (found["target"] == 0)
        found["rule"] = np.where(nobodys, UNKNOWN, decided)
        allowed = np.array([*(rule.may for rule in rules), self.policy.default, True])
        found["may"] = allowed[found["rule"]]  # -1: the last, what the policy is silent about
        return found

    def _fits(self, rule: Rule, found: pd.DataFrame) -> np.ndarray:
        fits = self._among(rule.sources, found["source"], found["direction"], "inbound")
        fits &= self._among(rule.targets, found["target"], found["direction"], "outbound")
        if rule.ports:
            at = found["service_port"].to_numpy()
            fits &= np.any([(at >= first) & (at <= last) for first, last in rule.ports], axis=0)
        if rule.protocols:
            fits &= found["protocol"].isin(rule.protocols).to_numpy()
        return fits

    def _among(
        self, names: Iterable[str], profile: pd.Series, direction: pd.Series, outwards: str
    ) -> np.ndarray:
        """Whether an end of each sort of connections is meant by one of these names."""
        names = set(names)
        meant = np.array([bool(groups & names) for groups in self.members.profiles])
        outside = direction.isin([outwards, "external"]).to_numpy()
        return (
            meant[profile.to_numpy()]
            | ("any" in names)
            | (outside & ("outside" in names))
            | (~outside & ("internal" in names))
        )

    def rules(self) -> pd.DataFrame:
        """What became of each rule (RULES), in the policy's order, the default last."""
        rows = []
        by_rule = dict(list(self.sorts.groupby("rule")))
        named: list[Rule | None] = [*self.policy.rules, None]
        for place, rule in enumerate(named):
            mine = by_rule.get(place, self.sorts.iloc[:0])
            sums = {name: int(mine[name].sum()) for name in ("connections", "rejected", "answered")}
            may = rule.may if rule else self.policy.default
            overruled = int(self.overruled[place]) if rule else 0
            if may:
                state = "used" if sums["connections"] else "unused"
            elif sums["connections"] > sums["rejected"]:
                state = "violated"
            else:
                state = "tried" if sums["connections"] else "kept"
            if overruled and not sums["connections"]:
                state = "overruled"
            rows.append(
                {"rule": rule.name if rule else DEFAULT, "line": rule.line if rule else None,
                 "verdict": "may" if may else "must not", "state": state, **sums,
                 "overruled": overruled, "first_seen": _time(mine["first_seen"].min()),
                 "last_seen": _time(mine["last_seen"].max())}
            )  # fmt: skip
        return RULES.frame(rows)

    def cells(self) -> pd.DataFrame:
        """Group by group (CELLS), ordered by source and target.

        Who is in several groups counts in several cells. What the policy is silent about (no rule
        fits, and neither end is in a group) is in none.
        """
        rows = self.sorts[self.sorts["rule"] != UNKNOWN].copy()
        rows["violations"] = (rows["connections"] - rows["rejected"]).where(~rows["may"], 0)
        rows["attempts"] = rows["rejected"].where(~rows["may"], 0)
        rows["rejected"] = rows["rejected"].where(rows["may"], 0)
        for end, outwards in (("source", "inbound"), ("target", "outbound")):
            outside = rows["direction"].isin([outwards, "external"])
            rows[end] = [
                sorted(self.members.profiles[profile]) or ["outside" if out else "internal"]
                for profile, out in zip(rows[end], outside, strict=True)
            ]
            rows = rows.explode(end)
        sums = ["connections", "violations", "attempts", "rejected", "bytes_out", "bytes_in"]
        found = rows.groupby(["source", "target"], as_index=False, sort=True).agg(
            **{name: (name, "sum") for name in sums},
            first_seen=("first_seen", "min"),
            last_seen=("last_seen", "max"),
        )
        ports: dict[tuple[str, str], list[str]] = defaultdict(list)
        by_port = rows.groupby(["source", "target", "service_port", "protocol"], as_index=False)
        used = (
            by_port["connections"].sum().sort_values("connections", ascending=False, kind="stable")
        )
        for row in used.itertuples():
            if len(mine := ports[row.source, row.target]) < _NAMED:
                mine.append(door(row.service_port, row.protocol))
        cells = zip(found["source"], found["target"], strict=True)
        found["ports"] = [", ".join(ports[cell]) for cell in cells]
        passed = found["connections"] - found["violations"] - found["attempts"] - found["rejected"]
        found["verdict"] = np.select(
            [found["violations"] > 0, found["attempts"] > 0, passed > 0],
            ["violated", "attempted", "allowed"],
            "rejected",
        )
        return CELLS.frame(found.to_dict("records"))


def door(port: int, protocol: int) -> str:
    """A service port and its protocol as a person says them."""
    return label(max(int(port), 0), None if protocol == UNKNOWN else int(protocol))


def _time(value: pd.Timestamp) -> pd.Timestamp | None:
    return None if pd.isna(value) else value
