"""All panels of a case in one page, a tab for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ipywidgets

from flowbench.errors import FlowbenchError
from flowbench.panel.bench import bench
from flowbench.panel.finding_details import escape
from flowbench.panel.findings import findings
from flowbench.panel.graph import graph
from flowbench.panel.timeline import timeline

if TYPE_CHECKING:
    from flowbench.case import Case

TABS: dict[str, Callable[[Case], Any]] = {
    "Hunt": bench,
    "Findings": findings,
    "Graph": graph,
    "Timeline": timeline,
}


class CasePage(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets is not typed
    """A title, and a tab for each panel, which is made when its tab is first opened.

    Attributes:
        tabs: The tabs, in the order of TABS.
    """

    def __init__(self, case: Case) -> None:
        self._case = case
        boxes = [ipywidgets.VBox() for _ in TABS]
        self.tabs = ipywidgets.Tab(boxes, titles=tuple(TABS), selected_index=0)
        title = ipywidgets.HTML(f"<h1>{escape(case.name)}</h1>")
        super().__init__([title, self.tabs])
        self.tabs.observe(lambda _change: self._open(), "selected_index")
        self._open()

    def _open(self) -> None:
        """Make the panel of the selected tab, unless it is there; say why it cannot be made."""
        number = self.tabs.selected_index
        if number is None or self.tabs.children[number].children:
            return
        try:
            panel = list(TABS.values())[number](self._case)
        except FlowbenchError as error:
            message = ipywidgets.HTML(f"<p role='alert'>{escape(error)}.</p>")
            again = ipywidgets.Button(description="Try again", layout={"width": "auto"})
            again.on_click(lambda _button: self._retry(number))
            self.tabs.children[number].children = (message, again)
        else:
            self.tabs.children[number].children = (panel,)

    def _retry(self, number: int) -> None:
        self.tabs.children[number].children = ()
        self._open()


def page(case: Case) -> CasePage:
    """Open all panels of a case, each in a tab: the page of ``flowbench bench``."""
    return CasePage(case)
