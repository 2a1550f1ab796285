"""Names, addresses and times of the Winterday scenario, on which all its evidence agrees."""

from __future__ import annotations

from flowbench.scenario.daily_traffic import DAY, HOUR
from flowbench.scenario.network import Host, subnet

SEED = 20260901
FIRST = 1_788_220_800  # 2026-09-01 00:00:00 UTC, a Tuesday
LAST = FIRST + 3 * DAY

POOL, POOL_PORT = "198.51.100.77", 3333
POOL_NAMES = ("eu1.deep-thaw-pool.example", "deep-thaw-pool.example")
TOR, TOR_PORT, BEACON_MINUTES = "192.0.2.211", 9001, 5
ATTACKER = "192.0.2.66"
ATTACKER_USER_AGENT = "aws-cli/2.15.30 Python/3.11.8 Linux/6.6.9-amd64 exe/x86_64.kali.2024"

ROGUE_USER, ROGUE_KEY = "svc-nightly-sync", "AKIAEXAMPLEROGUE0001"
DEVELOPER, DEVELOPER_KEY = "d.marlow", "AKIAEXAMPLEMARLOW001"
RESPONDER, RESPONDER_KEY = "s.okafor", "AKIAEXAMPLEOKAFOR001"

# A name that nobody notices beside the others of its network.
ROGUE_NAME = "dev-batch-3"
MINER = Host(
    "dev-rogue",
    "10.40.0.203",
    subnet("dev", "public-a"),
    "rogue",
    public="203.0.113.99",
    group="default",
    tags={"Name": ROGUE_NAME, "env": "dev", "owner": "nobody", "app": "batch"},
)

USER_CREATED = FIRST + 19 * HOUR + 12 * 60 + 9
INSTANCE_STARTED = FIRST + DAY + 2 * HOUR + 5 * 60 + 12
# The pool's name is looked up two seconds before. The session begins a second after a capture
# window of the instance, so that no record of the pool begins before its look-up.
MINING_START = INSTANCE_STARTED + 25 * 60 + 2
SESSION_START, SESSION_PORT = MINING_START - 20 * 60, 22
BEACON_START = MINING_START + 5 * 60
INSTANCE_STOPPED = FIRST + 2 * DAY + 16 * HOUR + 41 * 60 + 30
