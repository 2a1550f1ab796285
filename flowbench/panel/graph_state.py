"""What a graph explorer shows: one value, from which every view of it is made."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import pandas as pd

from flowbench.investigate.neighbour_scope import Scope
from flowbench.investigate.neighbours import GROUP

COLORS = ("verdict", "bytes")
TAG = "tag:"  # begins a colour by the values of a tag
MOST = 200  # nodes that stay readable; neighbour_scope.MOST_NODES are shown smoothly


@dataclass(frozen=True)
class GraphState:
    """What is shown, and how.

    Attributes:
        hosts: Addresses that are shown by themselves; the first is the suspect.
        expanded: Those whose neighbours are shown.
        since: Only connections seen since then, UTC; None for all.
        until: Only connections that began before then, UTC; None for all.
        color: One of COLORS, or TAG and the key of a tag.
        most: The number of nodes above which neighbours are grouped.
        where: Only connections that match this filter expression; '' for all.
    """

    hosts: tuple[str, ...]
    expanded: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    color: str = "verdict"
    most: int = MOST
    where: str = ""

    @property
    def scope(self) -> Scope:
        """What of the case is shown."""
        return Scope(self.hosts, self.expanded, self.since, self.until, self.most, self.where)

    def expand(self, node: str) -> GraphState:
        """Show the neighbours of a node; of a group there are none but its members."""
        if node.startswith(GROUP) or node in self.expanded:
            return self
        return replace(self, expanded=(*self.expanded, node))

    def collapse(self, node: str) -> GraphState:
        """Hide the neighbours of a node, except those that another one has."""
        return replace(self, expanded=tuple(other for other in self.expanded if other != node))

    def show(self, address: str) -> GraphState:
        """Show an address by itself, although it belongs to a group."""
        if address in self.hosts:
            return self
        return replace(self, hosts=(*self.hosts, address))

    def to_code(self) -> str:
        """Return the call that makes the same view."""
        arguments = ["case", f"around={list(self.hosts)!r}", f"expanded={list(self.expanded)!r}"]
        for name, time in (("since", self.since), ("until", self.until)):
            if time is not None:
                arguments.append(f"{name}={time.isoformat()!r}")
        defaults = {"where": "", "color": "verdict", "most": MOST}
        arguments += [
            f"{name}={getattr(self, name)!r}"
            for name, default in defaults.items()
            if getattr(self, name) != default
        ]
        return f"fb.panel.graph({', '.join(arguments)})"


def to_utc(time: str | datetime | None) -> pd.Timestamp | None:
    """Return a time as pandas has it; without a time zone it is UTC."""
    if time is None:
        return None
    stamp = pd.Timestamp(time)
    return stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
