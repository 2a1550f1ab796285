"""The triage in JupyterLab: by mouse and keyboard, narrow and wide, light and dark."""

from __future__ import annotations

from flowbench.case import Case
from tests.panel.jupyterlab import DARK, LIGHT, NARROW, WIDE, ZOOMED, Lab

PANEL = ".jp-Notebook .jp-OutputArea-output"


def test_triage_survives_a_reload(lab: Lab, incident: Case, incident_cell: str) -> None:
    lab.open(incident_cell, "fb.panel.findings(case)")
    page = lab.page
    output = page.locator(PANEL)
    listed = page.locator(".flowbench-findings select")
    listed.focus()
    page.keyboard.press("Home")  # the first finding, by the keyboard
    page.keyboard.press("ArrowDown")
    output.get_by_text("Finding id").wait_for()
    label = listed.locator("option:checked").text_content()
    count = listed.locator("option").count()
    page.get_by_placeholder("Reason of a decision").fill("<b>the lab's</b> own host")
    output.get_by_role("button", name="★ Star").focus()
    output.get_by_role("button", name="Dismiss").click()
    output.get_by_text("is dismissed.").wait_for()
    page.wait_for_function(
        "n => document.querySelectorAll('.flowbench-findings option').length == n", arg=count - 1
    )
    output.get_by_text("Supporting records").click()
    output.get_by_text("times are UTC").wait_for()
    output.get_by_text("Suppress similar findings").click()
    output.get_by_text("It covers").wait_for()
    assert "# kind: allow" in output.locator("pre").first.inner_text()
    output.get_by_text("This view as code").click()
    code = output.get_by_label("Code of this view").inner_text()
    assert code.startswith("display(fb.panel.findings(case, finding=")
    output.get_by_role("button", name="Copy").wait_for()
    for theme, name in ((LIGHT, "light"), (DARK, "dark")):
        lab.use_theme(theme)
        for size, width in ((WIDE, "wide"), (NARROW, "narrow"), (ZOOMED, "zoomed")):
            lab.use_size(size)
            lab.screenshot(f"findings-{width}-{name}", output)
            assert output.evaluate("box => box.scrollWidth <= box.clientWidth + 1")
    lab.reload()
    page.get_by_label("Decision").select_option("dismissed")
    page.wait_for_function("document.querySelectorAll('.flowbench-findings option').length == 1")
    option = page.locator(".flowbench-findings option")
    assert option.text_content() == f"{label}\xa0[dismissed]"
    page.locator(".flowbench-findings select").select_option(index=0)
    output.get_by_text("<b>the lab's</b> own host").first.wait_for()  # text, not bold
    assert incident.decisions == []  # this process has not read the log again
    incident.log.refresh()
    assert [d["reason"] for d in incident.decisions] == ["<b>the lab's</b> own host"]
    assert lab.errors == []
