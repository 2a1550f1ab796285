"""The chain of an attribution as a figure."""

from __future__ import annotations

import pandas as pd

from flowbench import plot
from flowbench.investigate.trace import Step, Trace
from flowbench.plot.chain import MOST_ENDS, Link, links_of

AT = pd.Timestamp("2026-09-01 02:05Z")
CHAIN = [
    Link("principal", "ada"),
    Link("API call", "RunInstances", AT),
    Link("instance", "i-0aaaa1111", AT),
    Link("peer", "203.0.113.50", AT + pd.Timedelta(hours=1)),
    Link("peer", "<script>alert(1)</script>$x$"),
]


def test_links_from_left_to_right_and_peers_below_each_other() -> None:
    figure = plot.chain(CHAIN)
    (marks,) = figure.data
    assert list(marks.x) == [0, 1, 2, 3, 3]
    assert marks.y[3] > marks.y[4]
    assert len(figure.layout.annotations) == 4  # two links, two peers
    assert "2026-09-01 02:05 to 2026-09-01 03:05 UTC" in figure.layout.title.text
    assert "2026-09-01 02:05:00 UTC" in marks.hovertext[1]


def test_hostile_labels_are_text() -> None:
    text = plot.chain(CHAIN).to_json()
    assert "<script" not in text
    assert "$x$" not in text


def test_nothing_to_draw() -> None:
    assert plot.chain([]).layout.annotations[0].text == "The evidence shows no chain."


def test_peers_alone() -> None:
    assert len(plot.chain([Link("peer", "203.0.113.50")]).data[0].x) == 1


def test_the_trace_of_an_address_with_its_times() -> None:
    trace = Trace(
        "10.0.0.5",
        (
            Step("address", "…", "10.0.0.5", AT),
            Step("interface", "…", "eni-a", AT),
            Step("instance", "…", "i-0aaaa1111", AT),
            Step("creation", "RunInstances created i-0aaaa1111.", "e5", AT),
            Step("principal", "…", "arn:aws:sts::1:assumed-role/ops/s1", AT),
            Step("access key", "…", "ASIAONE", AT),
            Step("created by", "A failed call.", None, AT),
            Step("created by", "…", "arn:aws:iam::1:user/eve", AT),
        ),
    )
    links = links_of(trace, [Link("peer", "203.0.113.50", AT)])
    assert [(link.kind, link.value) for link in links] == [
        ("principal", "eve"), ("principal", "ops/s1"), ("access key", "ASIAONE"),
        ("API call", "RunInstances"), ("instance", "i-0aaaa1111"), ("interface", "eni-a"),
        ("address", "10.0.0.5"), ("peer", "203.0.113.50"),
    ]  # fmt: skip
    assert all(link.time == AT for link in links)
    assert "Attribution of 10.0.0.5" in plot.chain(trace).layout.title.text


def test_the_trace_of_a_principal_ends_in_what_it_created() -> None:
    made = [Step("consequence", "…", f"i-{n}", AT) for n in range(9)]
    trace = Trace("eve", (Step("principal", "…", "eve", AT), *made))
    links = links_of(trace)
    assert [link.kind for link in links] == ["principal", *["consequence"] * MOST_ENDS]
    assert links[-1].value == "4 more"
    (marks,) = plot.chain(trace, "A title").data
    assert list(marks.x) == [0, *[1] * MOST_ENDS]


def test_an_external_address_ends_in_its_callers() -> None:
    trace = Trace(
        "192.0.2.66", (Step("address", "…", "192.0.2.66"), Step("caller", "…", "eve", AT))
    )
    assert [(link.kind, link.value) for link in links_of(trace)] == [
        ("address", "192.0.2.66"), ("caller", "eve"),
    ]  # fmt: skip
