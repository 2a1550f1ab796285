"""Bytes from initiators by service to responders, as a Sankey diagram."""

from __future__ import annotations

from typing import NamedTuple

import ibis
import pandas as pd
import plotly.graph_objects as go
from ibis import _

from flowbench.enrich.ports import label as port_label
from flowbench.plot import tables, theme
from flowbench.plot.figure import Figure
from flowbench.schema import to_frame
from flowbench.text import format_bytes, format_count, list_some

_COLUMNS = (
    *("initiator", "responder", "service_port", "protocol", "first_seen", "last_seen"),
    *("bytes_out", "bytes_in"),
)
_SIDES = ("initiator", "service", "responder")
_COLOURS = (theme.BLUE, theme.GREEN, theme.ORANGE)
_NAMED = 8  # members of a group that its hover label names
_LABEL = 26  # characters drawn of a name


class _Side(NamedTuple):
    """The nodes of a side: their names, and what the last of them stands for if it is a group."""

    names: list[str]
    others: str | None
    members: str


def sankey(connections: ibis.Table | pd.DataFrame, *, most: int = 10) -> Figure:
    """Draw the bytes of connections in both directions: initiator, service, responder.

    Args:
        connections: Rows of connections.TABLE or connections.SUMMARIES: initiator, responder,
            service_port, protocol, first_seen, last_seen, bytes_out, bytes_in. Millions are summed
            in the engine.
        most: Nodes of each side. Of more, those with most bytes are drawn and the others are one
            node, which states their number and names some.
    """
    table = tables.to_table(connections, _COLUMNS)
    first, last, count = tables.span(table)
    if first is None or last is None:
        return theme.empty_figure("Bytes by service", "There are no connections to draw.")
    table = table.mutate(
        bytes=(table.bytes_out + table.bytes_in),
        service=table.protocol.cast("string") + "/" + table.service_port.cast("string"),
    )
    sides = [_select(table, name, most) for name in _SIDES]
    flows = _sum_flows(table, sides)
    total = int(flows["bytes"].sum())
    plot = theme.figure(
        "Bytes from initiators by service to responders",
        f"{theme.period(first, last)}; {format_count(count, 'connection')},"
        f" {format_bytes(total)} in both directions",
        height=200 + 34 * max(len(side.names) for side in sides),
    )
    plot.add_trace(_diagram(flows, sides))
    plot.update_xaxes(visible=False)
    plot.update_yaxes(visible=False)
    plot.update_layout(margin={"l": 20, "r": 20, "b": 20})
    return plot


def _select(table: ibis.Table, name: str, most: int) -> _Side:
    names, total = tables.ranked(table, name, _.bytes.sum(), most + _NAMED)
    if total <= most:
        return _Side(names, None, "")
    kept, rest = names[: most - 1], names[most - 1 : most - 1 + _NAMED]
    count = total - len(kept)
    others = f"{count:,} other {'services' if name == 'service' else 'addresses'}"
    shown = [_service(each) for each in rest] if name == "service" else rest
    return _Side([*kept, others], others, list_some([*shown, *[""] * (count - len(rest))], _NAMED))


def _sum_flows(table: ibis.Table, sides: list[_Side]) -> pd.DataFrame:
    """Sum bytes by the drawn nodes of the three sides."""
    rows = table
    for name, side in zip(_SIDES, sides, strict=True):
        value = rows[name].fill_null("unknown")
        if side.others is not None:
            kept = value.isin(side.names[:-1])
            value = kept.ifelse(value, side.others)
        rows = rows.mutate(**{name: value})
    sums = rows.group_by(*_SIDES).aggregate(
        bytes=_.bytes.sum().cast("int64"),
        bytes_out=_.bytes_out.sum().cast("int64"),
        bytes_in=_.bytes_in.sum().cast("int64"),
        connections=tables.count_connections(rows).cast("int64"),
    )
    return to_frame(sums.order_by(*_SIDES).to_pyarrow())


def _diagram(flows: pd.DataFrame, sides: list[_Side]) -> go.Sankey:
    number = {
        (side, name): n
        for n, (side, name) in enumerate(
            (side, name) for side, drawn in enumerate(sides) for name in drawn.names
        )
    }
    links = pd.concat([_links(flows, number, left) for left in (0, 1)], ignore_index=True)
    labels = {key: _service(key[1]) if key[0] == 1 else key[1] for key in number}
    sums = [flows.groupby(name)["bytes"].sum() for name in _SIDES]
    return go.Sankey(
        arrangement="snap",
        textfont={"shadow": "none"},
        node={
            "label": [theme.escape(theme.shorten(labels[key], _LABEL)) for key in number],
            "color": [_COLOURS[side] for side, _name in number],
            "line": {"width": 0},
            "pad": 12,
            "thickness": 14,
            "customdata": [
                f"<b>{theme.wrap(labels[side, name])}</b><br>{int(sums[side].get(name, 0)):,} bytes"
                + (f"<br>{theme.wrap(sides[side].members)}" if name == sides[side].others else "")
                for side, name in number
            ],
            "hovertemplate": "%{customdata}<extra></extra>",
        },
        link={
            "source": links["source"].tolist(),
            "target": links["target"].tolist(),
            "value": links["bytes"].astype("int64").tolist(),
            "color": [theme.rgba(theme.GREY, 0.35)] * len(links),
            "customdata": [
                f"<b>{theme.wrap(labels[row.left])} → {theme.wrap(labels[row.right])}</b><br>"
                f"{format_count(row.connections, 'connection')}<br>{row.bytes_out:,} bytes out,"
                f" {row.bytes_in:,} in"
                for row in links.itertuples()
            ],
            "hovertemplate": "%{customdata}<extra></extra>",
        },
    )


def _links(flows: pd.DataFrame, number: dict[tuple[int, str], int], left: int) -> pd.DataFrame:
    """The links from one side to the next; those without bytes have no width."""
    names = [_SIDES[left], _SIDES[left + 1]]
    sums = flows.groupby(names)[["bytes", "bytes_out", "bytes_in", "connections"]].sum()
    sums = sums[sums["bytes"] > 0].reset_index()
    sums["left"] = [(left, name) for name in sums[names[0]]]
    sums["right"] = [(left + 1, name) for name in sums[names[1]]]
    sums["source"] = sums["left"].map(number)
    sums["target"] = sums["right"].map(number)
    return sums


def _service(name: str) -> str:
    protocol, slash, port = name.partition("/")
    return port_label(int(port), int(protocol)) if slash and port.isdigit() else name
