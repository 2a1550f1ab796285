"""The timeline panel's widget: draws what its traits say, and reports what the user does.

It is SVG of its own and not plotly's FigureWidget: that sends a module of 5 MB to each page, and
anywidget gives a module two seconds to start, which a busy machine exceeds.
"""

from __future__ import annotations

import anywidget
import traitlets

from flowbench.panel.graph_view import STATIC


class TimelineView(anywidget.AnyWidget):
    """Lanes of events: a drag across chooses a period, a click or an arrow key an event.

    Messages from it: ``{"action": "period", "since": …, "until": …}``, in milliseconds since 1970,
    or None for everything.
    """

    _esm = STATIC / "timeline.js"
    _css = STATIC / "panel.css"

    elements = traitlets.Dict().tag(sync=True)
    """What is drawn; see timeline_elements.to_elements."""
    selected = traitlets.Unicode("").tag(sync=True)
    """The key of an event (timeline_state.event_keys); '' if none is selected."""
