"""Logging that API events ended, and what the logs of a case no longer show since then."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from flowbench.detect.api_calls import read_events

if TYPE_CHECKING:
    from flowbench.case import Case


FLOW_LOGGING = "flow logging"


@dataclass(frozen=True)
class LogKind:
    """A kind of log: which API events end it, and which begin or resume it."""

    name: str  # of the logs, the subject of a finding
    logging: str
    ended_by: frozenset[str]
    begun_by: frozenset[str]


LOG_KINDS = (
    LogKind(
        "flow logs",
        FLOW_LOGGING,
        frozenset({"DeleteFlowLogs"}),
        frozenset({"CreateFlowLogs"}),
    ),
    LogKind(
        "CloudTrail",
        "CloudTrail logging",
        frozenset({"StopLogging", "DeleteTrail"}),
        frozenset({"StartLogging", "CreateTrail"}),
    ),
    LogKind(
        "DNS query logs",
        "DNS query logging",
        frozenset({"DeleteResolverQueryLogConfig", "DisassociateResolverQueryLogConfig"}),
        frozenset({"CreateResolverQueryLogConfig", "AssociateResolverQueryLogConfig"}),
    ),
)

_NEAR = pd.Timedelta(hours=1)  # between the two calls of a change of format
_MARGIN = pd.Timedelta(minutes=10)
_COLUMNS = ["event_time", "event_name", "event_id", "principal_name", "source_ip", "error_code"]
_COLUMNS += ["request", "evidence_id", "item"]


@dataclass(frozen=True)
class LoggingChange:
    """The events that ended one kind of logging, and what followed.

    Attributes:
        kind: The kind of log.
        events: The API events that ended it, in order of time, with the ``file`` of each.
        resumed: When it was begun again: within the hour before the first of these events, or
            later; None if it was not.
        silent: Interfaces without a record from then on.
        is_unknown: Whether the case has no flow logs that could show them.
    """

    kind: LogKind
    events: pd.DataFrame
    resumed: pd.Timestamp | None
    silent: tuple[str, ...] = ()
    is_unknown: bool = False

    @property
    def flow_log_ids(self) -> list[str]:
        """The ids of the flow logs that the requests name."""
        requests = self.events["request"].dropna()
        return sorted({name for text in requests for name in re.findall(r"\bfl-\w+", text)})

    @property
    def is_change(self) -> bool:
        """Whether a flow log was created within an hour, as for a change of format."""
        if self.kind.logging != FLOW_LOGGING or self.resumed is None:
            return False
        return self.resumed <= self.events["event_time"].max() + _NEAR


def find_logging_changes(
    case: Case, interfaces: pd.DataFrame | None, end: pd.Timestamp | None
) -> Iterator[LoggingChange]:
    """Yield the kinds of logging that API events ended. Failed calls end nothing.

    Args:
        case: The case.
        interfaces: The interfaces with the time of their ``last`` record; None without flow logs.
        end: When the flow logs end.
    """
    names = frozenset().union(*(kind.ended_by | kind.begun_by for kind in LOG_KINDS))
    e = case.api_events
    wanted = e.filter(e.event_name.isin(sorted(names)), e.error_code.isnull())
    rows = read_events(case, wanted.select(_COLUMNS))
    for kind in LOG_KINDS:
        events = rows[rows["event_name"].isin(kind.ended_by)]
        if events.empty:
            continue
        times = rows.loc[rows["event_name"].isin(kind.begun_by), "event_time"]
        resumed = times[times >= events["event_time"].min() - _NEAR]
        silent: tuple[str, ...] = ()
        if kind.logging == FLOW_LOGGING and interfaces is not None:
            silent = _silent_since(events, interfaces, end)
        since = resumed.min() if len(resumed) else None
        yield LoggingChange(kind, events, since, silent, is_unknown=interfaces is None)


def _silent_since(
    events: pd.DataFrame, interfaces: pd.DataFrame, end: pd.Timestamp | None
) -> tuple[str, ...]:
    first, last = events["event_time"].min(), events["event_time"].max()
    stopped = interfaces["last"].between(first - _MARGIN, last + 2 * _MARGIN)
    if end is not None:
        stopped &= interfaces["last"] < end - _MARGIN
    return tuple(interfaces.loc[stopped, "interface_id"])
