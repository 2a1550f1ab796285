"""Tactics of API calls, by the rules of the detector."""

from __future__ import annotations

import pytest

from flowbench.investigate.tactics import ORDER, classify, rank


@pytest.mark.parametrize(
    ("name", "tactic", "technique"),
    [
        ("CreateAccessKey", "Persistence", "T1098.001"),
        ("AttachUserPolicy", "Privilege escalation", "T1098.003"),
        ("StopLogging", "Defense evasion", "T1562.008"),
        ("DescribeInstances", "Discovery", None),
        ("ConsoleLogin", "Initial access", "T1078.004"),
        ("TagResource", "Other", None),
    ],
)
def test_tactics(name: str, tactic: str, technique: str | None) -> None:
    assert classify(name) == (tactic, technique)


def test_a_version_in_the_name_does_not_matter() -> None:
    assert classify("UpdateFunctionCode20150331v2") == classify("UpdateFunctionCode")


def test_reading_comes_last_and_persistence_first() -> None:
    assert rank("CreateUser") == 0
    assert rank("FilterLogEvents", read_only=True) == len(ORDER) - 1
    assert rank("TagResource") < rank("ListBuckets")
