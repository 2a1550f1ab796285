"""Panels in a real JupyterLab: widgets are shown, with no error and no request to elsewhere."""

from __future__ import annotations

import pytest

from flowbench.case import Case
from tests.conftest import ROOT
from tests.panel.jupyterlab import DARK, LIGHT, NARROW, WIDE, Lab
from tests.training.lesson_answers import one_record
from tests.training.notebooks import read_cells

CLICK_COUNTER = """
import ipywidgets
button = ipywidgets.Button(description='0 clicks')
button.on_click(lambda b: setattr(b, 'description', f'{int(b.description.split()[0]) + 1} clicks'))
button
"""


def test_a_click_reaches_python_and_a_reload_starts_again(lab: Lab) -> None:
    lab.open(CLICK_COUNTER)
    button = lab.page.locator(".jp-Notebook button.widget-button")
    button.click()
    lab.page.wait_for_function("document.querySelector('.widget-button').innerText == '1 clicks'")
    for theme in (DARK, LIGHT):
        lab.use_theme(theme)
    lab.reload()
    lab.page.wait_for_function("document.querySelector('.widget-button').innerText == '0 clicks'")
    assert lab.errors == []


def test_what_a_cell_raises_fails_the_test(lab: Lab, incident_cell: str) -> None:
    with pytest.raises(AssertionError, match="no detector is called x"):
        lab.open(incident_cell, "fb.detect.run(case, only=['x'])")
    lab.open(incident_cell, "fb.detect.run(case, only=['mining'])")
    assert "Crypto-mining traffic" in lab.page.locator(".jp-OutputArea-output").inner_text()


def test_figures_are_drawn_without_an_upload(lab: Lab) -> None:
    figure = "import plotly.graph_objects as go\ngo.Figure(go.Scatter(y=[1, 2]))"
    lab.open("from flowbench.plot import theme\ntheme.figure('one')", figure)
    plots = lab.page.locator(".jp-RenderedPlotly.js-plotly-plot")
    plots.nth(1).locator(".main-svg").first.wait_for()
    titles = lab.page.locator(".modebar-btn").evaluate_all("all => all.map(b => b.dataset.title)")
    assert len(titles) > 8
    assert not [title for title in titles if "cloud" in title.lower() or "share" in title.lower()]
    assert lab.errors == []


CONTRASTS = """() => {
    const light = rgb => {
        const parts = rgb.match(/[0-9.]+/g).slice(0, 3).map(part => {
            const value = part / 255;
            return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
    };
    const back = light(getComputedStyle(document.querySelector('.jp-Notebook')).backgroundColor);
    const texts = document.querySelectorAll('.js-plotly-plot .main-svg text');
    return [...texts].filter(text => text.textContent).map(text => {
        const words = [...text.querySelectorAll('tspan')].filter(part => !part.children.length);
        const front = light(getComputedStyle(words[0] ?? text).fill);
        const pair = [front, back].sort((a, b) => b - a);
        return [text.textContent, (pair[0] + 0.05) / (pair[1] + 0.05)];
    });
}"""


def test_figures_are_readable_in_both_themes(lab: Lab, incident_cell: str) -> None:
    pair = "case.connections_of('10.0.0.5', '198.51.100.9')"
    whole = "fb.plot.network(fb.graph.communication(case))"
    lab.open(incident_cell, f"fb.plot.beacon({pair})", whole)
    plots = lab.page.locator(".jp-RenderedPlotly.js-plotly-plot")
    for theme in (LIGHT, DARK):
        lab.use_theme(theme)
        plots.nth(1).locator(".main-svg").first.wait_for()
        contrasts = dict(lab.page.evaluate(CONTRASTS))
        assert {"interval (min)", "bytes out", "accepted", "203.0.113.50(mining)"} <= set(contrasts)
        assert min(contrasts.values()) >= 4.5, contrasts  # WCAG 2.2 AA
        lab.screenshot(f"figures-{theme.split()[-1].lower()}", lab.page.locator(".jp-Notebook"))
    assert lab.errors == []


def test_a_trainee_answers_wrong_and_then_right(lab: Lab, winterday: Case) -> None:
    case = lab.root / "cases" / "training" / "winterday"
    case.parent.mkdir(parents=True)
    case.symlink_to(winterday.path)
    cells = read_cells(ROOT / "notebooks" / "training" / "01-one-record.ipynb", "code")
    lab.open(*cells)
    page = lab.page
    number = next(n for n, cell in enumerate(cells) if cell.startswith("lesson.check"))
    exercise = page.locator(".jp-Notebook .jp-CodeCell").nth(number)
    exercise.get_by_text("No answer yet.").wait_for()
    right, (wrong, *_) = one_record(winterday)["receiver"]
    for answer, text in (
        (wrong, "This address sent the packets (srcaddr)."),
        (right, "Right. 4 points of 4."),
    ):
        exercise.locator(".cm-content").click()
        page.keyboard.press("Control+a")
        page.keyboard.insert_text(f'lesson.check("receiver", "{answer}")')
        page.keyboard.press("Shift+Enter")
        exercise.get_by_text(text).wait_for()
    for theme, name in ((LIGHT, "light"), (DARK, "dark")):
        lab.use_theme(theme)
        for size, width in ((WIDE, "wide"), (NARROW, "narrow")):
            lab.use_size(size)
            lab.screenshot(f"lesson-{width}-{name}", exercise)
    lab.reload()  # in a kernel that knows nothing of the lesson
    page.get_by_text("1. One record: 1 of 6 questions solved, 4 of 24 points.").wait_for()
    assert lab.errors == []
