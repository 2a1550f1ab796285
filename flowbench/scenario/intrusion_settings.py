"""Parameters of generated intrusions, for development and for evaluation.

As in ``incident_settings``, DEVELOPMENT is for making and tuning detectors, JUDGED for measuring
them: it has other addresses, ports, intervals, sizes and counts. Do not tune on JUDGED.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from flowbench.scenario import incident_settings
from flowbench.scenario.incident_settings import Range, Settings


@dataclass(frozen=True)
class IntrusionSettings:
    """The ranges that intrusions and the ordinary periodic traffic are drawn from."""

    network: Settings
    public_prefix: str  # the first two octets of internal addresses of a public-range VPC
    bots: Range  # hosts of a campaign
    bot_minutes: Range
    fast_seconds: Range  # intervals of beacons with several check-ins in a window
    fast_hours: Range
    slow_hours: Range  # intervals
    varied_sizes: Range  # multiples of the smallest check-in
    beacon_ports: tuple[int, ...]
    internal_ports: tuple[int, ...]  # of beacons between internal hosts
    session_ports: tuple[int, ...]  # of an operator's session
    session_minutes: Range
    mining_ports: tuple[int, ...]
    tunnel_queries: Range
    swept: Range  # addresses without a host that a sweep tries, besides half of the hosts
    check_seconds: Range  # intervals of internal health checks
    check_targets: Range
    scrape_seconds: tuple[int, ...]  # intervals of monitoring
    scrape_targets: Range
    agent_seconds: Range  # intervals of agents of few hosts, to internal collectors
    agent_hosts: Range
    pool_sizes: Range  # connections of a pool
    pool_minutes: Range  # after which a pool opens its connections again
    cron_minutes: tuple[int, ...]
    fleet: Range  # short-lived workers of one kind
    worker_hours: Range  # lifetime of a short-lived worker
    worker_bytes: Range  # sent each minute to each collector
    backscatter: Range  # addresses whose replies a host receives, which sent nothing


DEVELOPMENT = IntrusionSettings(
    network=replace(
        incident_settings.DEVELOPMENT,
        hosts=(22, 30),
        days=(2, 3),
        noise=(400, 800),
        browsing=(5, 12),
    ),
    public_prefix="198.19",
    bots=(10, 10),
    bot_minutes=(2, 30),
    fast_seconds=(1, 60),
    fast_hours=(1, 12),
    slow_hours=(1, 12),
    varied_sizes=(1, 50),
    beacon_ports=(443, 80, 8080),
    internal_ports=(445, 8080, 4444),
    session_ports=(22, 3389),
    session_minutes=(5, 40),
    mining_ports=(3333, 14444),
    tunnel_queries=(300, 3_000),
    swept=(10, 100),
    check_seconds=(20, 90),
    check_targets=(4, 8),
    scrape_seconds=(60,),
    scrape_targets=(5, 10),
    agent_seconds=(30, 300),
    agent_hosts=(1, 3),
    pool_sizes=(3, 10),
    pool_minutes=(5, 30),
    cron_minutes=(5, 15, 60),
    fleet=(4, 8),
    worker_hours=(2, 20),
    worker_bytes=(20_000, 200_000),
    backscatter=(8, 40),
)
JUDGED = replace(
    DEVELOPMENT,
    network=replace(
        incident_settings.JUDGED, hosts=(24, 36), days=(2, 4), noise=(500, 1_000), browsing=(5, 15)
    ),
    public_prefix="198.18",
    bots=(5, 12),
    bot_minutes=(1, 60),
    slow_hours=(1, 24),
    varied_sizes=(1, 80),
    beacon_ports=(443, 80, 8443, 53, 4443, 50_050),
    internal_ports=(445, 5985, 8443, 9001),
    session_ports=(22, 3389, 5900, 5985),
    session_minutes=(3, 90),
    mining_ports=(443, 4444, 5555, 20535),
    tunnel_queries=(150, 8_000),
    swept=(5, 240),
    check_seconds=(15, 120),
    check_targets=(3, 10),
    scrape_seconds=(30, 60, 120),
    scrape_targets=(4, 15),
    agent_seconds=(20, 900),
    agent_hosts=(1, 4),
    pool_sizes=(3, 20),
    pool_minutes=(2, 60),
    cron_minutes=(1, 5, 10, 20, 30, 60),
    fleet=(3, 12),
    worker_hours=(1, 30),
    worker_bytes=(5_000, 1_000_000),
    backscatter=(5, 80),
)
SETTINGS = {"development": DEVELOPMENT, "judged": JUDGED}
