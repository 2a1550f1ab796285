"""The hunting bench in JupyterLab: filter, completion, brush, pivots, bookmarks, keys, themes."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.incident_case import HOST, POOL
from tests.panel.jupyterlab import DARK, LIGHT, NARROW, WIDE, Lab

PANEL = "panel = fb.panel.bench(case)\npanel"
pytestmark = pytest.mark.browser


def open_bench(lab: Lab, cell: str, panel: str = PANEL) -> None:
    lab.open(cell, panel)
    settle(lab)


def settle(lab: Lab) -> None:
    """Wait until no query runs, and the view shows the last one."""
    lab.page.wait_for_selector(".flowbench-bench .bar")
    lab.run_python("panel.wait(30)")
    lab.page.wait_for_function(
        "document.querySelector('.flowbench-bench [role=status]').textContent == ''"
    )


def totals(lab: Lab) -> str:
    return lab.page.locator(".flowbench-bench .totals").inner_text()


def expect_filter(lab: Lab, text: str) -> None:
    """Check the filter line; the page draws a little after the kernel has answered."""
    expect(lab.page.get_by_role("combobox", name="Filter")).to_have_value(text)


def test_filter_by_the_keyboard_with_completion_and_errors(lab: Lab, incident_cell: str) -> None:
    open_bench(lab, incident_cell)
    line = lab.page.get_by_role("combobox", name="Filter")
    line.click()
    line.press_sequentially("dst.indic")
    option = lab.page.get_by_role("option", name="dst.indicator")
    option.wait_for()
    line.press("ArrowDown")
    line.press("Enter")
    assert line.input_value() == "dst.indicator "
    line.press_sequentially("= mining")
    line.press("Enter")
    settle(lab)
    expect_filter(lab, "dst.indicator = mining")
    assert POOL in lab.page.locator(".flowbench-bench .columns section").first.inner_text()
    line.fill("prot = tcp")
    line.press("Enter")
    alert = lab.page.locator(".flowbench-bench .error")
    lab.page.wait_for_function(
        "document.querySelector('.flowbench-bench .error').textContent != ''"
    )
    assert "'prot' is not a field; the nearest: proto" in alert.inner_text()
    assert line.get_attribute("aria-invalid") == "true"
    assert lab.errors == []


def test_pivots_brush_history_and_pages(lab: Lab, incident_cell: str) -> None:
    open_bench(lab, incident_cell)
    everything = totals(lab)
    lab.page.locator("button.measure", has_text=POOL).click()
    settle(lab)
    expect_filter(lab, f"ip = {POOL}")
    lab.page.locator(".flowbench-bench td button", has_text=HOST).first.click()
    settle(lab)
    expect_filter(lab, f"ip = {POOL} and src = {HOST}")
    box = lab.page.locator(".flowbench-bench .activity svg").bounding_box()
    y = box["y"] + box["height"] / 2
    lab.page.mouse.move(box["x"] + 1, y)
    lab.page.mouse.down()
    lab.page.mouse.move(box["x"] + box["width"] / 2, y)
    lab.page.mouse.up()
    lab.page.wait_for_function(
        "document.querySelector('.flowbench-bench .totals').textContent.includes('starting')"
    )
    settle(lab)
    for _step in range(3):
        lab.page.get_by_role("button", name="Back", exact=True).click()
        settle(lab)
    expect_filter(lab, "")
    assert totals(lab) == everything
    lab.page.get_by_role("button", name="Forward", exact=True).click()
    settle(lab)
    expect_filter(lab, f"ip = {POOL}")
    lab.page.get_by_role("button", name="Flow records").click()
    settle(lab)
    assert lab.page.locator(".flowbench-bench thead th").first.inner_text() == "Start (UTC)"
    lab.page.get_by_role("button", name="Next page").click()
    settle(lab)
    assert "Rows 26 to" in lab.page.locator(".flowbench-bench").inner_text()
    assert lab.errors == []


def test_a_bookmark_outlives_the_kernel(lab: Lab, incident_cell: str) -> None:
    code = f"panel = fb.panel.bench(case, 'ip = {POOL}')\npanel"
    open_bench(lab, incident_cell, code)
    note = lab.page.get_by_label("Note of the bookmark")
    note.fill("<img src=x onerror=alert(1)> the pool")
    note.press("Enter")
    lab.page.get_by_role("button", name="<img src=x onerror=alert(1)> the pool").wait_for()
    lab.page.get_by_role("button", name="Show all").click()
    settle(lab)
    lab.reload()
    settle(lab)
    lab.page.get_by_role("button", name="<img src=x onerror=alert(1)> the pool").click()
    settle(lab)
    expect_filter(lab, f"ip = {POOL}")
    assert lab.errors == []


def test_the_graph_leads_to_a_filter(lab: Lab, incident_cell: str) -> None:
    open_bench(lab, incident_cell, f"panel = fb.panel.bench(case, 'ip = {HOST}')\npanel")
    lab.page.get_by_role("button", name="Draw the graph of these connections").click()
    lab.page.locator(f".flowbench-graph .nodes tr[data-id='{POOL}']").wait_for(state="attached")
    lab.run_python(f"panel.graph.explorer.selected = '{POOL}'")
    lab.page.get_by_role("button", name=f"Filter by {POOL}").click()
    settle(lab)
    expect_filter(lab, f"ip = {HOST} and ip = {POOL}")
    assert lab.errors == []


@pytest.mark.parametrize("theme", [LIGHT, DARK])
@pytest.mark.parametrize("size", [NARROW, WIDE])
def test_it_fits_the_page(lab: Lab, incident_cell: str, theme: str, size) -> None:
    lab.use_theme(theme)
    lab.use_size(size)
    open_bench(lab, incident_cell)
    script = "e => e.scrollWidth - e.clientWidth"
    assert lab.page.locator(".flowbench-bench").evaluate(script) <= 1
    ink, paper = lab.page.locator(".flowbench-bench .totals").evaluate(
        """e => [e, e.closest('.flowbench-bench')].map((element, i) => {
             const style = getComputedStyle(element);
             const found = (i ? style.backgroundColor : style.color).match(/[0-9.]+/g);
             return Number(found[0]);
           })"""
    )
    assert (ink < paper) == (theme == LIGHT)
    assert abs(ink - paper) > 120
    lab.screenshot(f"bench-{theme[-5:].strip().lower()}-{size[0]}")
    assert lab.errors == []
