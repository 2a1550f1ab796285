"""Short-lived hosts, replaced like workers of one deployment, that check in with one service."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

from ibis import _

from flowbench.detect.baseline import host_lifetimes
from flowbench.detect.beacon_scores import Beacon, Pair

if TYPE_CHECKING:
    from flowbench.case import Case

_WITHIN = timedelta(hours=1)  # of the start and end of the logs: the host may exist before or after
_AT_ONCE = timedelta(minutes=10)


def find_workers(case: Case, beacons: list[Beacon], least: int) -> set[Pair]:
    """Return the pairs whose host has its whole lifetime within the logs, and checks in all of it.

    A service counts if it has ``least`` such hosts or more, and one of them ended before another
    started: a deployment replaces its workers, while hosts of a campaign check in at the same time.
    """
    counts = Counter(beacon.service for beacon in beacons)
    beacons = [beacon for beacon in beacons if counts[beacon.service] >= least]
    if not beacons:
        return set()
    lifetimes = host_lifetimes(case)
    logs = lifetimes.aggregate(born=_.born.min(), gone=_.gone.max()).to_pyarrow().to_pylist()[0]
    some = lifetimes.filter(lifetimes.host.isin(sorted({b.pair.initiator for b in beacons})))
    hosts = {row["host"]: row for row in some.to_pyarrow().to_pylist()}
    found: dict[tuple[str, int], list[Pair]] = {}
    for beacon in beacons:
        host, seen = hosts[beacon.pair.initiator], beacon.connections
        within = host["born"] >= logs["born"] + _WITHIN and host["gone"] <= logs["gone"] - _WITHIN
        since = seen["first_seen"].min() <= host["born"] + _AT_ONCE
        if within and since and seen["last_seen"].max() >= host["gone"] - _AT_ONCE:
            found.setdefault(beacon.service, []).append(beacon.pair)
    return {
        pair
        for pairs in found.values()
        if min(hosts[pair.initiator]["gone"] for pair in pairs)
        < max(hosts[pair.initiator]["born"] for pair in pairs)
        for pair in pairs
    }
