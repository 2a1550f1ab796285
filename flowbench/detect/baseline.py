"""What is usual: the baseline period of the logs, a host's lifetime, and hosts that are like it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import ibis
import pandas as pd
from ibis import _

from flowbench.engine import epoch_seconds
from flowbench.enrich.ownership import SUBNET, neighbourhood_key
from flowbench.schema import to_frame

if TYPE_CHECKING:
    from flowbench.case import Case

_DAY = 86_400
_MIN_LIKE = 3  # hosts
# What makes hosts alike, the closest first.
_ALIKE = ("group", "name", "subnet", "neighbourhood")
_GROUP_TAG = "aws:autoscaling:groupName"


class Baseline(NamedTuple):
    """The first half of the logs, at least a day and at most a week."""

    middle: pd.Timestamp
    end: pd.Timestamp
    seconds: float  # its length
    seconds_after: float  # length of the logs after it

    @property
    def scale(self) -> float:
        """How many times longer the logs after it are than its second half.

        A host that meets new peers as part of its work meets so many times more after the baseline
        period than in its second half.
        """
        return self.seconds_after / (self.seconds / 2)


def find_baseline(begin: pd.Timestamp | None, end: pd.Timestamp | None) -> Baseline | None:
    """Return the baseline period of logs from ``begin`` to ``end``.

    None for logs of less than a day and a half: they do not show what is usual.
    """
    if begin is None or end is None or pd.isna(begin) or pd.isna(end):
        return None
    total = (end - begin).total_seconds()
    if total < 1.5 * _DAY:
        return None
    seconds = min(7 * _DAY, max(_DAY, total / 2))
    length = pd.Timedelta(seconds=seconds)
    return Baseline(begin + length - length / 2, begin + length, seconds, total - seconds)


def host_lifetimes(case: Case) -> ibis.Table:
    """Return when each internal host was seen: host, born and gone (UTC).

    A host is seen in any traffic, with internal and external peers. Known limit: an address that
    was assigned to several instances in turn has one lifetime.
    """
    s = case.connection_summaries
    ends = [
        s.filter(s.direction.isin(["internal", direction])).select(
            "first_seen", "last_seen", host=s[end]
        )
        for end, direction in (("initiator", "outbound"), ("responder", "inbound"))
    ]
    seen = ends[0].union(ends[1])
    return seen.group_by("host").aggregate(born=_.first_seen.min(), gone=_.last_seen.max())


def host_baselines(case: Case) -> ibis.Table:
    """Return the baseline period of each internal host, in its observed lifetime.

    Columns: host, middle and until (UTC), scale; see ``Baseline``. A host that was seen for less
    than a day and a half has no row.
    """
    lifetimes = host_lifetimes(case)
    lifetimes = lifetimes.mutate(
        total=epoch_seconds(lifetimes.gone) - epoch_seconds(lifetimes.born)
    )
    lifetimes = lifetimes.filter(lifetimes.total >= 1.5 * _DAY)
    lifetimes = lifetimes.mutate(
        seconds=ibis.least(7.0 * _DAY, ibis.greatest(1.0 * _DAY, lifetimes.total / 2))
    )
    return lifetimes.select(
        "host",
        middle=lifetimes.born + (lifetimes.seconds / 2).cast("int64").as_interval("s"),
        until=lifetimes.born + lifetimes.seconds.cast("int64").as_interval("s"),
        scale=(lifetimes.total - lifetimes.seconds) / (lifetimes.seconds / 2),
    )


def typical_volumes(
    case: Case, hosts: list[str], volumes: ibis.Table, before: pd.Timestamp
) -> dict[str, float]:
    """Return what hosts that are like each of some hosts have, as the median of them.

    Hosts are alike when they have the same Auto Scaling group, or Name tag, or subnet, or (without
    inventory) neighbourhood: the first of these with three other hosts counts. Without such, a host
    has no typical volume.

    Args:
        case: The case.
        hosts: Internal hosts.
        volumes: host, born (UTC) and volume of all internal hosts.
        before: Only hosts that were born before count, so that hosts of one attack are not each
            other's baseline.
    """
    if not hosts:
        return {}
    a = case.address_assignments
    values = {"group": a.tags.get(_GROUP_TAG), "name": a.name, "subnet": a.subnet_id}
    groups = volumes.select(
        "host", alike=ibis.literal("neighbourhood"), value=neighbourhood_key(volumes.host, SUBNET)
    )
    for alike, value in values.items():
        groups = groups.union(a.select(host=a.address, alike=ibis.literal(alike), value=value))
    groups = groups.filter(groups.value.notnull(), groups.value != "").distinct()
    subjects = groups.filter(groups.host.isin(hosts)).rename(subject="host")
    older = groups.join(volumes.filter(volumes.born < before), "host")
    pairs = older.join(subjects, ["alike", "value"]).filter(_.host != _.subject)
    typical = pairs.group_by("subject", "alike").aggregate(
        count=_.host.nunique(), volume=_.volume.median()
    )
    rows = to_frame(typical.filter(typical["count"] >= _MIN_LIKE).to_pyarrow())
    rows = rows.assign(rank=rows["alike"].map(_ALIKE.index)).sort_values(["subject", "rank"])
    return dict(rows.groupby("subject")["volume"].first())
