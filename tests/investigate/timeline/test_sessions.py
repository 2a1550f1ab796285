"""Administrative sessions in the timeline: rows, principals, and the lines that they cite."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from flowbench import detect
from flowbench.investigate import timeline
from flowbench.investigate.timeline.sessions import session_rows
from flowbench.schema import DEFAULT_FORMAT
from tests.incident_case import api_event
from tests.traffic import FIELDS, T0, Record, connect, make_case

HOST, CALLER, POOL = "10.0.0.5", "192.0.2.66", "203.0.113.50"


def session(at: int = T0, *, port: int = 22, window: int = 60, n: int = 0) -> list[Record]:
    return list(
        connect(
            CALLER, HOST, port, at, seconds=600, source_port=50_000 + n, window=window,
            packets=4 * window, out=42_000, back=190_000,
        )
    )  # fmt: skip


@pytest.mark.parametrize(("window", "fields"), [(60, FIELDS), (600, DEFAULT_FORMAT)])
@pytest.mark.parametrize("port", [22, 3389])
def test_a_session_with_its_principals_and_first_line(tmp_path: Path, port, window, fields) -> None:
    other = list(connect(HOST, POOL, 443, T0))
    events = [
        api_event("e1", "CreateUser", T0 - 900, arn="arn:aws:iam::111122223333:user/ada"),
        api_event("e2", "RunInstances", T0 - 600),
    ]
    records = [*other, *session(port=port, window=window)]
    case = make_case(tmp_path, records, json_lines=events, fields=fields)
    (row,) = session_rows(case, [HOST])
    assert (row.actor, row.object, row.activity) == (CALLER, HOST, "Administrative session")
    assert row.time == pd.Timestamp(T0, unit="s", tz="UTC")
    assert row.detail.startswith(f"{CALLER} held 1 administrative session on {port}/tcp (")
    assert row.detail.endswith("From this address ada, eve called the AWS API.")
    assert row.line == len(other) + 2  # after the header
    assert row.evidence_id in set(case.evidence["evidence_id"])
    assert list(session_rows(case, [CALLER])) == [row]
    assert list(session_rows(case, [POOL])) == []


def test_many_sessions_of_one_address_share_a_row(tmp_path: Path) -> None:
    often = [r for n in range(9) for r in session(T0 + 3_600 * n, n=n)]
    twice = [r for n in (20, 21) for r in session(T0 + 3_600 * n, port=3389, n=n)]
    case = make_case(tmp_path, [*often, *twice])
    first, *others = session_rows(case, [HOST])
    assert "held 9 administrative sessions on 22/tcp (ssh)" in first.detail
    assert (first.end - first.time).total_seconds() > 8 * 3_600
    assert ["held 1 administrative session on 3389" in row.detail for row in others] == [True] * 2


def test_the_session_before_the_mining_stands_in_the_hosts_timeline(tmp_path: Path) -> None:
    mining = connect(HOST, POOL, 3333, T0 + 1_200, seconds=9 * 3_600, out=230_000, back=270_000)
    case = make_case(tmp_path, [*session(), *mining])
    findings = detect.run(case, only=["mining"])  # without the detector of sessions
    for about in (None, HOST):
        events = timeline.build(case, about, findings)
        assert list(events["activity"]) == [
            "Administrative session",
            "First accepted connection",
            "Crypto-mining traffic",
        ]
        row = events.iloc[0]
        assert (row["actor"], row["object"], row["line"]) == (CALLER, HOST, 2)
        assert row["end"] == pd.Timestamp(T0 + 659, unit="s", tz="UTC")
    of_caller = timeline.build(case, CALLER, findings)
    assert list(of_caller["activity"]) == ["Administrative session", "Connections"]
    assert set(of_caller["actor"]) == {CALLER}


def test_a_case_without_sessions(tmp_path: Path) -> None:
    case = make_case(tmp_path, connect(CALLER, HOST, 22, T0))
    assert list(session_rows(case, [HOST])) == []
