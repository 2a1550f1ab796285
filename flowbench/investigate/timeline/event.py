"""One row of the timeline, and the table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from flowbench.investigate.filters import Filters
from flowbench.schema import ITEM, ORIGIN, Table

TABLE = Table.of(
    "timeline",
    ("time", "time", "when it happened or began"),
    ("end", "time", "when it ended; null for a moment"),
    (
        "data_source",
        "string",
        "flowbench (findings), flow logs (sessions, connections), CloudTrail, GuardDuty, DNS or"
        " notes",
    ),
    ("actor", "string", "who acted: an address or a principal"),
    (
        "activity",
        "string",
        "what was done: title of a finding, name of an API call, type of an alert",
    ),
    ("object", "string", "what it was done to: an address, instance, user, domain, …"),
    ("detail", "string", "the same in one sentence"),
    ("severity", "string", "of a finding or an alert"),
    ("technique", "string", "ATT&CK technique id of a finding"),
    ("count", "int64", "number of connections, API events or queries in the row; null for one"),
    ("evidence", "string", "finding id, event id or alert id; of the first, where there are more"),
    *ORIGIN,
    ITEM,
)

ORDER = ["time", "data_source", "evidence", "activity", "actor", "object", "detail"]
ORDER += ["evidence_id", "line", "item"]


@dataclass(frozen=True)
class Event:
    """One row of TABLE, and the values for filters."""

    time: datetime | None
    data_source: str
    activity: str
    detail: str
    actor: str | None = None
    object: str | None = None
    end: datetime | None = None
    severity: str | None = None
    technique: str | None = None
    count: int | None = None
    evidence: str | None = None
    evidence_id: str | None = None
    line: int | None = None
    item: int | None = None
    peers: tuple[str, ...] = ()  # the addresses and names that it concerns
    ports: tuple[int | None, ...] = ()
    rejected: bool = False

    def matches(self, filters: Filters) -> bool:
        """Whether it is in the period, with the peer, on a port, and rejected, as wanted."""
        return (
            filters.overlaps(self.time, self.end)
            and (filters.peer is None or filters.peer in (self.actor, self.object, *self.peers))
            and (not filters.ports or not set(filters.ports).isdisjoint(self.ports))
            and (self.rejected or not filters.rejected)
        )
