"""Panels in a real JupyterLab: widgets are shown, with no error and no request to elsewhere."""

from __future__ import annotations

import pytest

from tests.panel.jupyterlab import DARK, LIGHT, Lab

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
