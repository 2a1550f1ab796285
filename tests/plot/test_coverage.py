"""The heat map of coverage: states, empty rows, grouping, hostile names."""

from __future__ import annotations

import pandas as pd

from flowbench import plot
from flowbench.case.coverage_by import CELLS, INTERFACES

AT = pd.Timestamp("2026-09-01 00:00Z")


def cells(*rows: tuple[str, int, int, int, int]) -> pd.DataFrame:
    """Rows of interface, hour, records, NODATA and SKIPDATA."""
    return CELLS.frame(
        {"interface_id": name, "hour": AT + pd.Timedelta(hours=hour)}
        | {"records": records, "nodata": nodata, "skipdata": skipdata}
        for name, hour, records, nodata, skipdata in rows
    )


def interfaces(names: list[str], subnets: list[str | None] | None = None) -> pd.DataFrame:
    return INTERFACES.frame(
        {"interface_id": name, "subnet_id": subnet, "records": 0 if name == "eni-z" else 5}
        for name, subnet in zip(names, subnets or [None] * len(names), strict=True)
    )


def test_each_cell_has_its_state() -> None:
    figure = plot.coverage(
        cells(("eni-a", 0, 5, 4, 0), ("eni-a", 2, 3, 3, 0), ("eni-b", 1, 3, 1, 1)),
        interfaces(["eni-a", "eni-b", "eni-z"]),
    )
    heat = figure.data[0]
    assert [list(row) for row in heat.z] == [[2, None, 1], [None, 3, None], [None, None, None]]
    assert figure.layout.yaxis.ticktext == ("eni-a", "eni-b", "eni-z")
    assert heat.text[0][0] == (
        "<b>eni-a</b><br>traffic<br>5 records of 1 interface, 4 NODATA, 0 SKIPDATA"
        "<br>2026-09-01 00:00 UTC"
    )
    assert heat.text[2][1] == "<b>eni-z</b><br>no record<br>2026-09-01 01:00 UTC"
    assert [trace.name for trace in figure.data[1:]] == [
        "no traffic (NODATA)",
        "traffic",
        "records lost (SKIPDATA)",
    ]
    assert "interface per hour; 1 interface without a record" in figure.layout.title.text


def test_many_interfaces_are_grouped_by_subnet_with_the_worst_state() -> None:
    names = [f"eni-{n:02}" for n in range(50)]
    subnets = ["subnet-b"] * 30 + ["subnet-a"] * 15 + [None] * 5
    figure = plot.coverage(
        cells((names[0], 0, 1, 0, 0), (names[1], 0, 1, 0, 1), (names[40], 0, 1, 1, 0)),
        interfaces(names, subnets),
    )
    assert figure.layout.yaxis.ticktext == ("subnet-b (30)", "subnet-a (15)", "no known subnet (5)")
    assert [list(row) for row in figure.data[0].z] == [[3], [1], [None]]
    assert "2 records of 2 interfaces" in figure.data[0].text[0][0]


def test_many_subnets_share_a_row() -> None:
    names = [f"eni-{n:02}" for n in range(50)]
    figure = plot.coverage(
        cells((names[49], 0, 1, 0, 0)), interfaces(names, [f"subnet-{n:02}" for n in range(50)])
    )
    assert len(figure.layout.yaxis.ticktext) == 40
    assert figure.layout.yaxis.ticktext[-1] == "11 other subnets (11)"
    assert list(figure.data[0].z[-1]) == [2]


def test_a_single_hour_is_as_wide_as_an_hour() -> None:
    figure = plot.coverage(cells(("eni-a", 0, 1, 0, 0)), interfaces(["eni-a"]))
    assert list(figure.data[0].x) == [AT, AT + pd.Timedelta(hours=1)]


def test_many_hours_share_cells() -> None:
    figure = plot.coverage(
        cells(("eni-a", 0, 1, 0, 0), ("eni-a", 499, 1, 1, 0)), interfaces(["eni-a"])
    )
    assert len(figure.data[0].z[0]) == 167
    assert "per 3 hours" in figure.layout.title.text


def test_hostile_names_are_escaped_and_nothing_is_drawn_of_nothing() -> None:
    figure = plot.coverage(cells(("<b>x", 0, 1, 0, 0)), interfaces(["<b>x"]))
    assert figure.layout.yaxis.ticktext == ("&lt;b&gt;x",)
    assert figure.data[0].text[0][0].startswith("<b>&lt;b&gt;x</b>")
    assert len(plot.coverage(cells(), interfaces([])).data) == 0


def test_labels_have_whole_ids_and_stay_distinct() -> None:
    names = [f"eni-{n:02}" for n in range(50)]
    ids = [f"subnet-0123456789abcdef{n % 2}" for n in range(50)]
    figure = plot.coverage(cells((names[0], 0, 1, 0, 0)), interfaces(names, ids))
    assert figure.layout.yaxis.ticktext == (f"{ids[0]} (25)", f"{ids[1]} (25)")
    long = [f"subnet-{'x' * 60}{n % 2}" for n in range(50)]
    figure = plot.coverage(cells((names[0], 0, 1, 0, 0)), interfaces(names, long))
    assert [label[:9] for label in figure.layout.yaxis.ticktext] == ["1. subnet", "2. subnet"]
