"""Parameters of generated anomalies, for development and for evaluation.

As in ``incident_settings``, DEVELOPMENT is for making and tuning detectors, JUDGED for measuring
them. In LOOKALIKE the anomalies have the shape of benign traffic: rare peers and countries get the
byte ratio of browsing, long connections that of chats. It shows the limits of detectors by shape.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from flowbench.scenario.incident_settings import Range


@dataclass(frozen=True)
class AnomalySettings:
    """The ranges that anomalies are drawn from."""

    network: str  # a name in ``incident_settings.SETTINGS``
    days: tuple[int, ...]
    new_prefix: str  # the first two octets of addresses without earlier traffic
    services: Range  # targets of lateral movement
    service_connections: Range  # to each
    peer_connections: Range
    peer_bytes: Range  # out, per connection
    country_connections: Range
    spike_bytes: Range
    spike_connections: Range
    spike_rejected: Range
    session_hours: Range
    session_rate: Range  # bytes per minute, both directions
    api_calls: Range
    gap_minutes: Range
    new_sites: Range  # that a person visits in a day
    # Bytes out to bytes in of a rare peer, a rare country and a long connection.
    byte_ratios: tuple[float, float, float] = (3, 0.4, 2)


DEVELOPMENT = AnomalySettings(
    network="development",
    days=(3, 4),
    new_prefix="198.19",
    services=(1, 8),
    service_connections=(1, 10),
    peer_connections=(3, 30),
    peer_bytes=(1_000, 500_000),
    country_connections=(2, 30),
    spike_bytes=(2e8, 2e9),
    spike_connections=(2_000, 6_000),
    spike_rejected=(400, 2_000),
    session_hours=(5, 20),
    session_rate=(500, 50_000),
    api_calls=(5, 60),
    gap_minutes=(45, 600),
    new_sites=(0, 2),
)
JUDGED = replace(
    DEVELOPMENT,
    network="judged",
    days=(3, 5, 6),
    new_prefix="198.18",
    services=(1, 12),
    service_connections=(1, 30),
    peer_connections=(1, 100),
    peer_bytes=(300, 5_000_000),
    country_connections=(1, 60),
    spike_bytes=(1.2e8, 5e9),
    spike_connections=(1_200, 9_000),
    spike_rejected=(250, 4_000),
    session_hours=(4.2, 40),
    session_rate=(100, 500_000),
    api_calls=(2, 200),
    gap_minutes=(35, 1_200),
    new_sites=(0, 4),
)
LOOKALIKE = replace(DEVELOPMENT, byte_ratios=(0.04, 0.04, 0.25))
SETTINGS = {"development": DEVELOPMENT, "judged": JUDGED, "lookalike": LOOKALIKE}
