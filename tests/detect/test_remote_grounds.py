"""Severity from grounds, and the quarter that shows what is usual."""

from __future__ import annotations

import pandas as pd
import pytest

from flowbench.detect.remote_grounds import (
    Evidence,
    Ground,
    combine_severity,
    explain_contacts,
    find_grounds,
    first_quarter,
)

BEGIN = pd.Timestamp("2026-09-01 00:00Z")
ROWS = pd.DataFrame({"host": ["10.0.0.5"], "peer": ["198.51.100.40"], "is_public": [False]})
KEY = ("10.0.0.5", "198.51.100.40")
CALLS = pd.DataFrame(
    {
        "principal_name": ["eve", None],
        "principal_arn": ["arn:eve", "arn:two"],
        "calls": [3, 1],
        "failed_calls": [1, 0],
        "first_call": [BEGIN, BEGIN],
        "last_call": [BEGIN, BEGIN + pd.Timedelta(hours=1)],
        "is_new": [False, True],
        "is_known": [False, False],
    }
)


@pytest.mark.parametrize(
    ("severities", "expected"),
    [
        ([], "low"),
        (["medium"], "medium"),
        (["medium", "medium"], "medium"),
        (["high"], "high"),
        (["high", "medium"], "critical"),
        (["high", "high"], "critical"),
    ],
)
def test_two_grounds_with_a_high_one_are_critical(severities: list[str], expected: str) -> None:
    assert combine_severity([Ground("x", name, "") for name in severities]) == expected


AFTERWARDS = Ground("afterwards", "high", "")


@pytest.mark.parametrize(
    ("other", "severity"),
    [
        ([AFTERWARDS, Ground("failures", "high", "")], "medium"),
        ([AFTERWARDS, Ground("api_calls", "medium", "")], "high"),
        ([Ground("failures", "high", "")], "high"),  # its session did not come before
        ([AFTERWARDS], "high"),
    ],
)
def test_another_source_explains_contacts_better(other: list[Ground], severity: str) -> None:
    weighed = explain_contacts({KEY: [AFTERWARDS], (KEY[0], "192.0.2.9"): other})
    assert [ground.severity for ground in weighed[KEY]] == [severity]
    assert weighed[KEY[0], "192.0.2.9"] == other
    alone = explain_contacts({KEY: [AFTERWARDS], ("10.0.0.6", "192.0.2.9"): other})
    assert alone[KEY] == [AFTERWARDS]


@pytest.mark.parametrize(("hours", "expected"), [(24, 6), (96, 24), (23.9, None), (0, None)])
def test_the_first_quarter_of_a_day_or_more(hours: float, expected: float | None) -> None:
    quarter = first_quarter(BEGIN, BEGIN + pd.Timedelta(hours=hours))
    assert quarter == (None if expected is None else BEGIN + pd.Timedelta(hours=expected))
    assert first_quarter(pd.NaT, BEGIN) is None
    assert first_quarter(None, None) is None


def grounds(rows: pd.DataFrame = ROWS, **known: object) -> list[Ground]:
    nothing: dict[str, object] = {name: {} for name in Evidence._fields}
    evidence = Evidence(**nothing | known)  # type: ignore[arg-type]
    return list(find_grounds(rows, evidence, 6))


def test_calls_name_the_principals() -> None:
    (ground,) = grounds(calls={KEY[1]: CALLS})
    assert ground[:2] == ("api_calls", "high")
    assert ground.sentence == (
        "From the same address, eve and arn:two made 4 API calls from 2026-09-01 00:00 to"
        " 2026-09-01 01:00 UTC; 1 failed or were denied."
    )
    (ground,) = grounds(calls={KEY[1]: CALLS.head(1)})
    assert ground.severity == "medium"
    assert grounds(calls={KEY[1]: CALLS.assign(is_known=True)}) == []


def test_failures_are_counted() -> None:
    (ground,) = grounds(failures={KEY: 12})
    assert ground[:2] == ("failures", "high")
    assert "opened 12 connections that look like failed logins." in ground.sentence


@pytest.mark.parametrize(("kind", "severity"), [("tor", "high"), ("scanner", "medium")])
def test_indicators_by_their_kind(kind: str, severity: str) -> None:
    (ground,) = grounds(indicators={KEY: pd.DataFrame({"kind": [kind], "feed": ["list-a"]})})
    assert ground.severity == severity
    assert ground.sentence == f"Indicator match: category {kind}, list list-a."


def test_new_ports_are_stated_only_without_worse_contacts() -> None:
    new = {"responder": "203.0.113.7", "service_port": 6667, "protocol": 6, "at": BEGIN}
    pool = {"responder": "203.0.113.8", "service_port": 3333, "protocol": 6, "at": BEGIN}
    rows = pd.DataFrame([new | {"ground": "new port"}, pool | {"ground": "pool port"}])
    (ground,) = grounds(contacts={KEY: rows})
    assert ground[:2] == ("afterwards", "high")
    assert ground.sentence == (
        "Within 6 h of a session, 10.0.0.5 first connected to 203.0.113.8 on 3333/tcp (stratum)"
        ", a port that mining pools use, at 2026-09-01 00:00 UTC."
    )
    (ground,) = grounds(contacts={KEY: rows.head(1)})
    assert ground.severity == "medium"
    assert (
        "203.0.113.7 on 6667/tcp (irc), a port that the host had not used before" in ground.sentence
    )
    assert grounds(ROWS.assign(is_public=True), contacts={KEY: rows}) == []
