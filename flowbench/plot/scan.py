"""A scan: which hosts and which ports were attempted when, and with what outcome."""

from __future__ import annotations

import ibis
import pandas as pd
import plotly.graph_objects as go
from ibis import _
from plotly.subplots import make_subplots

from flowbench.engine import epoch_seconds
from flowbench.plot import tables, theme
from flowbench.plot.figure import Figure
from flowbench.schema import to_frame
from flowbench.text import format_count, format_duration

_COLUMNS = (
    *("initiator", "responder", "service_port", "first_seen", "last_seen"),
    *("answered", "rejected"),
)
_ROWS = 50  # that can be distinguished in one panel
_LABELLED = 24  # rows that get a label each
_LABEL = 39  # characters of a label: an IPv6 address

# Outcome: colour and symbol; the most telling is drawn last.
_OUTCOMES = {
    "unanswered": (theme.GREY, "circle-open"),
    "rejected": (theme.PURPLE, "x"),
    "answered": (theme.ORANGE, "circle"),
}


def scan(connections: ibis.Table | pd.DataFrame) -> Figure:
    """Draw the attempts of a source: responders over time, and below them ports over time.

    A host sweep rises in the upper panel and stays level in the lower one; a port scan does the
    opposite. Responders are in the order of their first attempt. A mark is the attempts of one
    outcome in a cell; its size grows with their number.

    Args:
        connections: Rows of connections.TABLE, usually of one initiator: initiator, responder,
            service_port, first_seen, last_seen, answered, rejected. Millions are summed in the
            engine: more than 50 responders or ports share rows.
    """
    table = tables.to_table(connections, _COLUMNS)
    first, last, count = tables.span(table)
    if first is None or last is None:
        return theme.empty_figure("Connection attempts", "There are no connections to draw.")
    begin, width = int(first.timestamp()), tables.bin_width((last - first).total_seconds())
    table = table.mutate(
        at=(epoch_seconds(table.first_seen) - begin) // width,
        outcome=ibis.cases(
            (table.answered, "answered"), (table.rejected, "rejected"), else_="unanswered"
        ),
    )
    source = tables.name_most(table, "initiator", _.count(), "others")
    hosts, ports = _number_hosts(table), _number_ports(table)
    sizes = [int(rows.count().to_pyarrow().as_py()) for rows in (hosts, ports)]
    plot = theme.figure(
        f"Connection attempts of {source}",
        f"{theme.period(first, last)}; {format_count(count, 'connection')} to"
        f" {format_count(sizes[0], 'address', 'addresses')} and {format_count(sizes[1], 'port')};"
        f" a column is {format_duration(width)}",
        height=640,
    )
    plot = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.06, figure=plot)
    for row, (names, column) in enumerate(((hosts, "responder"), (ports, "service_port")), 1):
        _draw_panel(plot, row, table.join(names, column), column, sizes[row - 1], (begin, width))
    plot.update_xaxes(**theme.TIME_AXIS)
    plot.update_yaxes(title={"text": "responder, by first attempt", "standoff": 8}, row=1)
    plot.update_yaxes(title={"text": "port", "standoff": 8}, row=2)
    plot.update_layout(legend={"y": -0.1})
    return plot


def _number_hosts(table: ibis.Table) -> ibis.Table:
    """Responders with ``rank``, their place in the order of first attempts."""
    hosts = table.group_by("responder").aggregate(begun=_.first_seen.min())
    rank = ibis.row_number().over(ibis.window(order_by=["begun", "responder"]))
    return hosts.select("responder", rank=rank)


def _number_ports(table: ibis.Table) -> ibis.Table:
    """Ports with ``rank``, their place in numeric order."""
    ports = table.filter(_.service_port.notnull()).select("service_port").distinct()
    return ports.mutate(rank=ibis.row_number().over(ibis.window(order_by="service_port")))


def _draw_panel(
    plot: Figure, row: int, table: ibis.Table, column: str, size: int, bins: tuple[int, int]
) -> None:
    share = max(1, -(-size // _ROWS))  # members of a row
    table = table.mutate(line=_.rank // share)
    cells = table.group_by("at", "line", "outcome").aggregate(
        n=_.count(),
        members=_[column].nunique(),
        first=_[column].min(),
        last=_[column].max(),
    )
    frame = to_frame(cells.order_by("at", "line", "outcome").to_pyarrow())
    begin, width = bins
    for outcome, (colour, symbol) in _OUTCOMES.items():
        same = frame[frame["outcome"] == outcome]
        if same.empty:
            continue
        times = pd.to_datetime(begin + same["at"].astype("int64") * width, unit="s", utc=True)
        plot.add_trace(
            go.Scatter(
                x=times,
                y=same["line"].astype("int64"),
                mode="markers",
                name=outcome,
                legendgroup=outcome,
                showlegend=row == 1,
                marker={
                    "color": colour,
                    "symbol": symbol,
                    "size": [min(4 + 2 * len(str(n)), 14) for n in same["n"]],
                    "opacity": 0.85,
                },
                customdata=[_hover(cell, column, outcome) for cell in same.itertuples()],
                hovertemplate="<b>%{x|%Y-%m-%d %H:%M:%S} UTC</b><br>%{customdata}<extra></extra>",
            ),
            row=row,
            col=1,
        )
    _label_lines(plot, row, table, column, size)


def _label_lines(plot: Figure, row: int, table: ibis.Table, column: str, size: int) -> None:
    """Name the rows; of many, every so many, and of several hosts in a row the first."""
    lines = table.group_by("line").aggregate(name=_[column].argmin(_["rank"]))
    frame = to_frame(lines.order_by("line").to_pyarrow())
    step = -(-len(frame) // _LABELLED)
    shown = frame.iloc[::step]
    prefix = "from " if size > _ROWS and column == "service_port" else ""
    plot.update_yaxes(
        tickvals=shown["line"].astype("int64").tolist(),
        ticktext=[theme.escape(theme.shorten(f"{prefix}{name}", _LABEL)) for name in shown["name"]],
        gridcolor=theme.GRID,
        zeroline=False,
        automargin=True,
        row=row,
    )


def _hover(cell: object, column: str, outcome: str) -> str:
    count, members = cell.n, cell.members  # type: ignore[attr-defined]
    noun = ("address", "addresses") if column == "responder" else ("port", "ports")
    first, last = cell.first, cell.last  # type: ignore[attr-defined]
    names = f"{first}" if members == 1 else f"{first} to {last}"
    return (
        f"{format_count(count, 'connection')}, {outcome}<br>"
        f"{format_count(members, *noun)}: {theme.escape(names)}"
    )
