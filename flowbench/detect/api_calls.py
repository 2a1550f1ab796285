"""API events as findings use them: reading, selecting and listing them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from flowbench.schema import to_frame
from flowbench.selector import ApiEventSelector
from flowbench.text import list_some

if TYPE_CHECKING:
    import ibis

    from flowbench.case import Case

MOST_IDS = 200  # events that a selector lists by id; 36 characters each


def read_events(case: Case, events: ibis.Table) -> pd.DataFrame:
    """Read API events in order of time, with the ``file`` that holds each.

    Args:
        case: The case.
        events: Rows of ``case.api_events``, with at least event_time, event_id, evidence_id, item.
    """
    order = ["event_time", "event_id", "evidence_id", "item"]
    rows = to_frame(events.order_by(order).to_pyarrow())
    files = dict(case.evidence[["evidence_id", "file"]].itertuples(index=False))
    return rows.assign(file=rows["evidence_id"].map(files))


def select_events(calls: pd.DataFrame) -> ApiEventSelector:
    """Return what selects these events.

    They are selected by their ids, or, where they are more than MOST_IDS or one has none, by
    principal, event name, source address and period.

    Args:
        calls: At least one API event: event_id, event_time, event_name, principal_name, source_ip.
    """
    ids = calls["event_id"]
    if ids.notna().all() and len(calls) <= MOST_IDS:
        return ApiEventSelector(event_ids=_distinct(ids))
    is_named = calls["principal_name"].notna().all()
    has_source = calls["source_ip"].notna().all()
    return ApiEventSelector(
        principals=_distinct(calls["principal_name"]) if is_named else (),
        event_names=_distinct(calls["event_name"]),
        source_ips=_distinct(calls["source_ip"]) if has_source else (),
        first_seen=calls["event_time"].min().to_pydatetime(),
        last_seen=calls["event_time"].max().to_pydatetime(),
    )


def count_names(calls: pd.DataFrame) -> str:
    """List the API calls, the most frequent first: 'CreateUser 3x, CreateAccessKey 1x'."""
    counts = calls["event_name"].value_counts().sort_index()
    counts = counts.sort_values(ascending=False, kind="stable")
    return list_some(f"{name} {n}x" for name, n in counts.items())


def name_calls(calls: pd.DataFrame) -> str:
    """Name the API call, or list several with their counts."""
    return str(calls["event_name"].iloc[0]) if len(calls) == 1 else count_names(calls)


def _distinct(values: pd.Series) -> tuple[str, ...]:
    return tuple(sorted(set(values.dropna())))
