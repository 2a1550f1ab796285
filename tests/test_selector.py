"""Selectors: written as JSON and read back; other JSON is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pandas as pd
import pytest

from flowbench.errors import InputError
from flowbench.selector import ApiEventSelector, DnsSelector, EvidenceSelector

SELECTOR = EvidenceSelector(
    subject="10.0.1.10",
    peers=("198.51.100.7", "198.51.100.8"),
    ports=(443,),
    protocol=6,
    first_seen=datetime(2026, 9, 1, 3, tzinfo=UTC),
    last_seen=datetime(2026, 9, 1, 4, 0, 0, 250_000, tzinfo=UTC),
)


def test_a_selector_is_written_as_the_evidence_of_findings() -> None:
    assert json.loads(SELECTOR.to_json()) == {
        "subject": "10.0.1.10",
        "peers": ["198.51.100.7", "198.51.100.8"],
        "ports": [443],
        "protocol": 6,
        "from": "2026-09-01T03:00:00+00:00",
        "until": "2026-09-01T04:00:00.250000+00:00",
    }


@pytest.mark.parametrize(
    "selector",
    [
        SELECTOR,
        EvidenceSelector("internet", targets=("10.0.1.10", "10.0.1.11")),
        EvidenceSelector("flow logs", interfaces=("eni-0a",), log_status="SKIPDATA"),
        EvidenceSelector(
            "d.marlow",
            flows=False,
            api_events=ApiEventSelector(
                ("e-1", "e-2"),
                ("d.marlow",),
                ("CreateUser",),
                ("198.51.100.7",),
                ("AKIAEXAMPLE",),
                datetime(2026, 9, 1, 3, tzinfo=UTC),
                datetime(2026, 9, 1, 4, tzinfo=UTC),
            ),
        ),
        EvidenceSelector(
            "10.0.1.10",
            ("198.51.100.7",),
            api_events=ApiEventSelector(source_ips=("198.51.100.7",)),
            dns=DnsSelector(
                ("pool.example",), ("10.0.1.10",), ("TXT",), ("NXDOMAIN",), SELECTOR.first_seen
            ),
        ),
    ],
)
def test_a_selector_is_read_back_equal(selector) -> None:
    assert EvidenceSelector.from_json(selector.to_json()) == selector


def test_times_of_pandas_are_written_the_same() -> None:
    times = (pd.Timestamp(SELECTOR.first_seen), pd.Timestamp(SELECTOR.last_seen))
    same = EvidenceSelector(
        SELECTOR.subject, SELECTOR.peers, SELECTOR.ports, SELECTOR.protocol, *times
    )
    assert same.to_json() == SELECTOR.to_json()


@pytest.mark.parametrize(
    "change",
    [
        {"subject": None},
        {"subject": ["10.0.1.10"]},
        {"peers": "198.51.100.7"},
        {"peers": [1]},
        {"ports": ["443"]},
        {"ports": [True]},
        {"protocol": "tcp"},
        {"from": "yesterday"},
        {"from": "2026-09-01T03:00:00"},  # without a time zone
        {"until": 1_788_232_200},
        {"targets": {}},
        {"status": 1},
        {"api_events": ["e-1"]},
        {"api_events": {}},  # would select every event
        {"api_events": {"event_ids": "e-1"}},
        {"api_events": {"event_ids": ["e-1"], "first_seen": "yesterday"}},
        {"dns": {"domains": [1]}},
        {"dns": {"domains": []}},
    ],
)
def test_a_selector_with_values_of_other_types_is_refused(change) -> None:
    text = json.dumps(json.loads(SELECTOR.to_json()) | change)
    with pytest.raises(InputError, match="not the evidence of a finding"):
        EvidenceSelector.from_json(text)


@pytest.mark.parametrize(
    "text", ["", "[]", "1", "{}", "[" * 100_000, '{"subject": "10.0.1.10"}', None]
)
def test_what_is_no_selector_is_refused(text) -> None:
    with pytest.raises(InputError, match="not the evidence of a finding"):
        EvidenceSelector.from_json(text)


@pytest.mark.parametrize("kind", [ApiEventSelector, DnsSelector])
def test_a_selector_of_everything_is_refused(kind) -> None:
    with pytest.raises(ValueError, match="would select everything"):
        kind(last_seen=SELECTOR.last_seen)
