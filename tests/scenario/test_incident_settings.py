"""Parameters of incidents: well-formed ranges, and evaluation apart from development."""

from __future__ import annotations

from dataclasses import fields

import pytest

from flowbench.scenario.incident_settings import DEVELOPMENT, JUDGED, SETTINGS


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_ranges_are_ordered(name) -> None:
    settings = SETTINGS[name]
    for field in fields(settings):
        if field.type == "Range":
            least, most = getattr(settings, field.name)
            assert 0 <= least <= most, field.name
    assert 0 < settings.agent_share[1] <= 1


def test_evaluation_differs_from_development() -> None:
    assert SETTINGS == {"development": DEVELOPMENT, "judged": JUDGED}
    assert JUDGED.internal_prefix != DEVELOPMENT.internal_prefix
    assert JUDGED.external_prefix != DEVELOPMENT.external_prefix
    assert set(JUDGED.mining_ports) - set(DEVELOPMENT.mining_ports)
