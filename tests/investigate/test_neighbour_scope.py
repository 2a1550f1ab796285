"""The connections of a scope: of a period, of a filter, without intermediate devices."""

from __future__ import annotations

import pandas as pd
import pytest

from flowbench.case import Case
from flowbench.errors import InputError
from flowbench.investigate.neighbour_scope import Scope, summaries_in
from tests.traffic import T0, connect, make_case, reject

WEB, MATCH, SCANNER = "10.0.0.5", "203.0.113.50", "198.18.0.1"


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    records = [*connect(WEB, MATCH, 443, T0 + 7200), reject(SCANNER, WEB, 22, T0 + 60)]
    return make_case(tmp_path_factory.mktemp("scope"), records)


def ends(case: Case, scope: Scope) -> set[tuple[str, str]]:
    with summaries_in(case, scope) as summaries:
        rows = summaries.select("initiator", "responder").to_pyarrow().to_pylist()
    return {(row["initiator"], row["responder"]) for row in rows}


@pytest.mark.parametrize(
    ("since", "until", "where", "match", "scanned"),
    [
        (None, None, "", True, True),
        (3600, None, " ", True, False),
        (None, 3600, "", False, True),
        (0, 7201, "", True, True),
        (0, 7201, "dport = 22", False, True),
        (None, None, "not rejected", True, False),
    ],
)
def test_a_scope_has_its_connections_only(case, since, until, where, match, scanned) -> None:
    times = [
        None if n is None else pd.Timestamp(T0 + n, unit="s", tz="UTC") for n in (since, until)
    ]
    found = ends(case, Scope((), (), *times, where=where))
    assert ((WEB, MATCH) in found, (SCANNER, WEB) in found) == (match, scanned)


def test_a_wrong_filter_is_refused(case) -> None:
    with pytest.raises(InputError, match="the filter is wrong"):
        ends(case, Scope((), where="dport"))
