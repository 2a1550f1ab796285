"""The detectors, in the order in which they run. A new detector is a new file and a line here."""

from __future__ import annotations

from functools import cache

from flowbench.detect.base import REGISTRY, Detector
from flowbench.detect.detectors import (
    beacon,
    blind_spot,
    brute_force,
    contact,
    exfiltration,
    geography,
    lateral_movement,
    long_connection,
    mining,
    rare_peer,
    scan,
    segmentation,
    service_abuse,
    spike,
)

MODULES = (
    beacon,
    blind_spot,
    brute_force,
    contact,
    exfiltration,
    geography,
    lateral_movement,
    long_connection,
    mining,
    rare_peer,
    scan,
    segmentation,
    service_abuse,
    spike,
)


@cache
def registered() -> dict[str, Detector]:
    """Every detector by its id."""
    return dict(sorted(REGISTRY.items()))
