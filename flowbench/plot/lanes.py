"""Connections as swim lanes: a lane per peer and port, a bar from first to last packet."""

from __future__ import annotations

from typing import NamedTuple

import ibis
import pandas as pd
import plotly.graph_objects as go
from ibis import _

from flowbench.engine import epoch_seconds
from flowbench.enrich.ports import label as port_label
from flowbench.plot import tables, theme
from flowbench.plot.figure import Figure
from flowbench.schema import to_frame
from flowbench.text import format_count, format_duration

_COLUMNS = (
    *("initiator", "responder", "service_port", "protocol", "first_seen", "last_seen"),
    *("rejected", "bytes_out", "bytes_in"),
)
_LANE = ["initiator", "responder", "service_port", "protocol"]
_MOST_BARS = 4_000  # that can be distinguished; more are merged by time
_LABEL = 44
_STYLES = ((False, "accepted or unanswered", theme.SKY), (True, "rejected", theme.PURPLE))


class _Bins(NamedTuple):
    """What merges bars: of the same lane and outcome, in the same ``width`` seconds."""

    width: int
    others: str


def lanes(connections: ibis.Table | pd.DataFrame, *, most: int = 25) -> Figure:
    """Draw when connections were open: a lane per initiator, responder and port.

    Lanes are in the order of their first connection.

    Args:
        connections: Rows of connections.TABLE: initiator, responder, service_port, protocol,
            first_seen, last_seen, rejected, bytes_out, bytes_in. Of more than 4,000 connections
            those of a lane that start in the same period are one bar, which states their number;
            the engine merges millions.
        most: Lanes. Of more, those with most bytes are drawn and the others are one lane, which
            states their number.
    """
    table = tables.to_table(connections, _COLUMNS)
    first, last, count = tables.span(table)
    if first is None or last is None:
        return theme.empty_figure("Connections over time", "There are no connections to draw.")
    table, names = _name_lanes(table, most)
    seconds = (last - first).total_seconds()
    width = 1 if count <= _MOST_BARS else tables.bin_width(seconds)
    bars = _merge_bars(table, width)
    order = bars.groupby("lane")["start"].min().sort_values(kind="stable").index
    position = {lane: number for number, lane in enumerate(order)}
    merged = "" if width == 1 else f"; connections of {format_duration(width)} are one bar"
    plot = theme.figure(
        "Connections over time",
        f"{theme.period(first, last)}; {format_count(count, 'connection')}{merged}",
        height=170 + 22 * len(position),
        barmode="overlay",
    )
    for rejected, name, colour in _STYLES:
        same = bars[bars["rejected"].astype(bool) == rejected]
        if len(same):
            plot.add_trace(_bars(same, position, name, colour, names))
    plot.update_xaxes(**theme.TIME_AXIS, type="date")
    plot.update_yaxes(
        tickvals=list(position.values()),
        ticktext=[theme.escape(theme.shorten(names[lane], _LABEL)) for lane in position],
        range=[len(position) - 0.4, -0.6],
        showgrid=False,
        zeroline=False,
        automargin=True,
    )
    plot.update_layout(legend={"y": -60 / (74 + 22 * len(position))})
    return plot


def _name_lanes(table: ibis.Table, most: int) -> tuple[ibis.Table, dict[int, str]]:
    """Number the lanes of connections by their bytes; the last number is that of all others."""
    sums = table.group_by(_LANE).aggregate(bytes=(_.bytes_out + _.bytes_in).sum().cast("int64"))
    rank = ibis.row_number().over(ibis.window(order_by=[ibis.desc("bytes"), *_LANE]))
    ranked = sums.mutate(lane=rank, total=sums.count().over(ibis.window()))
    first = ranked.filter(ranked.lane < most).order_by("lane").to_pyarrow()
    total = first["total"][0].as_py()
    kept = total if total <= most else most - 1
    first = first.slice(0, kept)
    names = {
        row["lane"]: f"{row['initiator']} → {row['responder']}"
        f" {_port(row['service_port'], row['protocol'])}"
        for row in first.to_pylist()
    }
    names[kept] = f"{total - kept:,} other pairs and ports"
    lanes = ibis.memtable(first.select([*_LANE, "lane"]))
    same = [table[name].identical_to(lanes[name]) for name in _LANE]
    drawn = table.left_join(lanes, same)
    return drawn.mutate(lane=drawn.lane.fill_null(kept)), names


def _port(port: int | None, protocol: int | None) -> str:
    return "" if port is None or protocol is None else port_label(port, protocol)


def _merge_bars(table: ibis.Table, width: int) -> pd.DataFrame:
    start = epoch_seconds(table.first_seen)
    table = table.mutate(start=start, stop=epoch_seconds(table["last_seen"]))
    key = ["lane", "rejected", "slot"] if width > 1 else ["lane", "rejected", "start", "stop"]
    bars = table.mutate(slot=start // width).group_by(key)
    sums = {
        "n": _.count(),
        "bytes_out": _.bytes_out.sum().cast("int64"),
        "bytes_in": _.bytes_in.sum().cast("int64"),
    }
    if width > 1:
        sums |= {"start": _.start.min(), "stop": _["stop"].max()}
    rows = bars.aggregate(**sums)
    return to_frame(rows.order_by("lane", "start", "stop", "rejected").to_pyarrow())


def _bars(
    rows: pd.DataFrame, position: dict[int, int], name: str, colour: str, names: dict[int, str]
) -> go.Bar:
    starts = pd.to_datetime(rows["start"].astype("int64"), unit="s", utc=True)
    lengths = (rows["stop"] - rows["start"]).astype("int64")
    hover = [
        f"<b>{theme.wrap(names[int(row.lane)])}</b><br>{format_count(row.n, 'connection')}, {name};"
        f" {format_duration(int(row.stop - row.start))}<br>{row.bytes_out:,} bytes out,"
        f" {row.bytes_in:,} in"
        for row in rows.itertuples()
    ]
    return go.Bar(
        orientation="h",
        base=starts,
        x=lengths * 1_000,  # milliseconds
        y=[position[lane] for lane in rows["lane"]],
        width=0.6,
        name=name,
        # The outline keeps connections of seconds visible in a period of days.
        marker={"color": theme.rgba(colour, 0.55), "line": {"width": 1.5, "color": colour}},
        customdata=hover,
        hovertemplate="<b>%{base|%Y-%m-%d %H:%M:%S} UTC</b><br>%{customdata}<extra></extra>",
    )
