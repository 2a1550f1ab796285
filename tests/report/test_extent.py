"""Bytes sent to external addresses, and how long the logs are silent after an incident."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from flowbench.case import Case
from flowbench.report.extent import describe_end, describe_outbound, sum_outbound
from tests.incident_case import api_event
from tests.traffic import T0, connect, make_case

HOST, OTHER, PEER, CALLER = "10.0.0.5", "10.0.0.6", "203.0.113.9", "192.0.2.66"


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """The host sends to a peer and answers a caller; another host sends to the peer too."""
    records = [
        *connect(HOST, PEER, 443, T0, out=7_000, back=100),
        *connect(CALLER, HOST, 22, T0, out=300, back=2_000),
        *connect(OTHER, PEER, 443, T0, out=999_999, back=100),
        *connect(OTHER, HOST, 443, T0 + 7260, out=1, back=1),
    ]
    calls = [
        api_event("e1", "ListBuckets", T0 + 60, ip=CALLER),
        api_event("e2", "ListBuckets", T0 + 3 * 3600 + 60, ip="198.51.100.1"),
    ]
    folder = tmp_path_factory.mktemp("extent") / "case"
    return make_case(folder, records, json_lines=calls)


def test_bytes_by_peer_whichever_end_opened_the_connection(case: Case) -> None:
    sent = sum_outbound(case, [HOST], [CALLER, PEER, "192.0.2.99"])
    assert list(sent.items()) == [(PEER, 7_000), (CALLER, 2_000)]
    assert describe_outbound(case, sent) == (
        "9.0 kB to 2 external addresses of the findings. Flow logs do not show which data."
    )


def test_nothing_sent_and_nothing_logged(case: Case, tmp_path: Path) -> None:
    assert sum_outbound(case, [], [PEER]) == sum_outbound(case, [HOST], []) == {}
    assert describe_outbound(case, {}).startswith("no traffic of the hosts with external addresses")
    empty = Case.create(tmp_path / "empty")
    assert describe_outbound(empty, {}) == "unknown: the case has no flow logs"


def test_silence_after_the_last_connection_and_call(case: Case) -> None:
    end = case.span[1]
    assert end is not None
    assert describe_end(case, at(T0 + 60), [CALLER]) == [
        "Last connection 2026-09-01 00:01 UTC, 2.0 h before the end of flow logs.",
        "Last API call from the external addresses 2026-09-01 00:01 UTC, 3.0 h before the end of"
        " CloudTrail.",
        "The evidence does not show whether it is over.",
    ]
    assert describe_end(case, end, [PEER])[0].endswith(", at the end of flow logs.")
    assert describe_end(case, None, []) == ["The evidence does not show whether it is over."]
