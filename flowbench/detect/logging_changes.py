"""API events that disable logging, and what the flow logs show afterwards."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from flowbench.schema import to_frame

if TYPE_CHECKING:
    from flowbench.case import Case

# API event -> the logging that it disables (ATT&CK T1562.008)
DISABLING_EVENTS = {
    "DeleteFlowLogs": "flow logging",
    "DeleteLogGroup": "a log group",
    "DeleteLogStream": "a log stream",
    "StopLogging": "CloudTrail logging",
    "DeleteTrail": "CloudTrail logging",
    "DeleteDetector": "GuardDuty",
    "DisassociateResolverQueryLogConfig": "DNS query logging",
    "DeleteResolverQueryLogConfig": "DNS query logging",
}

_CREATING_EVENT = "CreateFlowLogs"
_NEAR = pd.Timedelta(hours=1)
_MARGIN = pd.Timedelta(minutes=10)
_COLUMNS = ["event_time", "event_name", "event_id", "principal_name", "principal_arn"]
_COLUMNS += ["source_ip", "error_code", "request", "evidence_id", "item"]


@dataclass(frozen=True)
class LoggingChange:
    """The events of one name by which one principal disabled logging, or failed to.

    Attributes:
        principal: The name of the principal, or its ARN.
        event_name: One of DISABLING_EVENTS.
        failed: Whether AWS returned an error.
        events: The API events, ordered by time, with the ``file`` that holds each.
        created: When the same principal created a flow log within an hour; None otherwise.
        silent: Interfaces without a record from then on.
    """

    principal: str
    event_name: str
    failed: bool
    events: pd.DataFrame
    created: pd.Timestamp | None
    silent: tuple[str, ...]

    @property
    def flow_log_ids(self) -> list[str]:
        """The ids of the flow logs that the requests name."""
        requests = self.events["request"].dropna()
        return sorted({name for text in requests for name in re.findall(r"\bfl-\w+", text)})


def find_logging_changes(
    case: Case, interfaces: pd.DataFrame, end: pd.Timestamp
) -> Iterator[LoggingChange]:
    """Yield the logging changes that CloudTrail recorded, by principal, event and outcome.

    Args:
        case: The case.
        interfaces: The interfaces with the time of their ``last`` record.
        end: When the logs end.
    """
    events = _read_events(case)
    is_creation = events["event_name"] == _CREATING_EVENT
    creations = events[is_creation & ~events["failed"]]
    groups = events[~is_creation].groupby(["principal", "event_name", "failed"])
    for (principal, name, failed), group in groups:
        first, last = group["event_time"].min(), group["event_time"].max()
        created = creations.loc[creations["principal"] == principal, "event_time"]
        created = created[created.between(first - _NEAR, last + _NEAR)]
        stopped = interfaces["last"].between(first - _MARGIN, last + 2 * _MARGIN)
        silent = interfaces[stopped & (interfaces["last"] < end - _MARGIN)]
        yield LoggingChange(
            str(principal),
            str(name),
            bool(failed),
            group,
            created.iloc[0] if name == "DeleteFlowLogs" and len(created) else None,
            tuple(silent["interface_id"]),
        )


def _read_events(case: Case) -> pd.DataFrame:
    e = case.api_events
    events = e.filter(e.event_name.isin([*DISABLING_EVENTS, _CREATING_EVENT])).select(_COLUMNS)
    order = ["event_time", "event_id", "evidence_id", "item"]
    rows = to_frame(events.order_by(order).to_pyarrow())
    names = rows["principal_name"].fillna(rows["principal_arn"]).fillna("unknown")
    files = dict(case.evidence[["evidence_id", "file"]].itertuples(index=False))
    return rows.assign(
        principal=names,
        failed=rows["error_code"].notna(),
        file=rows["evidence_id"].map(files),
    )
