"""The timeline panel in JupyterLab: a drag, clicks on marks, the keyboard, both themes."""

from __future__ import annotations

import pytest

from tests.panel.jupyterlab import DARK, LIGHT, NARROW, Lab

PANEL = "panel = fb.panel.timeline(case)\npanel"
pytestmark = pytest.mark.browser


def open_panel(lab: Lab, cell: str) -> None:
    lab.open(cell, PANEL)
    lab.page.locator(".flowbench-timeline [data-id]").first.wait_for()
    lab.page.locator(".flowbench-timeline .stage").scroll_into_view_if_needed()


def marks(lab: Lab) -> list[str]:
    shown = lab.page.locator(".flowbench-timeline [data-id]")
    return shown.evaluate_all("marks => marks.map(m => m.dataset.id)")


def test_a_drag_chooses_a_period_and_a_button_all_of_it(lab: Lab, incident_cell: str) -> None:
    open_panel(lab, incident_cell)
    before = marks(lab)
    box = lab.page.locator(".flowbench-timeline svg").bounding_box()
    lab.page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 30)
    lab.page.mouse.down()
    lab.page.mouse.move(box["x"] + box["width"] * 0.95, box["y"] + 36, steps=6)
    lab.page.mouse.up()
    script = "n => document.querySelectorAll('.flowbench-timeline [data-id]').length {} n"
    lab.page.wait_for_function(script.format("<"), arg=len(before))
    assert set(marks(lab)) < set(before)
    lab.page.get_by_role("button", name="Whole period").click()
    lab.page.wait_for_function(script.format("==="), arg=len(before))
    assert marks(lab) == before
    assert lab.errors == []


def test_each_mark_opens_its_evidence_by_a_click(lab: Lab, incident_cell: str) -> None:
    open_panel(lab, incident_cell)
    shown = lab.page.locator(".flowbench-timeline [data-id]")
    root = lab.page.locator(".flowbench-timeline")
    for n in range(shown.count()):
        box = shown.nth(n).bounding_box()
        for _ in range(4):  # of marks that lie upon each other, the next one each time
            lab.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
            if root.get_attribute("data-selected") == shown.nth(n).get_attribute("data-id"):
                break
        else:
            raise AssertionError(shown.nth(n).get_attribute("aria-label"))
    lab.page.locator(".widget-html td", has_text="dns.log").first.wait_for()
    assert lab.errors == []


def test_the_keyboard_goes_through_the_events(lab: Lab, incident_cell: str) -> None:
    open_panel(lab, incident_cell)
    lab.page.locator(".flowbench-timeline .stage").focus()
    reached = set()
    for _ in marks(lab):
        lab.page.keyboard.press("ArrowRight")
        reached.add(lab.page.locator(".flowbench-timeline").get_attribute("data-selected"))
    assert reached == set(marks(lab))
    lab.page.locator(".widget-select select").focus()
    lab.page.keyboard.press("Home")
    lab.page.locator(".widget-html td, .widget-html p").first.wait_for()
    assert lab.errors == []


@pytest.mark.parametrize(("theme", "size"), [(LIGHT, NARROW), (DARK, (1280, 900))])
def test_it_is_legible(lab: Lab, incident_cell: str, theme: str, size: tuple[int, int]) -> None:
    lab.use_theme(theme)
    lab.use_size(size)
    open_panel(lab, incident_cell)
    lab.page.wait_for_timeout(300)
    lab.screenshot(f"timeline-{theme.rsplit(maxsplit=1)[-1].lower()}-{size[0]}")
    width = lab.page.locator(".flowbench-timeline").evaluate("e => [e.scrollWidth, e.clientWidth]")
    assert width[0] <= width[1]
    assert lab.errors == []
