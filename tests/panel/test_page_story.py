"""A hunt through the Winterday case in JupyterLab, from the brush to the decision, and a reload."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from flowbench import detect
from flowbench.case import Case
from flowbench.detect import registry
from flowbench.detect.detectors import contact, lateral_movement, mining
from tests.panel.conftest import CELL
from tests.panel.jupyterlab import DARK, LIGHT, NARROW, WIDE, Lab

PANEL = "shown = fb.panel.page(case)\nshown"
BENCH = "shown.tabs.children[0].children[0]"
NOTE = "The <pool> & its miner"
REASON = "<i>our</i> own test"


@pytest.fixture
def story(winterday: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    """The Winterday case with a kept run of three detectors, to be changed at will."""
    monkeypatch.setattr(registry, "MODULES", (contact, lateral_movement, mining))
    case = Case.open(shutil.copytree(winterday.path, tmp_path / "story"))
    detect.run(case)
    return case


def settle(lab: Lab) -> None:
    """Wait until the bench runs no query and shows the last one."""
    lab.page.wait_for_selector(".flowbench-bench .bar")
    lab.run_python(f"{BENCH}.wait(60)")
    lab.page.wait_for_function(
        "document.querySelector('.flowbench-bench [role=status]').textContent == ''"
    )


def click_node(lab: Lab, node: str) -> None:
    """Click a node of the bench's graph where it is drawn, and wait until it is selected."""
    row = lab.page.locator(f".nodes tr[data-id='{node}']")
    row.wait_for(state="attached")
    lab.page.locator(".stage").scroll_into_view_if_needed()
    box = lab.page.locator(".stage").bounding_box()
    x, y = (box[axis] + float(row.get_attribute(f"data-{axis}")) for axis in ("x", "y"))
    lab.page.mouse.click(x, y)
    lab.page.wait_for_function(
        "node => document.querySelector('.flowbench-graph').dataset.selected === node", arg=node
    )


def expect_filter(lab: Lab, text: str) -> None:
    """Check the filter line; the page draws a little after the kernel has answered."""
    expect(lab.page.get_by_role("combobox", name="Filter")).to_have_value(text)


def brush_second_half(lab: Lab) -> None:
    box = lab.page.locator(".flowbench-bench .activity svg").bounding_box()
    y = box["y"] + box["height"] / 2
    lab.page.mouse.move(box["x"] + box["width"] / 3, y)
    lab.page.mouse.down()
    lab.page.mouse.move(box["x"] + box["width"] - 1, y)
    lab.page.mouse.up()
    lab.page.wait_for_function(
        "document.querySelector('.flowbench-bench .totals').textContent.includes('starting')"
    )
    settle(lab)


def keep_bookmark(lab: Lab) -> None:
    note = lab.page.get_by_label("Note of the bookmark")
    note.fill(NOTE)
    note.press("Enter")
    lab.page.get_by_role("button", name=NOTE).wait_for()


def clear_filter_of_graph(lab: Lab) -> None:
    """Show the neighbours that the bench's filter leaves out."""
    line = lab.page.get_by_role("textbox", name="Filter", exact=True)
    assert line.input_value().startswith("dst.indicator = mining and")
    assert lab.page.locator(".nodes tbody tr").count() == 2
    line.fill("")
    line.press("Enter")


def take_pictures(lab: Lab, name: str) -> None:
    output = lab.page.locator(".jp-Notebook .jp-OutputArea-output")
    for theme, light in ((LIGHT, "light"), (DARK, "dark")):
        lab.use_theme(theme)
        for size, width in ((WIDE, "wide"), (NARROW, "narrow")):
            lab.use_size(size)
            lab.screenshot(f"story-{name}-{width}-{light}", output)
    lab.use_theme(LIGHT)
    lab.use_size(WIDE)


@pytest.mark.browser
def test_the_hunt_and_what_is_left_after_a_reload(
    lab: Lab, story: Case, answers: dict[str, Any]
) -> None:
    page, miner, pool = lab.page, answers["address"], answers["pool"]["address"]
    lab.open(CELL.format(path=str(story.path)), PANEL)
    settle(lab)
    brush_second_half(lab)
    line = page.get_by_role("combobox", name="Filter")
    line.fill("dst.indicator = mining")
    line.press("Enter")
    settle(lab)
    page.locator("button.measure", has_text=miner).click()
    settle(lab)
    expect_filter(lab, f"dst.indicator = mining and ip = {miner}")

    page.get_by_role("button", name="Draw the graph of these connections").click()
    click_node(lab, miner)
    clear_filter_of_graph(lab)
    attempted = {x["dst"] for x in answers["labels"] if x["kind"] == "lateral-movement"}
    for host in sorted(attempted)[:2]:
        click_node(lab, host)
        nodes = page.locator(".nodes tbody tr").count()
        page.get_by_role("button", name="Expand").click()
        page.wait_for_function(
            "n => document.querySelectorAll('.nodes tbody tr').length > n", arg=nodes
        )
    click_node(lab, pool)
    page.get_by_role("button", name=f"Filter by {pool}").click()
    settle(lab)
    found = f"dst.indicator = mining and ip = {miner} and ip = {pool}"
    expect_filter(lab, found)
    keep_bookmark(lab)
    totals = page.locator(".flowbench-bench .totals").inner_text()
    take_pictures(lab, "bench")

    page.get_by_role("tab", name="Findings").click()
    listed = page.locator(".flowbench-findings select")
    listed.select_option(index=0)
    page.get_by_placeholder("Reason of a decision").fill(REASON)
    page.get_by_role("button", name="Dismiss").click()
    page.get_by_text("is dismissed.").wait_for()
    take_pictures(lab, "findings")

    lab.reload()
    settle(lab)
    page.get_by_role("button", name=NOTE).click()
    settle(lab)
    expect_filter(lab, found)
    assert page.locator(".flowbench-bench .totals").inner_text() == totals
    page.get_by_role("tab", name="Findings").click()
    page.get_by_label("Decision").select_option("dismissed")
    page.wait_for_function("document.querySelectorAll('.flowbench-findings option').length == 1")
    listed.select_option(index=0)
    page.get_by_text(REASON).first.wait_for()
    story.log.refresh()
    assert [d["reason"] for d in story.decisions] == [REASON]
    assert NOTE in story.notes[-1]["text"]
    assert lab.errors == []
