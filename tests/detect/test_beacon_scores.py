"""Scores of pairs: which statistic reports a pair, and what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flowbench.case import Case
from flowbench.detect.beacon_scores import Limits, score_pairs
from tests.detect.detectors.common import HOST, SAAS, periodic
from tests.traffic import T0, connect, make_case

LIMITS = Limits(
    min_score=0.7,
    min_regularity=0.58,
    min_regularity_varied=0.74,
    min_check_ins=24,
    min_equal_sizes=0.66,
    max_dispersion=0.35,
    min_windows=24,
    window=60,
)


def scores_of(case: Case, **limits: Any) -> list[dict[str, float]]:
    return [
        beacon.parts | {"score": beacon.score}
        for beacon in score_pairs(case, 10, 1_000, LIMITS._replace(**limits))
    ]


def test_intervals_give_the_weighted_total(tmp_path: Path) -> None:
    case = make_case(tmp_path, periodic(HOST, SAAS, 443, 300))
    (scores,) = scores_of(case)
    parts = [scores[name] for name in ("regularity", "sizes", "evenness", "persistence")]
    weighted = sum(w * part for w, part in zip((0.4, 0.2, 0.2, 0.2), parts, strict=True))
    assert scores["score"] == pytest.approx(weighted)
    assert parts[1:] == [1, 1, 1]
    assert scores_of(case, min_score=0.999) == []


def test_sizes_and_counts_report_on_their_own(tmp_path: Path) -> None:
    records = [
        record
        for n in range(60)
        for record in connect(HOST, SAAS, 443, T0 + n * 60, source_port=33_000 + n)
    ]
    case = make_case(tmp_path, records)
    (scores,) = scores_of(case)
    equal = 1 - 0.5 / 60**0.5
    assert scores == {
        "equal_sizes": pytest.approx(equal),
        "steady_count": 1.0,
        "score": 1.0,
    }
    (by_size,) = scores_of(case, max_dispersion=-1)
    assert by_size == {"equal_sizes": pytest.approx(equal), "score": pytest.approx(equal)}
    (by_count,) = scores_of(case, min_equal_sizes=0.99)
    assert by_count["score"] == 1.0
    assert scores_of(case, min_equal_sizes=0.99, min_windows=61) == []
    assert scores_of(case, min_check_ins=61) == []
