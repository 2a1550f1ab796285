"""Indicator matches of peers: by time, by direction, once each."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from flowbench.detect.indicators import has_match, match_peers
from tests.traffic import T0, connect, make_case

HOST, OTHER, C2, CLEAN = "10.0.0.5", "10.0.0.6", "198.51.100.9", "203.0.113.200"
LIST = f"indicator,kind,feed\n{C2},c2,a\n{C2},c2,b\n198.51.100.0/24,scanner,c\n"
COLUMNS = ["subject", "peer", "service_port", "kind", "indicator", "feed"]


def test_each_combination_is_given_once_in_order(tmp_path: Path) -> None:
    records = [*connect(OTHER, C2, 443, T0), *connect(HOST, C2, 8443, T0 + 60)]
    matches = match_peers(make_case(tmp_path, records, indicators=LIST), [C2, CLEAN, C2])
    assert list(matches.columns) == COLUMNS
    assert matches.to_numpy().tolist() == [
        [HOST, C2, 8443, "c2", C2, "a"],
        [HOST, C2, 8443, "c2", C2, "b"],
        [HOST, C2, 8443, "scanner", "198.51.100.0/24", "c"],
        [OTHER, C2, 443, "c2", C2, "a"],
        [OTHER, C2, 443, "c2", C2, "b"],
        [OTHER, C2, 443, "scanner", "198.51.100.0/24", "c"],
    ]


def test_the_subject_is_the_internal_end_in_either_direction(tmp_path: Path) -> None:
    case = make_case(tmp_path, connect(C2, HOST, 22, T0), indicators=LIST)
    assert set(match_peers(case, [C2])["subject"]) == {HOST}


@pytest.mark.parametrize(("until", "count"), [("2026-08-31", 0), ("2026-09-30", 1)])
def test_only_connections_in_the_validity_period_match(
    tmp_path: Path, until: str, count: int
) -> None:
    text = f"indicator,kind,feed,valid_until\n{C2},c2,list,{until}\n"
    case = make_case(tmp_path, connect(HOST, C2, 443, T0), indicators=text)
    assert len(match_peers(case, [C2])) == count


def test_nothing_matches_without_indicators_or_peers(tmp_path: Path) -> None:
    plain = make_case(tmp_path / "1", connect(HOST, C2, 443, T0))
    assert list(match_peers(plain, [C2]).columns) == COLUMNS
    assert match_peers(plain, [C2]).empty
    listed = make_case(tmp_path / "2", connect(HOST, C2, 443, T0), indicators=LIST)
    assert match_peers(listed, []).empty


def test_pairs_keep_their_index(tmp_path: Path) -> None:
    records = [*connect(HOST, C2, 443, T0), *connect(OTHER, CLEAN, 443, T0)]
    case = make_case(tmp_path, records, indicators=LIST)
    subjects = pd.Series([HOST, OTHER, OTHER], index=[7, 8, 9])
    peers = pd.Series([C2, C2, CLEAN], index=[7, 8, 9])
    assert has_match(case, subjects, peers).to_dict() == {7: True, 8: False, 9: False}
