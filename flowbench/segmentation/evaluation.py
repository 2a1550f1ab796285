"""Evaluation of a segmentation policy against a case's connections.

A connection is evaluated by the groups of its ends at its time, its service port and its protocol.
The first rule that matches decides, otherwise the policy's default, which applies only to
connections with an end in a group. Connections of an intermediate device (a NAT gateway) itself are
not evaluated: its clients' own connections are.

A case's connections fall into few classes (groups of the ends, direction, port, protocol): they are
counted in the engine, and rules are matched once per class.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
from ibis import _

from flowbench.errors import MissingFieldError
from flowbench.schema import to_frame
from flowbench.segmentation.membership import Membership, resolve_membership
from flowbench.segmentation.policy import Policy, Rule
from flowbench.segmentation.results import (
    EXTERNAL_DIRECTION,
    UNKNOWN,
    tabulate_groups,
    tabulate_rules,
)

if TYPE_CHECKING:
    from flowbench.case import Case

REQUIRED_FIELDS = ("srcaddr", "dstaddr", "dstport", "protocol", "start", "end")
CLASS = ["initiator_profile", "responder_profile", "direction", "service_port", "protocol"]
SUMS = ["connections", "rejected", "answered", "bytes_out", "bytes_in"]


def evaluate(case: Case, policy: Policy) -> Evaluation:
    """Evaluate a policy against a case's connections.

    Raises:
        MissingFieldError: No flow log of the case has the fields that an evaluation needs.
    """
    return Evaluation(case, policy)


class Evaluation:
    """The result of a policy's evaluation; each part is computed when it is first used."""

    def __init__(self, case: Case, policy: Policy) -> None:
        """Raises MissingFieldError if no flow log of the case has the REQUIRED_FIELDS."""
        if missing := set(REQUIRED_FIELDS) - case.fields:
            raise MissingFieldError(
                "cannot evaluate a policy: no flow log of the case has "
                + ", ".join(sorted(missing))
            )
        self.case, self.policy = case, policy

    @property
    def empty_groups(self) -> list[str]:
        """The groups without any address: rules about them have no effect."""
        return [name for name in self.policy.groups if not self.membership.count(name)]

    @cached_property
    def membership(self) -> Membership:
        """The groups of each address."""
        return resolve_membership(
            self.policy.groups,
            self.case.connection_summaries,
            assignments=self.case.address_assignments,
            interfaces=self.case.interfaces,
            subnets=self.case.table("subnets"),
            vpcs=self.case.table("vpcs"),
        )

    @cached_property
    def traffic(self) -> ibis.Table:
        """Connection summaries with the profiles (sets of groups) of both ends.

        Connections of addresses whose groups changed are not summarised.
        """
        columns = ["initiator", "responder", "first_seen", "last_seen", "intermediate"]
        columns += [*CLASS[2:], *SUMS]
        traffic = self.case.connection_summaries.select(columns)
        if self.membership.changing:
            changing = ibis.memtable({"address": pa.array(self.membership.changing, pa.string())})
            single = self.case.connections.mutate(
                connections=ibis.literal(1, "int64"),
                rejected=_.rejected.cast("int64"),
                answered=_.answered.cast("int64"),
            ).select(columns)
            of_summary, of_single = (
                t.initiator.isin(changing.address) | t.responder.isin(changing.address)
                for t in (traffic, single)
            )
            traffic = traffic.filter(~of_summary).union(single.filter(of_single))
        traffic = traffic.filter(~traffic.intermediate).mutate(
            service_port=_.service_port.fill_null(UNKNOWN), protocol=_.protocol.fill_null(UNKNOWN)
        )
        for end in ("initiator", "responder"):
            profile = f"{end}_profile"
            members = ibis.memtable(
                self.membership.table.rename_columns(["member", "from_", "until", profile])
            )
            traffic = traffic.left_join(
                members,
                [
                    traffic[end] == members.member,
                    members.from_.isnull() | (traffic.first_seen >= members.from_),
                    members.until.isnull() | (traffic.first_seen < members.until),
                ],
            ).drop("member", "from_", "until")
            traffic = traffic.mutate(**{profile: traffic[profile].fill_null(0)})
        return traffic

    @property
    def denied_traffic(self) -> ibis.Table:
        """The rows of ``traffic`` that the policy denies, with the index of the ``rule``.

        The index after the last rule's stands for the default.
        """
        denied = self.classes[~self.classes["allowed"]]
        columns = {
            name: pa.array(denied[name], pa.string() if name == "direction" else pa.int32())
            for name in CLASS
        }
        columns["rule"] = pa.array(denied["rule"], pa.int32())
        return self.traffic.inner_join(ibis.memtable(pa.table(columns)), CLASS)

    @cached_property
    def classes(self) -> pd.DataFrame:
        """The classes of connections (CLASS) with SUMS, the index of the rule, and ``allowed``."""
        return self._decided[0]

    @cached_property
    def _decided(self) -> tuple[pd.DataFrame, np.ndarray]:
        """``classes``, and for each rule the number of connections that earlier rules decided."""
        rows = self.traffic.group_by(CLASS).aggregate(
            **{name: _[name].sum().cast("int64") for name in SUMS},
            first_seen=_.first_seen.min(),
            last_seen=_.last_seen.max(),
        )
        classes = to_frame(rows.order_by(CLASS).to_pyarrow())
        rules = self.policy.rules
        decided_by = np.full(len(classes), len(rules))
        shadowed = np.zeros(len(rules), dtype=np.int64)
        count = classes["connections"].to_numpy()
        for index, rule in enumerate(rules):
            matches = self._match(rule, classes)
            undecided = decided_by == len(rules)
            shadowed[index] = count[matches & ~undecided].sum()
            decided_by[matches & undecided] = index
        # The default applies to the policy's groups, not to all the internet's background traffic.
        ungrouped = (classes["initiator_profile"] == 0) & (classes["responder_profile"] == 0)
        classes["rule"] = np.where((decided_by == len(rules)) & ungrouped, UNKNOWN, decided_by)
        allowed = np.array([*(rule.allow for rule in rules), self.policy.allow_by_default, True])
        classes["allowed"] = allowed[classes["rule"]]  # UNKNOWN, -1, takes the last: not decided
        return classes, shadowed

    def _match(self, rule: Rule, classes: pd.DataFrame) -> np.ndarray:
        """Whether a rule matches each class of connections."""
        matches = self._match_end(rule.initiators, classes, "initiator")
        matches &= self._match_end(rule.responders, classes, "responder")
        if rule.ports:
            port = classes["service_port"].to_numpy()
            in_ranges = [(port >= first) & (port <= last) for first, last in rule.ports]
            matches &= np.any(in_ranges, axis=0)
        if rule.protocols:
            matches &= classes["protocol"].isin(rule.protocols).to_numpy()
        return matches

    def _match_end(self, names: Iterable[str], classes: pd.DataFrame, end: str) -> np.ndarray:
        """Whether one end of each class of connections is in one of these groups."""
        names = set(names)
        has_group = np.array([bool(groups & names) for groups in self.membership.profiles])
        external = classes["direction"].isin([EXTERNAL_DIRECTION[end], "external"]).to_numpy()
        return (
            has_group[classes[f"{end}_profile"].to_numpy()]
            | ("any" in names)
            | (external & ("external" in names))
            | (~external & ("internal" in names))
        )

    def rule_results(self) -> pd.DataFrame:
        """The result of each rule (RULE_RESULTS), in the policy's order, the default last."""
        classes, shadowed = self._decided
        return tabulate_rules(self.policy, classes, shadowed)

    def cells(self) -> pd.DataFrame:
        """The connections between each pair of groups (CELLS), ordered by both."""
        return tabulate_groups(self.classes, self.membership.profiles)
