"""Regularity of the connections between pairs: of intervals, of counts per window, of sizes.

Three statistics, each computed in the engine for all numbered pairs at once:

* intervals: how much the time between check-ins varies (``regular_intervals``);
* counts: how much the number of connections per capture window varies (``steady_counts``), which
  is all that the records show of intervals that are not longer than the window;
* sizes: the largest share of connections of nearly equal size (``equal_sizes``).
"""

from __future__ import annotations

import ibis
import pyarrow as pa
from ibis import _

from flowbench.engine import epoch_seconds

KEYS = ["initiator", "responder", "service_port", "protocol"]

_BURST = 30  # seconds: connections that start closer together are one check-in
_PAUSE = 4  # empty windows in a row, after which another run of windows begins
_MIN_RUN = 10  # connections of a run
_MIN_RATE = 0.5  # connections per window of a run; with fewer the intervals can be measured
_BAND, _HEADER = 1.1, 160  # sizes are nearly equal within 10 % and 16 bytes (10 % of _HEADER)


def connections_of(connections: ibis.Table, pairs: pa.Table) -> ibis.Table:
    """Return the connections of numbered pairs: ``check_in`` (bool) where one begins, at ``at``."""
    c, numbered = connections, ibis.memtable(pairs)
    same = [c[name] == numbered[name] for name in KEYS[:3]]
    same.append(c.protocol.identical_to(numbered.protocol))  # null: unknown, and one pair too
    columns = ["first_seen", "last_seen", "bytes_out", "bytes_in", "answered", "rejected"]
    joined = c.join(numbered, same).select(numbered.pair, *(c[name] for name in columns))
    joined = joined.mutate(at=epoch_seconds(joined.first_seen))
    before = joined["at"].lag().over(ibis.window(group_by="pair", order_by="at"))
    return joined.mutate(check_in=before.isnull() | (joined["at"] - before >= _BURST))


def regular_intervals(connections: ibis.Table, window: float) -> ibis.Table:
    """Return how regular the intervals of pairs are: pair, regularity, interval, deviation.

    Interval and deviation are in seconds. The interval is the mean of the intervals near the usual
    one: the capture window blurs single intervals, but not their mean. Pairs are left out whose
    intervals are shorter than 1.4 windows or vary as much as those of chance.

    Regularity is 1 less the coefficient of variation, times the share of intervals near the mean,
    less 0.5/√n for the uncertainty of n intervals. A start is known only to the length w of the
    capture window, which alone gives intervals a variance of w²/6 (two uniform errors): that is
    subtracted first.

    Args:
        connections: As ``connections_of`` returns them.
        window: The aggregation interval, in seconds.
    """
    starts = connections.filter("check_in").select("pair", "at")
    before = starts["at"].lag().over(ibis.window(group_by="pair", order_by="at"))
    gaps = starts.select("pair", gap=starts["at"] - before).filter(_.gap.notnull())
    typical = gaps.group_by("pair").aggregate(
        low=_.gap.quantile(0.25), middle=_.gap.median(), high=_.gap.quantile(0.75), count=_.count()
    )
    # Quartiles of random intervals are 1.1 means apart; with 30 % jitter, 0.4 at most.
    typical = typical.filter(
        typical["count"] >= 3, typical.high - typical.low - window <= 0.7 * typical.middle
    )
    gaps = gaps.join(typical, "pair")
    unbroken = gaps.filter(gaps.gap <= 2.5 * ibis.greatest(gaps.middle, window))  # no pauses
    usual = unbroken.group_by("pair").aggregate(usual=unbroken.gap.mean())
    gaps = gaps.join(usual.filter(usual.usual >= 1.4 * window), "pair")
    near = (gaps.gap - gaps.usual).abs() <= ibis.greatest(0.75 * gaps.usual, window)
    rated = gaps.group_by("pair", "count").aggregate(
        near=gaps.count(where=near),
        interval=gaps.gap.mean(where=near),
        # Of whole numbers, and so the same in whatever order they are added.
        squares=(gaps.gap * gaps.gap).mean(where=near),
        deviation=(gaps.gap - gaps.middle).abs().median(),
    )
    variance = rated.squares - rated.interval**2 - window**2 / 6
    variation = ibis.greatest(0.0, variance).sqrt() / rated.interval
    even = ibis.greatest(0.0, 1 - variation) * rated.near / rated["count"]
    rated = rated.mutate(regularity=even - 0.5 / rated["count"].sqrt())
    return rated.select("pair", "regularity", "interval", "deviation")


