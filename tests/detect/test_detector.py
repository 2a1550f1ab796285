"""The metadata of a detector."""

from __future__ import annotations

import dataclasses

import pytest

from flowbench.detect.detector import Detector


def test_addresses_and_times_are_needed_unless_stated() -> None:
    detector = Detector(id="x", title="X", question="?", technique="T1071")
    assert detector.needs == {"srcaddr", "dstaddr", "start", "end"}
    assert detector.tables == frozenset()
    with pytest.raises(dataclasses.FrozenInstanceError):
        detector.id = "y"  # type: ignore[misc]
