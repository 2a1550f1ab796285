"""Addresses of API callers that occur in flow logs, with their principals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from flowbench.case import Case
from flowbench.enrich import principals
from tests.incident_case import api_event
from tests.traffic import T0, connect, make_case, reject

HOST, CALLER, CALLER_6 = "10.0.0.5", "192.0.2.66", "2001:db8:9::66"
EVE = "arn:aws:iam::111122223333:user/eve"
ADA = "arn:aws:iam::111122223333:user/ada"


def rows_of(case: Case) -> list[dict[str, Any]]:
    return case.principal_addresses.to_pyarrow().to_pylist()


def at(seconds: int) -> pd.Timestamp:
    return pd.Timestamp(T0 + seconds, unit="s", tz="UTC")


def test_each_principal_of_an_address_with_its_keys_and_calls(tmp_path: Path) -> None:
    records = [*connect(CALLER, HOST, 22, T0), *connect(CALLER, HOST, 22, T0 + 600, source_port=9)]
    events = [
        api_event("e1", "CreateUser", T0 - 900, arn=ADA, key="AKIAADA"),
        api_event("e2", "ListUsers", T0 - 600, key="AKIAEVE2", error="AccessDenied"),
        api_event("e3", "ListBuckets", T0 + 60, key="AKIAEVE1"),
        api_event("e4", "ListBuckets", T0, ip="192.0.2.99"),  # in no flow log
        api_event("e5", "ListBuckets", T0, ip="ec2.amazonaws.com"),
    ]
    ada, eve = rows_of(make_case(tmp_path, records, json_lines=events))
    assert list(eve) == principals.TABLE.columns
    assert (ada["principal_name"], ada["calls"], ada["failed_calls"]) == ("ada", 1, 0)
    assert (eve["address"], eve["principal_name"], eve["principal_arn"]) == (CALLER, "eve", EVE)
    assert (eve["access_keys"], eve["calls"], eve["failed_calls"]) == (
        ["AKIAEVE1", "AKIAEVE2"],
        2,
        1,
    )
    assert (eve["first_call"], eve["last_call"]) == (at(-600), at(60))
    assert (eve["first_seen"], eve["last_seen"], eve["connections"]) == (at(0), at(659), 2)


@pytest.mark.parametrize(
    "spelling", [CALLER_6, "2001:DB8:9::66", "2001:0db8:0009:0000:0000:0000:0000:0066"]
)
def test_every_spelling_of_an_ipv6_address(tmp_path: Path, spelling: str) -> None:
    records = connect(CALLER_6, "2001:db8:1::5", 22, T0)
    case = make_case(tmp_path, records, json_lines=[api_event("e1", "X", T0, ip=spelling)])
    (row,) = rows_of(case)
    assert (row["address"], row["calls"]) == (CALLER_6, 1)


def test_an_address_that_a_host_opens_connections_to_or_that_was_rejected(tmp_path: Path) -> None:
    records = [*connect(HOST, CALLER, 443, T0), reject("192.0.2.67", HOST, 22, T0)]
    events = [api_event("e1", "X", T0), api_event("e2", "X", T0, ip="192.0.2.67")]
    case = make_case(tmp_path, records, json_lines=events)
    assert [row["address"] for row in rows_of(case)] == [CALLER, "192.0.2.67"]
    found = case.sql("SELECT address, calls FROM principal_addresses ORDER BY address")
    assert found["calls"].tolist() == [1, 1]


def test_a_case_without_either(tmp_path: Path) -> None:
    case = make_case(tmp_path / "flows", connect(CALLER, HOST, 22, T0))
    assert rows_of(case) == []
    empty = Case.create(tmp_path / "empty")
    assert empty.principal_addresses.columns == tuple(principals.TABLE.columns)
