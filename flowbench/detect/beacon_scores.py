"""Which pairs of host and service have connections on a schedule, and how they score."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa

from flowbench.detect import check_ins
from flowbench.detect.beacon_candidates import find_candidates
from flowbench.detect.check_ins import KEYS
from flowbench.schema import to_frame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowbench.case import Case

_WEIGHTS = {"regularity": 0.4, "sizes": 0.2, "evenness": 0.2, "persistence": 0.2}
VARIED = 0.5  # share of equal sizes, below which only the timing is regular


class Pair(NamedTuple):
    """A host and a service, with the statistics of their connections (None: not computed)."""

    pair: int
    initiator: str
    responder: str
    service_port: int
    protocol: int | None
    direction: str
    host_count: int  # internal hosts that use the service
    shared: bool  # their number excuses it
    regularity: float | None
    interval: float | None  # seconds, mean
    deviation: float | None  # seconds, median absolute deviation of the intervals
    counted: float | None  # connections in runs
    windows: float | None  # capture windows of runs
    rate: float | None  # connections per window
    dispersion: float | None
    equal_sizes: float  # share of connections of nearly equal size


class Beacon(NamedTuple):
    """A pair on a schedule, with its connections in the order of time and its scores."""

    pair: Pair
    connections: pd.DataFrame
    score: float  # the total
    parts: dict[str, float]

    @property
    def service(self) -> tuple[str, int]:
        """Address and port of the responder."""
        return self.pair.responder, self.pair.service_port


class Limits(NamedTuple):
    """The thresholds of ``find``, and the aggregation interval in seconds."""

    min_score: float
    min_regularity: float
    min_regularity_varied: float
    min_check_ins: int
    min_equal_sizes: float
    max_dispersion: float
    min_windows: int
    window: float


def score_pairs(
    case: Case, min_connections: int, max_connections: int, limits: Limits
) -> Iterator[Beacon]:
    """Yield the pairs on a schedule in the order of KEYS.

    ``detectors/beacon.py`` describes the three statistics.
    """
    candidates = find_candidates(case, min_connections, max_connections)
    number = ibis.row_number().over(ibis.window(order_by=KEYS))
    pairs = candidates.mutate(pair=number).to_pyarrow()
    every = check_ins.connections_of(case.connections, pairs)
    needed = every.select("pair", "at", "check_in", "bytes_out", "bytes_in", "answered")
    with case.materialized(needed) as connections:
        intervals = check_ins.regular_intervals(connections, limits.window)
        counts = check_ins.steady_counts(connections, limits.window)
        rated = check_ins.equal_sizes(connections).left_join(intervals, "pair")
        rated = rated.drop("pair_right").left_join(counts, "pair").drop("pair_right")
        chosen = to_frame(rated.filter(_may_be_beacon(rated, limits)).to_pyarrow())
    joined = to_frame(pairs).merge(chosen, on="pair").sort_values("pair")
    rows = check_ins.connections_of(case.connections, pairs.take(pa.array(joined["pair"])))
    rows = rows.order_by("pair", "first_seen", "bytes_out")
    by_pair = dict(list(to_frame(rows.to_pyarrow()).groupby("pair")))
    plain = joined[list(Pair._fields)].astype(object)
    for row in plain.where(plain.notna(), None).itertuples(index=False):
        pair = Pair(*row)
        totals, parts = _score(pair, by_pair[pair.pair], limits)
        if totals:
            yield Beacon(pair, by_pair[pair.pair], max(totals), parts)


def _may_be_beacon(rated: ibis.Table, limits: Limits) -> ibis.Value:
    """Whether one of the three statistics of a pair is beyond its threshold."""
    enough = rated.counted >= limits.min_check_ins
    by_size = enough & (rated.windows >= 2) & (rated.equal_sizes >= limits.min_equal_sizes)
    by_count = enough & (rated.dispersion <= limits.max_dispersion)
    by_count = by_count & (rated.windows >= limits.min_windows)
    by_interval = rated.regularity >= limits.min_regularity
    return (by_interval.fill_null(False)) | by_size.fill_null(False) | by_count.fill_null(False)


def _score(
    pair: Pair, connections: pd.DataFrame, limits: Limits
) -> tuple[list[float], dict[str, float]]:
    """Return the total of every statistic that is beyond its threshold, and their parts."""
    scores: dict[str, float] = {"equal_sizes": pair.equal_sizes}
    totals = []
    is_varied = pair.equal_sizes < VARIED
    least = limits.min_regularity_varied if is_varied else limits.min_regularity
    if (pair.regularity or 0) >= least and pair.interval:
        parts = {"regularity": pair.regularity or 0.0} | _score_shape(connections, pair.interval)
        total = sum(_WEIGHTS[name] * part for name, part in parts.items())
        if total >= limits.min_score:
            totals.append(total)
            scores |= parts
    if (pair.counted or 0) >= limits.min_check_ins:
        if pair.equal_sizes >= limits.min_equal_sizes and (pair.windows or 0) >= 2:
            totals.append(pair.equal_sizes)
        dispersion = 1.0 if pair.dispersion is None else pair.dispersion
        if dispersion <= limits.max_dispersion and (pair.windows or 0) >= limits.min_windows:
            totals.append(1 - dispersion)
            scores["steady_count"] = 1 - dispersion
    return totals, scores


def _score_shape(connections: pd.DataFrame, interval: float) -> dict[str, float]:
    """Score the sameness of sizes, the evenness and the persistence of a pair's connections."""
    at = connections.loc[connections["check_in"], "at"].to_numpy()
    median = float(connections["bytes_out"].median())
    deviation = float((connections["bytes_out"] - median).abs().median())
    counts = np.bincount(((at - at[0]) // max(3_600, 4 * interval)).astype(int))
    active = counts[counts > 0]  # an implant may pause at night
    inner = active[1:-1] if len(active) > 3 else active
    duration = min(1.0, float(at[-1] - at[0]) / (6 * 3_600))
    return {
        "sizes": max(0.0, 1 - deviation / median) if median else 0.0,
        "evenness": max(0.0, 1 - inner.std() / inner.mean()) if inner.mean() else 0.0,
        "persistence": duration * float((counts > 0).mean()),
    }
