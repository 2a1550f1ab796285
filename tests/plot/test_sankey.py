"""Bytes by service: links, groups with their members, summaries as well as connections."""

from __future__ import annotations

from flowbench import plot
from flowbench.connections import SUMMARIES
from tests.plot.traffic_rows import AT, HOST, PEER, frame, row


def links(figure) -> dict[tuple[str, str], int]:
    drawn = figure.data[0]
    names = list(drawn.node.label)
    return {
        (names[source], names[target]): value
        for source, target, value in zip(
            drawn.link.source, drawn.link.target, drawn.link.value, strict=True
        )
    }


def test_bytes_of_both_directions() -> None:
    figure = plot.sankey(frame(row(), row(5), row(9, service_port=22, responder="192.0.2.1")))
    assert links(figure) == {
        (HOST, "443/tcp (https)"): 2_040,
        (HOST, "22/tcp (ssh)"): 1_020,
        ("443/tcp (https)", PEER): 2_040,
        ("22/tcp (ssh)", "192.0.2.1"): 1_020,
    }
    assert "3 connections, 3.1 kB in both directions" in figure.layout.title.text
    hover = figure.data[0].link.customdata[0]
    assert "1 connection<br>1,000 bytes out, 20 in" in hover


def test_the_rest_is_a_group_that_names_its_members() -> None:
    rows = [row(n, responder=f"192.0.2.{n}", bytes_out=100 - n, bytes_in=0) for n in range(20)]
    figure = plot.sankey(frame(*rows), most=4)
    assert links(figure)["443/tcp (https)", "17 other addresses"] == sum(
        100 - n for n in range(3, 20)
    )
    (hover,) = [text for text in figure.data[0].node.customdata if "17 other" in text]
    assert "192.0.2.3, 192.0.2.4" in hover
    assert "and 9 more" in hover


def test_summaries() -> None:
    summary = {
        "initiator": HOST, "responder": PEER, "service_port": 443, "protocol": 6,
        "first_seen": AT, "last_seen": AT, "connections": 7, "bytes_out": 10, "bytes_in": 5,
    }  # fmt: skip
    figure = plot.sankey(SUMMARIES.frame([summary]))
    assert "7 connections" in figure.layout.title.text
    assert set(links(figure).values()) == {15}


def test_an_address_can_be_on_both_sides() -> None:
    figure = plot.sankey(frame(row(), row(1, initiator=PEER, responder=HOST)))
    assert sorted(figure.data[0].node.label) == sorted([HOST, PEER, "443/tcp (https)", HOST, PEER])


def test_no_connections() -> None:
    assert plot.sankey(frame()).layout.annotations[0].text == "There are no connections to draw."
