"""The chain of an attribution, left to right.

From who created a principal to that principal, its key, the call that it made, the instance that
it created, its interface and address, and its peers; or to all that a principal created.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import plotly.graph_objects as go

from flowbench.investigate.trace import Step, Trace
from flowbench.plot import theme
from flowbench.text import format_utc

_WIDTH = 22  # characters of a label's line
_COLOURS = {
    "principal": theme.GREEN,
    "access key": theme.GREEN,
    "API call": theme.BLUE,
    "instance": theme.ORANGE,
    "interface": theme.ORANGE,
    "address": theme.ORANGE,
    "source address": theme.GREY,
    "caller": theme.GREEN,
    "consequence": theme.ORANGE,
    "peer": theme.RED,
    "result": theme.RED,
}
_LAST = ("peer", "result", "caller", "consequence")  # kinds that stand below each other
MOST_ENDS = 6


class Link(NamedTuple):
    """One link of a chain: its kind (a key of the colours), value and time."""

    kind: str
    value: str
    time: datetime | None = None


def chain(links: Sequence[Link] | Trace, title: str | None = None) -> go.Figure:
    """Draw a chain of links from left to right, each below its kind, with its time.

    Args:
        links: A trace, as ``attribution.trace`` returns it; or what leads to what, in order. Links
            of the kinds peer, result, caller and consequence stand one below the other.
        title: Plain text; by default it names what is traced.
    """
    if isinstance(links, Trace):
        title = title or f"Attribution of {links.address}"
        links = links_of(links)
    title = title or "Attribution"
    if not links:
        return theme.empty_figure(title, "The evidence shows no chain.")
    single = [link for link in links if link.kind not in _LAST]
    peers = [link for link in links if link.kind in _LAST]
    x = [float(n) for n in range(len(single))] + [float(len(single))] * len(peers)
    y = [0.0] * len(single) + [_spread(n, len(peers)) for n in range(len(peers))]
    drawn = [*single, *peers]
    times = [link.time for link in drawn if link.time is not None]
    period = theme.period(min(times), max(times)) if times else "no times"
    plot = theme.figure(title, period, height=230 + 46 * max(0, len(peers) - 2), showlegend=False)
    for number in range(len(single) - 1):
        _arrow(plot, (x[number], y[number]), (x[number + 1], y[number + 1]))
    for number in range(len(single), len(drawn)):
        if single:
            _arrow(plot, (x[len(single) - 1], 0.0), (x[number], y[number]))
    plot.add_trace(
        go.Scatter(
            x=x,
            y=y,
            mode="markers+text",
            marker={"size": 17, "color": [_COLOURS.get(k.kind, theme.GREY) for k in drawn]},
            text=[_label(link) for link in drawn],
            textposition=[_position(number, len(single)) for number in range(len(drawn))],
            textfont={"size": 11},
            hovertext=[_hover(link) for link in drawn],
            hovertemplate="%{hovertext}<extra></extra>",
        )
    )
    depth = max((abs(value) for value in y), default=0.0)
    is_long = any(len(link.value) > _WIDTH - 6 for link in peers)  # their labels stand beside
    room = (1.5 if is_long else 1.1) if peers else 0.6
    plot.update_xaxes(visible=False, range=[-0.6, max(x) + room], fixedrange=True)
    plot.update_yaxes(visible=False, range=[-depth - 1.5, depth + 1.5], fixedrange=True)
    plot.update_layout(margin={"l": 10, "r": 10, "b": 10})
    return plot


def links_of(trace: Trace, peers: Sequence[Link] = ()) -> list[Link]:
    """Return the links of a trace, and of peers.

    Args:
        trace: The trace of an address, or of a principal or access key.
        peers: What an address communicated with, of kind 'peer'.
    """
    links = [
        Link("principal", _short(step, trace), step.time)
        for step in trace.of("created by")
        if step.value is not None
    ][:1]
    links += [
        Link(step.step, _short(step, trace), step.time)
        for name in ("principal", "access key")
        for step in [step for step in trace.of(name) if step.value is not None][:1]
    ]
    if not trace.of("address"):
        made = [step for step in trace.of("consequence") if step.value is not None]
        return links + _ends([Link("consequence", _short(step, trace), step.time) for step in made])
    links += [
        Link("API call", step.description.partition(" ")[0], step.time)
        for step in trace.of("creation")
    ]
    links += [
        Link(step.step, step.value, step.time)
        for name in ("instance", "interface")
        for step in trace.of(name)
        if step.value is not None
    ]
    assigned = next((step.time for step in trace.of("address", "interface") if step.time), None)
    links.append(Link("address", trace.address, assigned))
    callers = [step for step in trace.of("caller") if step.value is not None]
    ends = list(peers) or [Link("caller", _short(step, trace), step.time) for step in callers]
    return links + _ends(ends)


def _ends(links: Sequence[Link]) -> list[Link]:
    """At most MOST_ENDS links, the last of which counts the others."""
    if len(links) <= MOST_ENDS:
        return list(links)
    shown = links[: MOST_ENDS - 1]
    return [*shown, Link(links[0].kind, f"{len(links) - len(shown):,} more")]


def _short(step: Step, trace: Trace) -> str:
    """The name at the end of an ARN; a session with its role."""
    value = step.value or ""
    name = trace.name(value)
    return name.rpartition("/")[2] if name.startswith("arn:") else name


def _spread(number: int, count: int) -> float:
    return ((count - 1) / 2 - number) * 1.6


def _position(number: int, single: int) -> str:
    """Beside the peers, and above every second link, so that neighbours' labels do not meet."""
    if number >= single:
        return "middle right"
    return "top center" if number % 2 else "bottom center"


def _arrow(plot: go.Figure, start: tuple[float, float], end: tuple[float, float]) -> None:
    plot.add_annotation(
        ax=start[0],
        ay=start[1],
        x=end[0],
        y=end[1],
        axref="x",
        ayref="y",
        xref="x",
        yref="y",
        arrowhead=2,
        arrowwidth=1.5,
        arrowcolor=theme.GREY,
        standoff=12,
        startstandoff=12,
        text="",
    )


def _label(link: Link) -> str:
    value = theme.wrap(theme.shorten(link.value, 2 * _WIDTH), _WIDTH)
    return f"<span style='opacity:0.8'>{theme.escape(link.kind)}</span><br><b>{value}</b>"


def _hover(link: Link) -> str:
    time = f"<br>{format_utc(link.time, seconds=True)}" if link.time is not None else ""
    return f"{theme.escape(link.kind)}: <b>{theme.wrap(link.value)}</b>{time}"
