"""Tables of figures: frames become tables of the engine; periods are divided evenly."""

from __future__ import annotations

import pandas as pd
import pytest

from flowbench import engine
from flowbench.connections import SUMMARIES, TABLE
from flowbench.errors import InputError
from flowbench.plot import tables
from tests.plot.traffic_rows import AT, frame, row


def test_frames_and_expressions_give_the_same() -> None:
    rows = frame(row(), row(5))
    in_engine = engine.register(engine.connect(), TABLE.rows([row(), row(5)]))
    for given in (rows, in_engine):
        table = tables.to_table(given, ["first_seen"])
        assert tables.span(table) == (AT, AT + pd.Timedelta(minutes=5, seconds=10), 2)


def test_summaries_count_their_connections() -> None:
    summary = {"first_seen": AT, "last_seen": AT, "connections": 7}
    assert tables.span(tables.to_table(SUMMARIES.frame([summary]), ["first_seen"]))[2] == 7


def test_missing_columns_are_named() -> None:
    with pytest.raises(InputError, match="it lacks bytes_out, answered"):
        tables.to_table(pd.DataFrame({"first_seen": []}), ["first_seen", "bytes_out", "answered"])


def test_no_rows() -> None:
    assert tables.span(tables.to_table(frame(), ["first_seen"])) == (None, None, 0)


def test_ranks_are_in_total_order() -> None:
    table = tables.to_table(frame(row(responder="b"), row(responder="a"), row(responder="c")), [])
    assert tables.ranked(table, "responder", table.bytes_out.sum(), 2) == (["a", "b"], 3)
    assert tables.name_most(table, "responder", table.count(), "others") == "a and 2 others"
    two = table.filter(table.responder != "c")
    assert tables.name_most(two, "responder", two.count(), "other hosts") == "a and 1 other host"


def test_null_is_ranked_as_unknown() -> None:
    table = tables.to_table(frame(row(responder=None)), [])
    assert tables.ranked(table, "responder", table.count(), 5) == (["unknown"], 1)
    empty = tables.to_table(frame(), [])
    assert tables.ranked(empty, "responder", empty.count(), 5) == ([], 0)


@pytest.mark.parametrize(
    ("seconds", "width"),
    [
        (0, 1),
        (200, 1),
        (201, 5),
        (86_400, 900),
        (30 * 86_400, 21_600),
        (1_000 * 86_400, 6 * 86_400),
    ],
)
def test_bins(seconds: float, width: int) -> None:
    assert tables.bin_width(seconds) == width
    assert seconds / width <= tables.BINS
