"""Destinations that several hosts send to, in logs too short to show what is established.

Logs of less than two days have one night and one working day. A nightly backup runs once in them,
and a service that people use during the day is not used in their first quarter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis
import pandas as pd

from flowbench.detect.routine_transfers import FEW_SLOTS, is_in_backup_window
from flowbench.detect.traffic import browsing_hosts
from flowbench.schema import to_frame

if TYPE_CHECKING:
    from flowbench.case import Case

_HOSTS = 4  # that make a destination a common one
_MIN_SITES = 3  # that a person visits in the one working day of such logs
_APART = pd.Timedelta(hours=4)  # from the first to the last that they sent to it


def drop_common(
    case: Case, rows: pd.DataFrame, large_pairs: ibis.Table, end: pd.Timestamp
) -> pd.DataFrame:
    """Return the transfers that are neither backups nor files of people.

    A transfer is a backup when four hosts sent to the address in the first quarter of the logs, or
    when it is similar to those of three hosts to such an address at the same time. It is files of
    people when it was sent in less than ten slots of ten minutes, and four hosts from which people
    browse sent to the address, over more than four hours.

    Args:
        case: The case.
        rows: Rows of ``large_pairs`` with slots, the number of slots in which bytes were sent.
        large_pairs: See ``OutboundVolumes``.
        end: End of the logs.
    """
    rows = rows[rows["early"] < _HOSTS]
    common = large_pairs.filter(large_pairs.early >= _HOSTS)
    columns = ["host", "peer", "sent", "first_seen", "last_seen"]
    common_rows = to_frame(common.select(columns).order_by(columns).to_pyarrow())
    rows = rows[~is_in_backup_window(rows, common_rows)]
    peers = large_pairs.filter(large_pairs.peer.isin(sorted(set(rows["peer"]))))
    people = peers.semi_join(browsing_hosts(case, end, min_sites=_MIN_SITES), "host")
    columns = ["peer", "host", "first_seen", "last_seen"]
    sent = to_frame(people.select(columns).order_by(columns).to_pyarrow())
    by_peer = sent.groupby("peer").agg(
        hosts=("host", "nunique"), first=("first_seen", "min"), last=("last_seen", "max")
    )
    used = by_peer[(by_peer["hosts"] >= _HOSTS) & (by_peer["last"] - by_peer["first"] >= _APART)]
    return rows[~(rows["peer"].isin(used.index) & (rows["slots"] < FEW_SLOTS))]
