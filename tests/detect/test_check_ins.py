"""Regularity of connections: intervals, counts per capture window, sizes."""

from __future__ import annotations

import random
from pathlib import Path

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from flowbench.case import Case
from flowbench.detect.check_ins import (
    connections_of,
    equal_sizes,
    regular_intervals,
    steady_counts,
)
from tests.detect.detectors.common import HOST, SAAS
from tests.traffic import T0, Record, connect, make_case


def numbered(case: Case) -> pa.Table:
    """The pairs of a case, with numbers in the order of the responders."""
    number = ibis.row_number().over(ibis.window(order_by="responder"))
    return case.connection_summaries.mutate(pair=number).to_pyarrow()


def rows_of(table: ibis.Table) -> pd.DataFrame:
    return table.order_by("pair").to_pandas()


def counts(folder: Path, per_window: list[int], *, window: int = 60) -> pd.DataFrame:
    """What steady_counts says of so many connections in each window."""
    records = [
        record
        for slot, n in enumerate(per_window)
        for k in range(n)
        for record in connect(
            HOST, SAAS, 443, T0 + slot * window, source_port=33_000 + slot * 100 + k, window=window
        )
    ]
    case = make_case(folder, records)
    return rows_of(steady_counts(connections_of(case.connections, numbered(case)), window))


@pytest.mark.parametrize("window", [60, 600])
def test_the_dispersion_of_counts_is_that_of_the_inner_windows(tmp_path: Path, window: int) -> None:
    per_window = [1, 2, 3, 2, 0, 2, 3, 2, 2, 1]
    (row,) = counts(tmp_path, per_window, window=window).to_dict("records")
    inner = np.array(per_window[1:-1])
    assert (row["counted"], row["windows"]) == (18, 10)
    assert row["rate"] == pytest.approx(1.8)
    assert row["dispersion"] == pytest.approx(inner.var() / inner.mean())


def test_a_pause_of_more_than_four_windows_ends_a_run(tmp_path: Path) -> None:
    run = [2] * 10
    (row,) = counts(tmp_path / "1", run + [0] * 4 + run).to_dict("records")
    assert (row["counted"], row["windows"]) == (40, 24)
    (row,) = counts(tmp_path / "2", run + [0] * 5 + run).to_dict("records")
    assert (row["counted"], row["windows"], row["dispersion"]) == (40, 20, 0)


def test_sparse_windows_are_no_run(tmp_path: Path) -> None:
    assert counts(tmp_path, [1, 0, 0, 0] * 12).empty


@pytest.mark.parametrize(
    ("sizes", "share"),
    [
        ([(500, 900)] * 50, 1.0),
        ([(500, 900)] * 25 + [(n * n * 900, n * n * 2_000) for n in range(1, 26)], 0.5),
        ([(n * n * n * 90, 1_000) for n in range(1, 51)], (1 / 50) ** 0.5),
    ],
)
def test_the_share_of_equal_sizes_is_the_mean_of_both_directions(
    tmp_path: Path, sizes: list[tuple[int, int]], share: float
) -> None:
    records = [
        record
        for n, (out, back) in enumerate(sizes)
        for record in connect(
            HOST, SAAS, 443, T0 + n * 60, source_port=33_000 + n, out=out, back=back, seconds=0
        )
    ]
    case = make_case(tmp_path, records)
    (row,) = rows_of(equal_sizes(connections_of(case.connections, numbered(case)))).to_dict(
        "records"
    )
    # Neighbours on the logarithmic scale may share a band.
    assert row["equal_sizes"] == pytest.approx(max(0, share - 0.5 / 50**0.5), abs=0.08)


def test_unanswered_attempts_have_no_equal_sizes(tmp_path: Path) -> None:
    records = [
        Record(HOST, SAAS, 33_000 + n, 443, T0 + n * 60, T0 + n * 60 + 59) for n in range(50)
    ]
    case = make_case(tmp_path, records)
    assert rows_of(equal_sizes(connections_of(case.connections, numbered(case))))[
        "equal_sizes"
    ].tolist() == [0.0]


def test_the_engine_gives_the_same_figures_as_numpy(tmp_path: Path) -> None:
    chance = random.Random(7)
    records: list[Record] = []
    truth: dict[str, list[float]] = {}
    for pair in range(40):  # from exact intervals to random ones
        at, blur, starts = T0 + 60 * pair, 15 * pair, []
        for n in range(24):
            at += 600 + chance.randint(-blur, blur)
            starts.append(at - at % 60)  # as the capture window records it
            records += connect(HOST, f"203.0.113.{pair + 1}", 443, at, source_port=40_000 + n)
        gaps = np.diff(np.unique(starts)).astype(float)
        usual = gaps[gaps <= 2.5 * np.median(gaps)].mean()
        near = gaps[np.abs(gaps - usual) <= 0.75 * usual]
        variation = np.sqrt(max(0.0, near.var() - 60**2 / 6)) / near.mean()
        regularity = len(near) / len(gaps) * max(0.0, 1 - variation) - 0.5 / np.sqrt(len(gaps))
        spread = np.median(np.abs(gaps - np.median(gaps)))
        low, middle, high = np.quantile(gaps, [0.25, 0.5, 0.75])
        if high - low - 60 <= 0.7 * middle:
            truth[f"203.0.113.{pair + 1}"] = [regularity, near.mean(), spread]
    case = make_case(tmp_path, records)
    pairs = numbered(case)
    for least in (0.5, 0.7, 0.8):
        rated = regular_intervals(connections_of(case.connections, pairs), 60).to_pandas()
        found = rated[rated["regularity"] >= least]
        peers = dict(pairs.select(["pair", "responder"]).to_pandas().itertuples(index=False))
        counted = {
            peers[row.pair]: [row.regularity, row.interval, row.deviation]
            for row in found.itertuples()
        }
        expected = {peer: parts for peer, parts in truth.items() if parts[0] >= least}
        assert 0 < len(expected) < 40
        assert counted.keys() == expected.keys()
        for peer, parts in expected.items():
            assert counted[peer] == pytest.approx(parts)
