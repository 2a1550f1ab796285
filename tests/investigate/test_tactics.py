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
        ("AssumeRole", "Privilege escalation", "T1078.004"),
        ("GetObject", "Collection", "T1530"),
        ("PutObject", "Other", None),
    ],
)
def test_tactics(name: str, tactic: str, technique: str | None) -> None:
    assert classify(name) == (tactic, technique)


def test_a_version_in_the_name_does_not_matter() -> None:
    assert classify("UpdateFunctionCode20150331v2") == classify("UpdateFunctionCode")


def test_persistence_comes_first_then_privileges_discovery_evasion_and_data() -> None:
    calls = ["CreateUser", "AttachUserPolicy", "ListBuckets", "StopLogging", "GetSecretValue"]
    assert [rank(name) for name in calls] == [0, 1, 2, 3, 4]
    assert rank("FilterLogEvents", read_only=True) == rank("ListBuckets")
    assert rank("TagResource") == len(ORDER) - 1
