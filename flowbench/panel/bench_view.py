"""The hunting bench's widget: draws what its traits say, and reports what the user does.

The front end is ``static/bench.js``, built from ``js/``; it loads nothing from anywhere else, and
shows every text as text.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anywidget
import traitlets

_STATIC = Path(__file__).parent / "static"


class BenchView(anywidget.AnyWidget):
    """A filter line, activity with a brush, bars, a page of rows, bookmarks and code.

    Messages from it, each ``{"action": …}``: ``filter`` with ``text``; ``complete`` with ``text``
    and ``position``; ``brush`` with ``since`` and ``until``, positions in the activity's rows or
    None; ``pivot`` with ``condition``; ``measure``; ``rows`` with ``kind``; ``page`` with ``by``;
    ``bookmark`` with ``note``; ``open`` with ``number``; ``back``, ``forward``, ``clear``,
    ``cancel``.
    """

    _esm = _STATIC / "bench.js"
    _css = _STATIC / "bench.css"

    state = traitlets.Dict({"filter": "", "measure": "connections"}).tag(sync=True)
    """The filter and the measure."""
    status = traitlets.Dict(
        {"text": "", "busy": False, "can_go_back": False, "can_go_forward": False}
    ).tag(sync=True)
    """What is being done, and which ways lead elsewhere."""
    error = traitlets.Dict({"text": "", "reason": "", "position": 0, "end": 0}).tag(sync=True)
    """A filter that cannot be read; ``reason`` is '' without one."""
    completion = traitlets.Dict({"text": "", "words": [], "start": 0, "end": 0}).tag(sync=True)
    """What may be written next in a text."""
    totals = traitlets.Unicode("").tag(sync=True)
    """The sums of the view in words."""
    activity = traitlets.Dict({"title": "", "rows": [], "first": 0, "until": 0}).tag(sync=True)
    """The periods of the case; see bench_content.activity_content."""
    bars: Any = traitlets.List([]).tag(sync=True)
    """Lists of what has most; see bench_content.bar_content."""
    rows = traitlets.Dict(
        {
            "kind": "connections",
            "columns": [],
            "rows": [],
            "note": "",
            "has_earlier": False,
            "has_later": False,
        }
    ).tag(sync=True)
    """A page of rows; see bench_content.row_content."""
    bookmarks: Any = traitlets.List([]).tag(sync=True)
    """label and number of each bookmark."""
    code = traitlets.Unicode("").tag(sync=True)
    """The call that makes the same view."""
