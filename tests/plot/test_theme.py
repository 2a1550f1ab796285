"""The common style: hostile text is escaped, periods have one format, colours differ."""

from __future__ import annotations

import pandas as pd
import pytest

from flowbench.plot import theme

AT = pd.Timestamp("2026-09-01 00:00Z")


def test_titles_are_escaped_once() -> None:
    figure = theme.figure("<b>A & B</b>\n", "<script>")
    assert figure.layout.title.text.startswith("<b>&lt;b&gt;A &amp; B&lt;/b&gt;\\x0a</b><br>")
    assert "<script>" not in figure.layout.title.text


def test_dollars_are_not_left_to_mathjax() -> None:
    """plotly takes text between two dollars for TeX, and decodes the entity afterwards."""
    assert theme.escape("$x$ & y") == "&#36;x&#36; &amp; y"
    assert "$" not in theme.figure("cost $1 to $2", "$$").layout.title.text


def test_long_words_are_cut_into_lines() -> None:
    lines = theme.wrap("<" * 200 + " b c", width=50).split("<br>")
    assert [line.count("&lt;") for line in lines] == [50, 50, 50, 50, 0]
    assert lines[-1] == "b c"
    assert theme.wrap("") == ""


@pytest.mark.parametrize(("text", "expected"), [("abc", "abc"), ("abcd", "ab…"), ("", "")])
def test_shortened_text(text: str, expected: str) -> None:
    assert theme.shorten(text, 3) == expected


def test_periods() -> None:
    later = AT + pd.Timedelta(hours=1)
    assert theme.period(AT, later) == "2026-09-01 00:00 to 2026-09-01 01:00 UTC"
    assert theme.period(None, AT) == theme.period(AT, pd.NaT) == "no times"


def test_an_empty_figure_states_its_reason() -> None:
    figure = theme.empty_figure("Traffic", "no <b>connections</b>")
    assert figure.layout.annotations[0].text == "no &lt;b&gt;connections&lt;/b&gt;"
    assert len(figure.data) == 0


def test_colours() -> None:
    assert theme.rgba("#0072B2", 0.35) == "rgba(0,114,178,0.35)"
    assert len(set(theme.VERDICT.values())) == 3
