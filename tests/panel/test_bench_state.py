"""The hunting bench's state: what pivots add, code that makes the same view, and history."""

from __future__ import annotations

import pandas as pd
import pytest

from flowbench.errors import InputError
from flowbench.investigate.where import FilterError
from flowbench.panel.bench_state import BenchState, History, make_state, read_code

SINCE, UNTIL = (pd.Timestamp(f"2026-09-02T{hour:02}", tz="UTC") for hour in (3, 9))


@pytest.mark.parametrize(
    ("before", "condition", "after"),
    [
        ("", "ip = 10.0.0.5", "ip = 10.0.0.5"),
        ("rejected", "dport = 22 and proto = tcp", "rejected and dport = 22 and proto = tcp"),
        ("rejected or answered", "dport = 22", "(rejected or answered) and dport = 22"),
        ("port = 1 and rejected", "port = 1 and answered", "port = 1 and rejected and answered"),
        ("rejected", "rejected", "rejected"),
    ],
)
def test_a_pivot_adds_a_condition(before: str, condition: str, after: str) -> None:
    narrowed = BenchState(before, page=3).narrow(condition)
    assert (narrowed.filter, narrowed.page) == (after, 0)


def test_filter_and_period_are_one_condition() -> None:
    period = "start >= 2026-09-02T03:00 and start < 2026-09-02T09:00"
    assert BenchState().condition == ""
    assert BenchState("", SINCE, UNTIL).condition == period
    assert BenchState("rejected or bytes > 1kB", SINCE, UNTIL).condition == (
        f"(rejected or bytes > 1000) and {period}"
    )


def test_a_wrong_condition_is_refused() -> None:
    with pytest.raises(FilterError):
        BenchState().narrow("' OR 1=1")


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (BenchState(), "fb.panel.bench(case)"),
        (
            BenchState('name = "a\'); x"', SINCE, UNTIL, "bytes", "records"),
            "fb.panel.bench(case, 'name = \"a\\'); x\"', since='2026-09-02T03:00:00+00:00',"
            " until='2026-09-02T09:00:00+00:00', measure='bytes', rows='records')",
        ),
    ],
)
def test_the_code_makes_the_same_view(state: BenchState, code: str) -> None:
    assert state.to_code() == code
    assert read_code(code) == state


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a note",
        "fb.panel.bench(case, __import__('os').system('x'))",
        "fb.panel.bench(case, 'prot = 1')",
        "fb.panel.bench(case, 'rejected', measure='colour')",
        "fb.panel.bench(case, nonsense=1)",
        "fb.panel.bench(case, 1)",
        "fb.panel.bench(case, since='yesterday', until='today')",
        "other(case, 'rejected')",
        "fb.panel.bench(" + "(" * 500,
    ],
)
def test_other_text_is_no_view_and_is_not_run(text: str) -> None:
    assert read_code(text) is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"measure": "packets"}, "no measure is called packets; there are: connections, bytes"),
        ({"rows": "x"}, "no rows is called x"),
        ({"since": "2026-09-02"}, "give both since and until"),
        ({"since": "2026-09-02", "until": "2026-09-01"}, "a start before its end"),
        ({"since": "soon", "until": "later"}, "invalid time"),
        ({"filter_text": "x"}, "not a field"),
    ],
)
def test_wrong_arguments(values: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_state(**values)


def test_history_leads_back_and_forward() -> None:
    history = History()
    first, second, third = (BenchState(page=number) for number in range(3))
    assert (history.back(first), history.forward(first)) == (first, first)
    history.leave(first)
    history.leave(second)
    assert history.back(third) == second
    assert history.back(second) == first
    assert history.forward(first) == second
    history.leave(second)
    assert (history.earlier, history.later) == ([first, second], [])
