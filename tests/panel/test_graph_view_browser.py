"""The graph explorer in JupyterLab: clicks, keys, positions, themes; hostile names are text."""

from __future__ import annotations

from typing import Any

import pytest

from tests.incident_case import DATABASE, EXIT, HOST, POOL, WEB
from tests.panel.jupyterlab import DARK, LIGHT, NARROW, Lab

PANEL = f"panel = fb.panel.graph(case, '{HOST}', expanded=['{HOST}', '{DATABASE}'])\npanel"
LARGE = """
import networkx as nx, pandas as pd
from flowbench.panel.graph_elements import to_elements
from flowbench.panel.graph_state import GraphState
from flowbench.panel.graph_view import GraphView
from tests.panel.graphs import edge, node
graph = nx.DiGraph()
for n in range(1000):
    graph.add_node(f"10.0.{n // 250}.{n % 250}", **node(name=f"host-{n}", internal=True))
nodes = list(graph)
for n in range(1, 1000):
    graph.add_edge(nodes[n // 30], nodes[n], **edge(2, 4, "accepted"))
view = GraphView(elements=to_elements(graph, GraphState((nodes[0],)), {}))
moves = []
view.on_msg(lambda _view, message, _buffers: moves.append(message))
view
"""
pytestmark = pytest.mark.browser


def place(lab: Lab, node: str) -> tuple[float, float]:
    """Where a node is on the page."""
    box = lab.page.locator(".stage").bounding_box()
    row = lab.page.locator(f".nodes tr[data-id='{node}']")
    return tuple(box[a] + float(row.get_attribute(f"data-{a}")) for a in ("x", "y"))


def wait_for(lab: Lab, name: str, value: str) -> None:
    script = "([name, value]) => document.querySelector('.flowbench-graph').dataset[name] === value"
    lab.page.wait_for_function(script, arg=[name, value], timeout=5_000)


def shown(lab: Lab) -> set[str]:
    rows = lab.page.locator(".nodes tbody tr").evaluate_all("rows => rows.map(r => r.dataset.id)")
    return set(rows)


def ask(lab: Lab, expression: str) -> str:
    """The value of an expression in the kernel, as text."""
    return lab.page.evaluate(
        """async code => {
          const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
          const future = kernel.requestExecute({code: '', user_expressions: {value: code}});
          const reply = await future.done;
          return reply.content.user_expressions.value.data['text/plain'];
        }""",
        expression,
    )


def wait_for_python(lab: Lab, expression: str, value: str) -> None:
    """Wait for what the kernel knows: widgets send the last of several changes at once."""
    for _ in range(100):
        if (got := ask(lab, expression)) == value:
            return
        lab.page.wait_for_timeout(20)
    raise AssertionError(f"{expression} is {got}, not {value}")


def open_panel(lab: Lab, *cells: str) -> None:
    lab.open(*cells)
    lab.page.locator(".stage canvas").first.wait_for()
    lab.page.locator(".stage").scroll_into_view_if_needed()
    lab.page.wait_for_function("document.querySelector('.nodes tbody tr')?.dataset.x")


