"""Parameters of generated incidents, for development and for evaluation.

DEVELOPMENT is for making and tuning detectors, JUDGED for measuring them. JUDGED differs in more
than its seeds: larger networks with other addresses, other intervals and shares of agents, services
with more addresses, and incidents from other distributions and ports. Do not tune on JUDGED.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

Range = tuple[float, float]  # least, most


@dataclass(frozen=True)
class Settings:
    """The ranges that a network and its incidents are drawn from."""

    internal_prefix: str  # the first two octets of internal addresses
    external_prefix: str  # of external addresses, in the benchmark range (RFC 2544)
    hosts: Range
    days: tuple[int, ...]
    agents: Range  # kinds of agent that connect to external services
    agent_minutes: Range
    agent_share: Range  # of hosts that run an agent
    service_addresses: Range  # of an external service
    own_services: tuple[int, ...]  # periodic services of a single host
    browsing: Range  # sites that a workstation visits, each at its own rate
    noise: Range  # scanning sources on the internet
    probes: Range  # attempts of each
    beacons: Range
    beacon_minutes: Range
    beacon_hours: Range
    jitter: Range  # share of the interval
    jitter_kinds: tuple[str, ...]  # grid: around fixed times; sleep: of each gap; early: shorter
    beacon_ports: tuple[int, ...]
    miners: Range
    mining_hours: Range
    mining_bytes: Range  # out, per minute
    mining_ratio: Range  # in to out
    mining_messages: Range  # per minute
    mining_ports: tuple[int, ...]
    exfiltrations: Range
    exfiltration_days: Range  # multiples of a usual day's bytes
    exfiltration_ports: tuple[int, ...]
    internal_scans: Range
    inbound_scans: Range
    scan_targets: Range
    scan_ports: Range
    scan_minutes: Range
    brute_forces: Range
    brute_attempts: Range
    brute_gap: Range  # seconds between attempts
    brute_ports: tuple[int, ...]


DEVELOPMENT = Settings(
    internal_prefix="10.20",
    external_prefix="198.18",
    hosts=(25, 40),
    days=(1, 2, 3),
    agents=(3, 5),
    agent_minutes=(4, 15),
    agent_share=(0.3, 1.0),
    service_addresses=(1, 4),
    own_services=(0, 0, 1),
    browsing=(8, 20),
    noise=(1_500, 3_000),
    probes=(1, 3),
    beacons=(3, 5),
    beacon_minutes=(2, 60),
    beacon_hours=(24, 72),
    jitter=(0.0, 0.3),
    jitter_kinds=("grid", "sleep"),
    beacon_ports=(443, 80, 8080),
    miners=(1, 2),
    mining_hours=(4, 30),
    mining_bytes=(100, 600),
    mining_ratio=(0.7, 2.0),
    mining_messages=(3, 10),
    mining_ports=(443, 3333, 14444),
    exfiltrations=(1, 2),
    exfiltration_days=(5, 20),
    exfiltration_ports=(443, 22),
    internal_scans=(1, 2),
    inbound_scans=(1, 2),
    scan_targets=(12, 40),
    scan_ports=(15, 200),
    scan_minutes=(1, 60),
    brute_forces=(1, 2),
    brute_attempts=(100, 1_500),
    brute_gap=(1, 20),
    brute_ports=(22, 3389),
)

JUDGED = replace(
    DEVELOPMENT,
    internal_prefix="172.21",
    external_prefix="198.19",
    hosts=(30, 55),
    days=(1, 3),
    agents=(2, 7),
    agent_minutes=(2, 30),
    agent_share=(0.15, 0.9),
    service_addresses=(1, 8),
    own_services=(0, 0, 0, 1),
    browsing=(5, 25),
    noise=(2_000, 4_000),
    probes=(1, 4),
    beacons=(3, 6),
    jitter_kinds=("grid", "sleep", "early"),
    beacon_ports=(443, 80, 8443, 53, 4443),
    mining_hours=(3, 40),
    mining_bytes=(100, 1_000),
    mining_ratio=(0.5, 2.0),
    mining_messages=(2, 14),
    mining_ports=(443, 80, 4444, 5555, 45700, 20535),
    exfiltrations=(1, 3),
    exfiltration_days=(5, 40),
    exfiltration_ports=(443, 22, 21, 8443),
    scan_targets=(15, 60),
    scan_ports=(15, 1_000),
    scan_minutes=(0.2, 600),
    brute_attempts=(60, 3_000),
    brute_gap=(0.3, 45),
    brute_ports=(22, 3389, 21, 5900),
)

SETTINGS = {"development": DEVELOPMENT, "judged": JUDGED}
