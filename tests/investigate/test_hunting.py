"""The questions of a hunter as methods of a case."""

from __future__ import annotations

import pandas as pd
import pytest

import flowbench as fb
from flowbench.investigate import hunting
from tests import documentation
from tests.conftest import ROOT
from tests.investigate.hunting_case import DATABASE, HOSTILE, IMPOSTOR, LATE, REASSIGNED, WEB, WEB6


def test_the_public_case_has_them(tmp_path) -> None:
    case = fb.Case.create(tmp_path / "case")
    assert type(case) is fb.Case is hunting.Case
    tables = [case.traffic(), case.peers(), case.find("10.0.0.0/8")]
    assert [table.count().execute() for table in tables] == [0, 0, 0]
    assert case.between("10.0.0.0/8", "192.0.2.1").count().execute() == 0
    assert case.top("host", "day").empty


@pytest.mark.parametrize(
    ("given", "addresses"),
    [
        ({"hosts": "10.0.0.0/23"}, [WEB, DATABASE]),
        ({"cidr": "2001:db8::/32"}, [WEB6]),
        ({"tag": "env=prod", "cidr": "10.0.0.0/8"}, [WEB, DATABASE]),
        ({"name": IMPOSTOR}, [HOSTILE]),
        ({"hosts": IMPOSTOR, "name": "db"}, [DATABASE]),
        ({"instance": "i-1"}, [REASSIGNED]),
        ({"cidr": "192.0.2.0/24"}, []),
    ],
)
def test_hosts_are_found(hunting_case, given, addresses) -> None:
    rows = hunting_case.find(**given)
    assert rows.address.to_pyarrow().to_pylist() == addresses
    assert rows.columns == hunting_case.addresses.columns


def test_nothing_to_find_is_an_error(hunting_case) -> None:
    with pytest.raises(fb.InputError, match=r"no host is given: write case\.find"):
        hunting_case.find()
    with pytest.raises(fb.InputError, match="no host has name = webb; the nearest: web"):
        hunting_case.find(name="webb")


def test_between_two_groups_whoever_opened_it(hunting_case) -> None:
    def ends(*given: str) -> list[tuple[str, str]]:
        rows = hunting_case.between(*given).select("initiator", "responder").to_pyarrow()
        return [(row["initiator"], row["responder"]) for row in rows.to_pylist()]

    assert ends("subnet-b", "subnet-a") == [(WEB, DATABASE)]
    assert ends("tag:env = prod", "subnet-c", "rejected") == [(HOSTILE, DATABASE)] * 3
    assert ends("web", LATE) == [(LATE, WEB)]


def test_peers_and_sums(hunting_case) -> None:
    new = hunting_case.peers("web", first_seen_after="2026-09-02")
    assert new.peer.to_pyarrow().to_pylist() == [LATE]
    assert hunting_case.top("service_port", measure="rejected")["service_port"][0] == 5432


def test_the_examples_of_the_page_run(hunting_case) -> None:
    ((_language, text),) = documentation.blocks(ROOT / "docs" / "hunting.md")
    for line in text.splitlines():
        answer = eval(line, {"case": hunting_case})
        rows = answer if isinstance(answer, pd.DataFrame) else answer.limit(1).to_pandas()
        assert len(rows), line
