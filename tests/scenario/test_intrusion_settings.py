"""Parameters of generated intrusions: the judged ones differ from those for development."""

from __future__ import annotations

from dataclasses import asdict

from flowbench.scenario.intrusion_settings import DEVELOPMENT, JUDGED


def test_judged_networks_have_other_addresses_and_other_ranges() -> None:
    development, judged = asdict(DEVELOPMENT), asdict(JUDGED)
    same = {name for name, value in development.items() if judged[name] == value}
    assert same == {"fast_seconds", "fast_hours"}
    prefixes = {"internal_prefix", "external_prefix"}
    assert all(development["network"][name] != judged["network"][name] for name in prefixes)
    for settings in (DEVELOPMENT, JUDGED):
        assert settings.public_prefix != settings.network.external_prefix
        # A campaign, six of beacons, a session, a twin, two of DNS, two sweeps: all on other hosts.
        assert settings.network.hosts[0] >= settings.bots[1] + 12