def steady_counts(connections: ibis.Table, window: float) -> ibis.Table:
    """Return how even the number of connections per capture window of pairs is.

    A run is a stretch of windows without a pause of more than four empty ones; runs of fewer than
    ten connections, or of fewer than one in two windows, do not count. Columns: pair, counted
    (connections in runs), windows (of runs, empty ones included), rate (connections per window) and
    dispersion: variance by mean of the counts (index of dispersion; Cox and Lewis, The Statistical
    Analysis of Series of Events, 1966). It is near 1 for independent events, greater for bursts and
    near 0 for a schedule: a constant interval gives at most 0.25 by rate, 30 % jitter little more.
    The first and the last window of a run are only partly filled and left out of it.

    Args:
        connections: As ``connections_of`` returns them.
        window: The aggregation interval, in seconds.
    """
    c = connections
    first = c["at"].min().over(ibis.window(group_by="pair"))
    # Rounded, because the first window is shorter where logging begins within it.
    slots = c.select("pair", slot=((c["at"] - first) / window).round().cast("int64"))
    counts = slots.group_by("pair", "slot").aggregate(n=_.count())
    in_order = ibis.window(group_by="pair", order_by="slot")
    before = counts.slot.lag().over(in_order)
    new = (counts.slot - before > _PAUSE + 1).fill_null(False).cast("int64")
    counts = counts.mutate(new=new)
    counts = counts.mutate(
        run=counts.new.sum().over(ibis.cumulative_window(group_by="pair", order_by="slot"))
    )
    ends = counts.group_by("pair", "run").aggregate(
        low=_.slot.min(), high=_.slot.max(), counted=_.n.sum()
    )
    ends = ends.mutate(windows=ends.high - ends.low + 1)
    ends = ends.filter(ends.counted >= _MIN_RUN, ends.counted >= _MIN_RATE * ends.windows)
    inner = counts.join(ends, ["pair", "run"])
    is_inner = (inner.slot > inner.low) & (inner.slot < inner.high)
    sums = inner.group_by("pair").aggregate(
        inner=inner.n.sum(where=is_inner), squares=(inner.n * inner.n).sum(where=is_inner)
    )
    runs = ends.group_by("pair").aggregate(
        counted=_.counted.sum(),
        windows=_.windows.sum(),
        inner_windows=ibis.greatest(_.windows - 2, 0).sum(),
    )
    r = runs.join(sums, "pair")
    mean = r.inner / r.inner_windows.nullif(0)
    dispersion = (r.squares / r.inner_windows.nullif(0) - mean**2) / mean.nullif(0)
    return r.select("pair", "counted", "windows", rate=r.counted / r.windows, dispersion=dispersion)


def equal_sizes(connections: ibis.Table) -> ibis.Table:
    """Return the share of answered connections of nearly equal size: pair, equal_sizes.

    It is the geometric mean of the largest share by bytes sent and that by bytes received, less
    0.5/√n for the uncertainty of n connections. Sizes are nearly equal when they are in one of the
    bands into which a logarithmic scale is divided; a second division, by half a band further,
    keeps a group together that an edge of the first parts. Connections without an answer have no
    size of their own and add to no band.

    Args:
        connections: As ``connections_of`` returns them.
    """
    shares: list[ibis.Table] = []
    for column in ("bytes_out", "bytes_in"):
        place = (connections[column] + _HEADER).ln() / ibis.literal(_BAND).ln()
        for shift in (0.0, 0.5):
            band = (place + shift).floor().cast("int32")
            bands = connections.select("pair", "answered", band=band).group_by("pair", "band")
            most = bands.aggregate(n=_.answered.sum()).group_by("pair").aggregate(n=_.n.max())
            shares.append(most.mutate(column=ibis.literal(column)))
    most = ibis.union(*shares).group_by("pair", "column").aggregate(n=_.n.max())
    both = most.group_by("pair").aggregate(
        sent=_.n.max(where=_.column == "bytes_out"), received=_.n.max(where=_.column == "bytes_in")
    )
    counts = connections.group_by("pair").aggregate(n=_.count())
    j = both.join(counts, "pair")
    share = (j.sent * j.received).cast("float64").sqrt() / j.n
    return j.select("pair", equal_sizes=ibis.greatest(0.0, share - 0.5 / j.n.sqrt()))
