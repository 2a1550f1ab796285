"""DNS queries in the timeline."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowbench.detect import Findings
from flowbench.investigate import pivot
from flowbench.investigate.timeline.names import dns_rows
from flowbench.investigate.timeline.scope import scope_of_pivot
from tests.incident_case import HOST, POOL, WEB, dns_query
from tests.traffic import T0, connect, make_case


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory):
    lines = [dns_query(T0 + 300 * n) for n in range(6)]
    lines.append(dns_query(T0, host=WEB, name="other.example."))
    lines.append(
        dns_query(T0 + 5, name="gone.pool.example.") | {"answers": [], "rcode": "NXDOMAIN"}
    )
    folder = tmp_path_factory.mktemp("names")
    return make_case(folder, connect(HOST, POOL, 443, T0), json_lines=lines)


def details(case, about: str) -> list[str]:
    scope = scope_of_pivot(case, pivot.resolve(case, about), Findings())
    return [event.detail for event in dns_rows(case, scope)]


def test_queries_of_a_domain(case) -> None:
    assert details(case, "pool.example") == [
        f"{HOST} resolved eu.pool.example to {POOL} (6 queries, every 5.0 min).",
        f"{HOST} queried gone.pool.example: NXDOMAIN.",
    ]


def test_names_that_led_to_an_address(case) -> None:
    assert details(case, POOL) == [
        f"{HOST} resolved eu.pool.example to {POOL} (6 queries, every 5.0 min).",
        f"{WEB} resolved other.example to {POOL}.",
    ]


def test_a_case_without_queries(tmp_path: Path) -> None:
    assert details(make_case(tmp_path, connect(HOST, POOL, 443, T0)), POOL) == []
