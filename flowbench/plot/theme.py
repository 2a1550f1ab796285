"""One look for every figure, in colours that colour-blind people can tell apart.

The palette is Okabe and Ito's (Color Universal Design, 2008). Severity colours mean severity only.
"""

from __future__ import annotations

import html
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from flowbench.text import escape_controls

BLUE, SKY, GREEN, YELLOW = "#0072B2", "#56B4E9", "#009E73", "#F0E442"
ORANGE, RED, PURPLE, GREY, INK = "#E69F00", "#D55E00", "#CC79A7", "#8C8C8C", "#22262B"

SEVERITY = {"critical": "#7A0019", "high": "#C2272D", "medium": "#B8860B", "low": "#6B7785"}
VERDICT = {"accepted": SKY, "rejected": PURPLE, "listed": RED}

_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def figure(title: str, subtitle: str = "", *, height: int = 420, **layout: Any) -> go.Figure:
    """An empty figure in the house style; ``title`` and ``subtitle`` are escaped here."""
    small = f"<br><span style='font-size:12px;color:#5B6470'>{safe(subtitle)}</span>"
    return go.Figure(
        layout=go.Layout(
            title={
                "text": f"<b>{safe(title)}</b>{small if subtitle else ''}",
                "x": 0.01,
                "y": 0.96,
                "yanchor": "top",
                "font": {"size": 16, "color": INK},
            },
            font={"family": _FONT, "size": 12, "color": INK},
            paper_bgcolor="white",
            plot_bgcolor="white",
            height=height,
            margin={"l": 70, "r": 20, "t": 76, "b": 50},
            hoverlabel={"bgcolor": "white", "font": {"family": _FONT, "size": 12}, "align": "left"},
            legend={"orientation": "h", "x": 0.01, "y": -0.12, "yanchor": "top"},
            template="none",
            **layout,
        )
    )


def nothing(title: str, why: str) -> go.Figure:
    """A figure that says that there is nothing to draw, and why."""
    empty = figure(title, height=200, xaxis={"visible": False}, yaxis={"visible": False})
    empty.add_annotation(text=safe(why), showarrow=False, font={"size": 14, "color": GREY})
    return empty


def safe(text: object) -> str:
    """Text from evidence, for a place where plotly would read it as HTML.

    Quotes stay: plotly takes no attributes from such text, and would print their entities.
    """
    return html.escape(escape_controls(text), quote=False)


def wrapped(text: str, width: int = 90) -> str:
    """Escaped text with a line break about every ``width`` characters, for hover labels."""
    lines, line = [], ""
    # A hostile name need not have spaces: cut words that are longer than a line.
    words = [word[i : i + width] for word in text.split() for i in range(0, len(word), width)]
    for word in words:
        if len(line) + len(word) >= width:
            lines.append(line)
            line = ""
        line = f"{line} {word}".strip()
    return "<br>".join(safe(part) for part in [*lines, line] if part)


def when(first: pd.Timestamp | None, last: pd.Timestamp | None) -> str:
    """A period as titles say it, in UTC."""
    if first is None or last is None or pd.isna(first) or pd.isna(last):
        return "no times"
    return f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"


def rgba(colour: str, opacity: float) -> str:
    """A hex colour with an opacity, as CSS."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"
