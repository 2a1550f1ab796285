"""Destinations of several hosts in short logs: backups, files of people, and what is neither."""

from __future__ import annotations

from pathlib import Path

import ibis
import pandas as pd
import pytest

from flowbench.case import Case
from flowbench.detect.common_destinations import drop_common
from tests.traffic import T0, connect, make_case

BEGIN = pd.Timestamp(T0, unit="s", tz="UTC")
END = BEGIN + pd.Timedelta(days=1)
PEER = "203.0.113.50"


def transfers(
    hosts: int, *, early: int, slots: int = 2, apart: float = 0, peer: str = PEER
) -> pd.DataFrame:
    """One transfer of each host to one address, so many hours after the one before."""
    begins = [BEGIN + pd.Timedelta(hours=8 + n * apart) for n in range(hosts)]
    return pd.DataFrame(
        {
            "host": [f"10.0.0.{n + 1}" for n in range(hosts)],
            "peer": peer,
            "sent": 14_000_000,
            "first_seen": begins,
            "last_seen": [begin + pd.Timedelta(minutes=20) for begin in begins],
            "early": early,
            "slots": slots,
        }
    )


def kept(case: Case, rows: pd.DataFrame) -> int:
    return len(drop_common(case, rows, ibis.memtable(rows.drop(columns="slots")), END))


@pytest.fixture
def servers(tmp_path: Path) -> Case:
    """Hosts that visit nothing."""
    return make_case(tmp_path, connect("10.0.0.1", PEER, 443, T0))


@pytest.fixture
def workstations(tmp_path: Path) -> Case:
    """Four hosts that each visit ten sites of their own."""
    records = [
        record
        for host in range(1, 5)
        for site in range(10)
        for hour in (1, 2, 3)
        for record in connect(
            f"10.0.0.{host}",
            f"198.{18 + host}.{site}.9",
            443,
            T0 + hour * 3600 + site * 60,
            source_port=40_000 + site * 10 + hour,
            out=900,
            back=90_000,
        )
    ]
    return make_case(tmp_path, records)


@pytest.mark.parametrize(("early", "left"), [(0, 12), (3, 12), (4, 0)])
def test_a_destination_of_the_first_quarter_is_common(servers: Case, early: int, left: int) -> None:
    assert kept(servers, transfers(12, early=early)) == left


def test_many_hosts_do_not_hide_a_new_destination(servers: Case) -> None:
    assert kept(servers, transfers(12, early=0, apart=1)) == 12


@pytest.mark.parametrize(
    ("hosts", "apart", "slots", "left"),
    [
        (4, 2, 2, 0),  # over six hours, a few files each
        (4, 1, 2, 4),  # within three hours
        (3, 3, 2, 3),
        (4, 2, 30, 4),  # for hours
    ],
)
def test_files_of_people_are_few_and_hours_apart(
    workstations: Case, hosts: int, apart: float, slots: int, left: int
) -> None:
    assert kept(workstations, transfers(hosts, early=0, apart=apart, slots=slots)) == left