def test_fifty_clicks_in_a_row_select_what_is_clicked(lab: Lab, incident_cell: str) -> None:
    open_panel(lab, incident_cell, PANEL)
    nodes = [HOST, DATABASE, EXIT, POOL, WEB]
    clicked = [nodes[(7 * n + n // 5) % 5] for n in range(50)]
    for node in clicked:
        lab.page.mouse.click(*place(lab, node))
        wait_for_python(lab, "panel.selected", repr(node))
        wait_for(lab, "selected", node)
    assert set(clicked) == shown(lab) == set(nodes)
    assert ask(lab, "panel.state.expanded") == repr((HOST, DATABASE))
    assert lab.errors == []


def test_a_double_click_expands_and_nothing_jumps(lab: Lab, incident_cell: str) -> None:
    open_panel(lab, incident_cell, f"panel = fb.panel.graph(case, '{HOST}')\npanel")
    assert shown(lab) == {HOST, DATABASE, EXIT, POOL}
    before = ask(lab, "sorted(panel.view.positions.items())")
    lab.page.mouse.dblclick(*place(lab, DATABASE))
    lab.page.locator(f".nodes tr[data-id='{WEB}']").wait_for(state="attached")
    lab.page.wait_for_timeout(200)
    after = ask(lab, f"sorted(i for i in panel.view.positions.items() if i[0] != '{WEB}')")
    assert after == before
    for _ in range(10):
        lab.page.get_by_role("button", name="Collapse").click()
        lab.page.locator(f".nodes tr[data-id='{WEB}']").wait_for(state="detached")
        lab.page.mouse.dblclick(*place(lab, DATABASE))
        lab.page.locator(f".nodes tr[data-id='{WEB}']").wait_for(state="attached")
    assert lab.errors == []


def test_the_keyboard_reaches_everything(lab: Lab, incident_cell: str) -> None:
    open_panel(lab, incident_cell, f"panel = fb.panel.graph(case, '{HOST}')\npanel")
    cells = lab.page.locator(".jp-Cell").count()
    lab.page.locator(".stage").focus()
    for node in (HOST, DATABASE, EXIT, POOL, HOST):
        lab.page.keyboard.press("PageDown")
        wait_for(lab, "selected", node)
    wait_for_python(lab, "panel.selected", repr(HOST))
    lab.page.keyboard.press("p")
    lab.page.wait_for_selector("button[aria-pressed='true']")
    for key in (
        "ArrowRight",
        "ArrowLeft",
        "ArrowUp",
        "ArrowDown",
        "a",
        "b",
        "x",
        "d",
        "+",
        "-",
        "0",
    ):
        lab.page.keyboard.press(key)
    lab.page.locator(f".nodes tr[data-id='{DATABASE}'] button").evaluate("b => b.click()")
    wait_for(lab, "selected", DATABASE)
    lab.page.locator(".stage").focus()
    lab.page.keyboard.press("Enter")
    lab.page.locator(f".nodes tr[data-id='{WEB}']").wait_for(state="attached")
    lab.page.keyboard.press("Backspace")
    lab.page.locator(f".nodes tr[data-id='{WEB}']").wait_for(state="detached")
    assert lab.page.locator(".jp-Cell").count() == cells
    assert ask(lab, f"panel.view.positions['{HOST}'][2]") in ("True", "1")
    assert lab.errors == []


def test_positions_stay_after_a_reload(lab: Lab, incident_cell: str) -> None:
    open_panel(lab, incident_cell, PANEL)
    x, y = place(lab, POOL)
    lab.page.mouse.move(x, y)
    lab.page.mouse.down()
    lab.page.mouse.move(x + 40, y + 30, steps=4)
    lab.page.mouse.up()
    lab.page.wait_for_timeout(300)
    before = ask(lab, "sorted(panel.view.positions.items())")
    assert ask(lab, f"panel.view.positions['{POOL}'][2]") in ("True", "1")
    lab.reload()
    lab.page.locator(".stage canvas").first.wait_for()
    assert ask(lab, "sorted(panel.view.positions.items())") == before


def test_hostile_names_are_text(lab: Lab, incident_cell: str) -> None:
    open_panel(lab, incident_cell, PANEL)
    lab.page.mouse.move(*place(lab, HOST))
    tip = lab.page.locator(".tip")
    tip.wait_for(state="visible")
    assert "<script>alert(1)</script>\\x0anext" in tip.inner_text()
    assert "80 kB" not in tip.inner_text()
    assert "connections with" in tip.inner_text()
    assert not lab.page.evaluate("[...document.scripts].some(s => s.textContent === 'alert(1)')")
    assert lab.errors == []


@pytest.mark.parametrize(("theme", "size"), [(LIGHT, NARROW), (DARK, (1280, 900))])
def test_it_is_legible_in_each_theme_and_width(
    lab: Lab, incident_cell: str, theme: str, size: tuple[int, int]
) -> None:
    open_panel(lab, incident_cell, PANEL)
    lab.use_theme(theme)
    lab.use_size(size)
    lab.page.locator(".stage").scroll_into_view_if_needed()
    lab.page.wait_for_timeout(500)
    lab.screenshot(f"graph-{theme[-4:].lower()}-{size[0]}")
    root = lab.page.locator(".flowbench-graph")
    colours: Any = root.evaluate(
        "e => [getComputedStyle(e).color, getComputedStyle(e).backgroundColor]"
    )
    assert len(set(colours)) == 2
    width = root.evaluate("e => [e.scrollWidth, e.clientWidth]")
    assert width[0] <= width[1]


def test_a_thousand_nodes_are_drawn_and_clicked(lab: Lab) -> None:
    open_panel(lab, LARGE)
    lab.screenshot("graph-1000")
    assert ask(lab, "len(moves[0]['positions'])") == "1000"
    for node in ("10.0.0.0", "10.0.0.17", "10.0.3.200", "10.0.2.100"):
        lab.page.locator(f".nodes tr[data-id='{node}'] button").evaluate("b => b.click()")
        wait_for(lab, "selected", node)
    for node in ("10.0.0.3", "10.0.1.7"):
        lab.page.mouse.click(*place(lab, node))
        wait_for(lab, "selected", node)
    assert lab.errors == []
