"""The detectors, in the order in which they run: a new one is a file and a line here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from flowbench.detect.detector import Detector
from flowbench.detect.detectors import (
    api_abuse,
    beacon,
    blind_spot,
    brute_force,
    contact,
    dns,
    exfiltration,
    geography,
    lateral_movement,
    long_connection,
    mining,
    rare_peer,
    remote_access,
    scan,
    segmentation,
    service_abuse,
    spike,
)
from flowbench.detect.finding import Finding

if TYPE_CHECKING:
    from flowbench.case import Case


class DetectorModule(Protocol):
    """The file of a detector: its metadata, and a function from a case to findings."""

    DETECTOR: Detector

    def find(self, case: Case, /) -> list[Finding]:
        """Return the findings, in any order."""


MODULES: tuple[DetectorModule, ...] = (
    api_abuse,
    beacon,
    blind_spot,
    brute_force,
    contact,
    dns,
    exfiltration,
    geography,
    lateral_movement,
    long_connection,
    mining,
    rare_peer,
    remote_access,
    scan,
    segmentation,
    service_abuse,
    spike,
)


def registered() -> dict[str, DetectorModule]:
    """Return every detector by its id."""
    return {module.DETECTOR.id: module for module in MODULES}
