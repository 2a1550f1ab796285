"""Linked finding groups as a figure: order of time, labels, escaping, and what is left out."""

from __future__ import annotations

import importlib
import itertools
from typing import Any

import pandas as pd

from flowbench import detect, plot
from flowbench.plot import theme

START = pd.Timestamp("2026-09-01", tz="UTC")
SESSION = "administrative session"


def link(source: str, target: str, hours: float, **more: Any) -> dict[str, Any]:
    first = START + pd.Timedelta(hours=hours)
    return {
        "from_group": source,
        "to_group": target,
        "relation": SESSION,
        "via": None,
        "service_port": 22,
        "first_seen": first,
        "last_seen": first + pd.Timedelta(hours=1),
        "connections": 3,
        "finding_ids": [],
        "evidence": "{}",
    } | more


def draw(*links: dict[str, Any], **more: Any) -> Any:
    return plot.paths(detect.LINKS.frame(links), **more)


def nodes(figure: Any) -> dict[str, tuple[float, float]]:
    trace = figure.data[-1]
    return {
        text.removeprefix("<b>").removesuffix("</b>"): (x, y)
        for text, x, y in zip(trace.text, trace.x, trace.y, strict=True)
    }


def test_no_links_are_stated() -> None:
    assert "No finding groups are linked." in draw().layout.annotations[0].text


def test_groups_stand_from_left_to_right_with_times_on_the_arrows() -> None:
    figure = draw(link("b", "c", 2, service_port=3389), link("a", "b", 1), link("a", "d", 3))
    position = nodes(figure)
    assert [position[name][0] for name in "abcd"] == [0, 1, 2, 1]
    texts = {annotation.text for annotation in figure.layout.annotations}
    assert texts == {
        "22/tcp (ssh)<br>09-01 01:00",
        "3389/tcp (rdp)<br>09-01 02:00",
        "22/tcp (ssh)<br>09-01 03:00",
    }
    assert "2026-09-01 01:00 to 2026-09-01 04:00 UTC" in figure.layout.title.text


def test_several_links_of_two_groups_share_a_label() -> None:
    peer = link("a", "b", 2, relation="common external peer", service_port=None, via="203.0.113.5")
    figure = draw(
        link("a", "b", 1),
        link("a", "b", 3, via="x to b"),
        peer,
        link("a", "b", 4, service_port=445),
    )
    (label,) = figure.layout.annotations
    assert label.text == "22/tcp (ssh)<br>09-01 01:00<br>09-01 02:00<br>and 1 more"
    assert "common external peer 203.0.113.5" in label.hovertext
    assert [trace.name for trace in figure.data[:-1]] == [SESSION, "common external peer"]


def test_hostile_names_are_text() -> None:
    hostile = "<script>alert(1)</script>\x1b$x$"
    figure = draw(link(hostile, "b", 1, via=hostile))
    assert "<script>" not in figure.to_json().replace("\\u003c", "<").lower()
    assert "\x1b" not in figure.to_json()
    assert "&lt;script&gt;" in figure.data[-1].hovertext[0]


def test_groups_have_the_colour_of_their_severity() -> None:
    row = {"subject": "a", "severity": "critical", "findings": 2}
    groups = detect.FINDING_GROUPS.frame([row | {"first_seen": START, "last_seen": START}])
    figure = draw(link("a", "b", 1), groups=groups)
    assert list(figure.data[-1].marker.color) == [theme.SEVERITY["critical"], theme.GREY]
    assert "2 findings, critical" in figure.data[-1].hovertext[0]


def test_later_groups_are_left_out_and_counted() -> None:
    chain = [link(f"h{n}", f"h{n + 1}", n) for n in range(9)]
    figure = draw(*chain, most=4)
    assert list(nodes(figure)) == ["h0", "h1", "h2", "h3"]
    assert "6 groups not drawn" in figure.layout.title.text


def test_long_chains_and_cycles_stay_within_five_columns() -> None:
    chain = [link(f"h{n}", f"h{n + 1}", n) for n in range(9)]
    position = nodes(draw(*chain, link("h9", "h0", 10)))
    assert max(x for x, _ in position.values()) == 4
    assert len(set(position.values())) == 10


def test_labels_do_not_cover_each_other() -> None:
    paths = importlib.import_module("flowbench.plot.paths")  # the function has its name
    fan = [link("h0", f"h{n}", n) for n in range(1, 5)]
    figure = draw(*fan)
    position = {name: paths._Point(*point) for name, point in nodes(figure).items()}
    boxes = [
        paths._box(paths._Point(label.x, label.y), (80, 28), position)
        for label in figure.layout.annotations
    ]
    for one, other in itertools.combinations(boxes, 2):
        assert paths._overlap(one, [other]) == 0
