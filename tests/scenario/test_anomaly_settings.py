"""Parameters of anomalies: well-formed ranges, and settings of their networks."""

from __future__ import annotations

from dataclasses import fields

import pytest

from flowbench.scenario import incident_settings
from flowbench.scenario.anomaly_settings import DEVELOPMENT, JUDGED, LOOKALIKE, SETTINGS


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_ranges_are_ordered_and_the_network_exists(name) -> None:
    settings = SETTINGS[name]
    for field in fields(settings):
        if field.type == "Range":
            least, most = getattr(settings, field.name)
            assert 0 <= least <= most, field.name
    network = incident_settings.SETTINGS[settings.network]
    assert settings.new_prefix != network.external_prefix


def test_lookalikes_differ_by_their_byte_ratios_alone() -> None:
    assert LOOKALIKE.byte_ratios != DEVELOPMENT.byte_ratios
    assert LOOKALIKE.peer_bytes == DEVELOPMENT.peer_bytes
    assert JUDGED.byte_ratios == DEVELOPMENT.byte_ratios
