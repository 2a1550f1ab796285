"""Filter expressions on the cube: the same answer as on connections, or none."""

from __future__ import annotations

import pytest

from flowbench.case import Case
from flowbench.investigate import where
from tests.incident_case import HOST, POOL, make_incident_case


@pytest.fixture(scope="module")
def case(tmp_path_factory) -> Case:
    return make_incident_case(tmp_path_factory.mktemp("cube"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"ip = {HOST} and not dst = {POOL}",
        "src in 10.0.0.0/8 and dport in (22, 3000-4000)",
        "dst in ::/0 or service = ssh",
        "proto != tcp or rejected",
        "action = reject and answered = no",
        "direction in (inbound, internal) and not intermediate",
        "indicator = mining",
        "domain = pool.example",
        "src.internal and not dst.internal",
        "start >= 2026-09-01T01:00 and start < 2026-09-01T12:00",
        "time = 2026-09-01T01",
        "end > 2026-09-01T02",
        "start < 1990-01-01",
        "country = DE or owner ~ x",
    ],
)
def test_the_cube_answers_as_the_connections_do(case: Case, text: str) -> None:
    condition = where.cube_condition(case, text)
    assert condition is not None
    counted = case.cube.cells.filter(condition).connections.sum().fill_null(0).execute()
    assert counted == where.filter_connections(case, text).count().execute()


@pytest.mark.parametrize(
    "text",
    [
        "bytes > 1",
        "packets_in = 3",
        "records > 1",
        "sport = 22",
        "duration > 5m",
        "interface = eni-a",
        "rejected and start >= 2026-09-01T01:00:01",
        "time = 2026-09-01T01:00:01",
        "vpc = vpc-1",  # an address had several assignments
    ],
)
def test_what_it_cannot_answer(case: Case, text: str) -> None:
    assert where.cube_condition(case, text) is None


def test_a_wrong_filter_is_an_error(case: Case) -> None:
    with pytest.raises(where.FilterError):
        where.cube_condition(case, "prot = tcp")
