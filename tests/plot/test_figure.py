"""How figures are shown: text in the page's colour, nothing white, and no upload."""

from __future__ import annotations

import json
from typing import Any

import plotly.graph_objects as go
import plotly.io as pio
import pytest
from plotly.subplots import make_subplots

from flowbench.plot import theme
from flowbench.plot.figure import CONFIG, Figure

SPAN = "<span style='color:currentcolor'>"


@pytest.fixture
def figure() -> Figure:
    plot = make_subplots(rows=2, cols=1, figure=theme.figure("Title", "subtitle"))
    plot.add_trace(go.Scatter(x=[1], y=[2], mode="markers+text", text=["a"], name="trace"))
    plot.add_trace(go.Scatter(x=[1], y=[2], mode="markers", text=["hover"]), row=2, col=1)
    plot.add_trace(go.Heatmap(z=[[1]], colorbar={"title": "bar"}), row=2, col=1)
    plot.add_annotation(text="free")
    plot.add_annotation(text="own", bgcolor=theme.PAPER)
    plot.update_yaxes(title_text="axis", ticktext=["one"], tickvals=[1], row=1, col=1)
    return plot


def test_text_takes_the_colour_of_the_page(figure: Figure) -> None:
    shown = figure.to_dict()
    layout, data = shown["layout"], shown["data"]
    assert layout["title"]["text"].startswith(f"{SPAN}<b>Title</b>")
    assert [note["text"] for note in layout["annotations"]] == [f"{SPAN}free</span>", "own"]
    assert layout["yaxis"]["title"]["text"] == f"{SPAN}axis</span>"
    assert layout["yaxis"]["ticktext"] == [f"{SPAN}one</span>"]
    for name in ("xaxis", "yaxis", "xaxis2", "yaxis2"):
        assert (layout[name]["tickprefix"], layout[name]["ticksuffix"]) == (SPAN, "</span>")
    assert (data[0]["text"], data[0]["name"]) == ([f"{SPAN}a</span>"], f"{SPAN}trace</span>")
    assert data[1]["text"] == ["hover"]  # hover labels have a background of their own
    assert data[2]["colorbar"]["title"]["text"] == f"{SPAN}bar</span>"
    assert data[2]["colorbar"]["tickprefix"] == SPAN


def test_the_figure_itself_keeps_its_texts(figure: Figure) -> None:
    first = figure.to_dict()
    assert figure.data[0].name == "trace"
    assert figure.to_dict() == first
    assert Figure(first).to_dict()["data"][0]["name"] == f"{SPAN}trace</span>"  # not wrapped twice


def test_changed_titles_take_it_too(figure: Figure) -> None:
    figure.update_layout(title_text="mine")
    assert figure.to_dict()["layout"]["title"]["text"] == f"{SPAN}mine</span>"


def test_backgrounds_are_transparent(figure: Figure) -> None:
    layout = figure.to_dict()["layout"]
    assert layout["paper_bgcolor"] == layout["plot_bgcolor"] == "rgba(0,0,0,0)"
    assert layout["hoverlabel"]["font"]["color"] == theme.INK


@pytest.mark.parametrize("renderer", ["plotly_mimetype", "plotly_mimetype+notebook"])
def test_notebook_figures_have_no_upload(
    figure: Figure, renderer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    displayed: list[dict[str, Any]] = []
    monkeypatch.setattr(pio.renderers, "default", renderer)
    monkeypatch.setattr(
        "IPython.display.display", lambda bundle, **_kwargs: displayed.append(bundle)
    )
    figure._ipython_display_()
    for bundle in (figure._repr_mimebundle_(), displayed[-1]):
        shown = bundle["application/vnd.plotly.v1+json"]
        assert shown["config"] == CONFIG
        assert shown["config"]["showSendToCloud"] is False
        assert shown["layout"]["title"]["text"].startswith(SPAN)


def test_pages_have_no_upload(figure: Figure, tmp_path) -> None:
    path = tmp_path / "figure.html"
    figure.write_html(path, include_plotlyjs=False)
    for page in (figure.to_html(include_plotlyjs=False), path.read_text()):
        assert '"showSendToCloud": false' in page
        assert '<meta name="color-scheme" content="light dark">' in page
        assert "https://" not in page.replace("https://cdn.plot.ly", "")  # named, not loaded
    assert json.loads(figure.to_json())["layout"]["title"]["text"].startswith(SPAN)
