"""Filter expressions on the address inventory."""

from __future__ import annotations

import pytest

from flowbench.investigate import where
from flowbench.investigate.host_conditions import at_side
from tests.investigate.hunting_case import DATABASE, HOSTILE, OUT6, POOL, REASSIGNED, WEB, WEB6


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("ip in (10.0.0.0/23, 2001:db8::/32)", [WEB, DATABASE, WEB6]),
        ("tag:env = prod", [WEB, DATABASE, WEB6]),
        ('tag:"cost center"', [DATABASE]),
        ("tag:env and tag:env != prod", [HOSTILE]),
        ("interface = eni-web", [WEB, WEB6]),
        ("instance = i-2", [REASSIGNED]),
        ("instance in (i-1, i-2)", [REASSIGNED, REASSIGNED]),
        ("domain = pool.example or indicator = tor", [POOL]),
        ("indicator = mining and not internal", [POOL]),
        ("not internal and ip in ::/0", [OUT6]),
        ("country = DE", []),
    ],
)
def test_rows_of_the_inventory(hunting_case, text, addresses) -> None:
    rows = where.filter_inventory(hunting_case, at_side(where.parse(text), "src"))
    found = rows.order_by("address", "interface_id").address.to_pyarrow().to_pylist()
    assert found == addresses


def test_each_assignment_of_an_address_is_judged_by_itself(hunting_case) -> None:
    rows = where.filter_inventory(hunting_case, where.parse("src.instance = i-1"))
    assert rows.interface_id.to_pyarrow().to_pylist() == ["eni-old"]
