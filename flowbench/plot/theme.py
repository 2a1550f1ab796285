"""The common style of all figures, in colours that people with colour blindness can distinguish.

The palette is Okabe and Ito's (Color Universal Design, 2008). Severity colours are used for
severity only. Marks have a contrast of about 3:1 or more on white and on JupyterLab's dark
background (#111), as WCAG 2.2 asks of graphics; text takes the colour of the page (see figure).
"""

from __future__ import annotations

import html
import textwrap
from typing import Any

import pandas as pd

from flowbench.plot.figure import Figure
from flowbench.text import escape_controls, format_period

BLUE, SKY, GREEN, YELLOW = "#0072B2", "#56B4E9", "#009E73", "#F0E442"
ORANGE, RED, PURPLE, GREY = "#E69F00", "#D55E00", "#CC79A7", "#8C8C8C"
GRID, ZERO = "rgba(128,128,128,0.22)", "rgba(128,128,128,0.6)"
INK, PAPER = "#22262B", "#FFFFFF"  # of labels with a background of their own
_TEXT = "#797979"  # of text that cannot take the page's colour: 4.4:1 on white and on #111
_CLEAR = "rgba(0,0,0,0)"

TIME_AXIS: dict[str, Any] = {
    "gridcolor": GRID,
    "zeroline": False,
    "tickformatstops": [  # by milliseconds between ticks
        {"dtickrange": [None, 59_999], "value": "%H:%M:%S\n%d %b"},
        {"dtickrange": [60_000, None], "value": "%H:%M\n%d %b"},
    ],
}

SEVERITY = {"critical": "#B5008A", "high": "#D62839", "medium": "#B8860B", "low": "#6B7785"}
GROUPS = (SKY, ORANGE, GREEN, YELLOW, PURPLE, BLUE)  # of groups without an order, the largest first
VERDICT = {"accepted": SKY, "rejected": PURPLE, "indicator match": RED}

# From little to much on any background: the same blue, less and less transparent.
SCALE = [[0.0, "rgba(0,114,178,0.2)"], [0.5, "rgba(0,114,178,0.55)"], [1.0, "rgba(0,114,178,1)"]]

_TITLE = 78  # characters of 16 pixels in a figure of 800
_SUBTITLE = 104  # characters of a line of 12 pixels in a figure of 800
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def figure(title: str, subtitle: str = "", *, height: int = 420, **layout: Any) -> Figure:
    """Create an empty figure in the common style.

    Args:
        title: Plain text; it is escaped here.
        subtitle: Plain text below the title, usually the period; it is escaped here.
        height: Pixels.
        **layout: Further properties of plotly's layout.
    """
    lines = _break_lines(subtitle)
    return Figure(
        layout={
            "title": {
                "text": "".join(
                    [
                        f"<b>{escape(shorten(title, _TITLE))}</b>",
                        *(f"<br>{_small(x)}" for x in lines),
                    ]
                ),
                "x": 0.01,
                "y": 1,
                "yanchor": "top",
                "pad": {"t": 20},
                "font": {"size": 16},
            },
            "font": {"family": _FONT, "size": 12, "color": _TEXT},
            "paper_bgcolor": _CLEAR,
            "plot_bgcolor": _CLEAR,
            "height": height,
            "margin": {"l": 70, "r": 20, "t": 60 + 17 * len(lines), "b": 50},
            "hoverlabel": {
                "bgcolor": PAPER,
                "font": {"family": _FONT, "size": 12, "color": INK},
                "align": "left",
            },
            "legend": {"orientation": "h", "x": 0.01, "y": -0.12, "yanchor": "top"},
            "template": "none",
            "xaxis": {"gridcolor": GRID, "zerolinecolor": ZERO},
            "yaxis": {"gridcolor": GRID, "zerolinecolor": ZERO},
        }
        | layout
    )


def _small(text: str) -> str:
    return f"<span style='font-size:12px;opacity:0.8'>{escape(text)}</span>"


def _break_lines(text: str) -> list[str]:
    """Break a subtitle at spaces into lines that fit a figure of 800 pixels."""
    return textwrap.wrap(text, _SUBTITLE, break_long_words=True, break_on_hyphens=False)


def empty_figure(title: str, reason: str) -> Figure:
    """Create a figure that states why there is nothing to draw."""
    empty = figure(title, height=200, xaxis={"visible": False}, yaxis={"visible": False})
    empty.add_annotation(text=escape(reason), showarrow=False, font={"size": 14})
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
