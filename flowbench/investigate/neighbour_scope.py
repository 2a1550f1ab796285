"""Which hosts and connections of a case a graph of neighbours shows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import ibis
import pandas as pd

from flowbench.connections import summarize_connections
from flowbench.investigate.where import filter_connections

if TYPE_CHECKING:
    from flowbench.case import Case

MOST_NODES = 1_000  # that a browser shows smoothly, one by one


@dataclass(frozen=True)
class Scope:
    """What of a case is shown.

    Attributes:
        hosts: Addresses that are shown by themselves.
        expanded: Addresses whose neighbours are shown too.
        since: Only connections seen since then, UTC; None for all.
        until: Only connections that began before then, UTC; None for all.
        most: The number of nodes above which neighbours are grouped.
        where: Only connections that match this filter expression; '' for all.
    """

    hosts: tuple[str, ...]
    expanded: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    most: int = MOST_NODES
    where: str = ""


@contextmanager
def summaries_in(case: Case, scope: Scope) -> Iterator[ibis.Table]:
    """Sum the connections of a scope once, for a ``with``.

    Those of intermediate devices are among them, with ``intermediate``.

    Raises:
        FilterError: The scope's filter cannot be read.
    """
    if scope.since is None and scope.until is None and not scope.where.strip():
        yield case.connection_summaries
        return
    c = filter_connections(case, scope.where)
    if scope.since is not None:
        c = c.filter(c["last_seen"] >= pd.Timestamp(scope.since))
    if scope.until is not None:
        c = c.filter(c["first_seen"] < pd.Timestamp(scope.until))
    with case.materialized(summarize_connections(c)) as summaries:
        yield summaries
