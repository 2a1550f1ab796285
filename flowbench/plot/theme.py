"""The common style of all figures, in colours that people with colour blindness can distinguish.

The palette is Okabe and Ito's (Color Universal Design, 2008). Severity colours are used for
severity only.
"""

from __future__ import annotations

import html
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from flowbench.text import escape_controls, format_period

BLUE, SKY, GREEN, YELLOW = "#0072B2", "#56B4E9", "#009E73", "#F0E442"
ORANGE, RED, PURPLE, GREY, INK = "#E69F00", "#D55E00", "#CC79A7", "#8C8C8C", "#22262B"
GRID = "#EEE"

SEVERITY = {"critical": "#7A0019", "high": "#C2272D", "medium": "#B8860B", "low": "#6B7785"}
VERDICT = {"accepted": SKY, "rejected": PURPLE, "indicator match": RED}

_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def figure(title: str, subtitle: str = "", *, height: int = 420, **layout: Any) -> go.Figure:
    """Create an empty figure in the common style.

    Args:
        title: Plain text; it is escaped here.
        subtitle: Plain text below the title, usually the period; it is escaped here.
        height: Pixels.
        **layout: Further properties of plotly's layout.
    """
    small = f"<br><span style='font-size:12px;color:#5B6470'>{escape(subtitle)}</span>"
    return go.Figure(
        layout=go.Layout(
            title={
                "text": f"<b>{escape(title)}</b>{small if subtitle else ''}",
                "x": 0.01,
                "y": 1,
                "yanchor": "top",
                "pad": {"t": 20},
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


def empty_figure(title: str, reason: str) -> go.Figure:
    """Create a figure that states why there is nothing to draw."""
    empty = figure(title, height=200, xaxis={"visible": False}, yaxis={"visible": False})
    empty.add_annotation(text=escape(reason), showarrow=False, font={"size": 14, "color": GREY})
    return empty


def escape(text: object) -> str:
    """Escape text from evidence where plotly would read it as HTML or, between dollars, as TeX.

    Quotes stay: plotly takes no attributes from such text and would print their entities.
    """
    return html.escape(escape_controls(text), quote=False).replace("$", "&#36;")


def wrap(text: str, width: int = 90) -> str:
    """Escape text and break it into lines of at most ``width`` characters, for hover labels."""
    lines, line = [], ""
    # A hostile name need not have spaces: words that are longer than a line are cut.
    words = [word[i : i + width] for word in text.split() for i in range(0, len(word), width)]
    for word in words:
        if len(line) + len(word) >= width:
            lines.append(line)
            line = ""
        line = f"{line} {word}".strip()
    return "<br>".join(escape(part) for part in [*lines, line] if part)


def shorten(text: str, width: int) -> str:
    """Cut text to ``width`` characters, the last of them an ellipsis if anything was cut."""
    return text if len(text) <= width else text[: width - 1] + "…"


def period(first: pd.Timestamp | None, last: pd.Timestamp | None) -> str:
    """Format a period for titles and hover labels, in UTC; 'no times' if an end is missing."""
    if first is None or last is None or pd.isna(first) or pd.isna(last):
        return "no times"
    return format_period(first, last)


def rgba(colour: str, opacity: float) -> str:
    """Convert a hex colour and an opacity to CSS."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"
