"""Sentences about internal services: outcome, names and baseline."""

from __future__ import annotations

import pandas as pd
import pytest

from flowbench.detect.baseline import find_baseline
from flowbench.detect.internal_services import baseline_note, describe_outcome, list_services
from flowbench.enrich.inventory import AssignmentLookup
from tests.traffic import interface, make_case

BEGIN = pd.Timestamp("2026-09-01", tz="UTC")


@pytest.mark.parametrize(
    ("rejected", "connections", "sentence"),
    [
        (1, 1, "It was rejected"),
        (4, 4, "All were rejected"),
        (1, 4, "1 was rejected, none was answered"),
        (1_200, 4_000, "1,200 were rejected, none was answered"),
    ],
)
def test_the_outcome_of_attempts(rejected: int, connections: int, sentence: str) -> None:
    rows = pd.DataFrame({"rejected": [rejected], "connections": [connections]})
    assert describe_outcome(rows) == sentence


def test_services_are_named_with_their_hosts_and_the_rest_is_counted(tmp_path) -> None:
    case = make_case(tmp_path, [], interfaces=[interface("10.0.0.9", "files")])
    rows = pd.DataFrame(
        {
            "responder": "10.0.0.9",
            "service_port": range(5000, 5010),
            "protocol": 6,
            "first_seen": BEGIN,
            "connections": range(1, 11),
        }
    )
    lookup = AssignmentLookup(case.address_assignments, rows["responder"])
    text = list_services(rows, lookup, "attempt")
    assert text.startswith("files 10.0.0.9 5000/tcp (http-dev): 1 attempt; files 10.0.0.9 5001")
    assert text.endswith("5007/tcp: 8 attempts and 2 more")


def test_the_note_says_why_there_is_no_baseline() -> None:
    long = find_baseline(BEGIN, BEGIN + pd.Timedelta(days=4))
    assert "The baseline is the first 2.0 days of the logs" in baseline_note(long, None, 345_600)
    assert "The logs show the host for 40.0 min, too short" in baseline_note(None, 2_400, 345_600)
    assert "The logs span 24.0 h, too short for a baseline" in baseline_note(None, None, 86_400)
