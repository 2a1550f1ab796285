"""The traffic of an intruder; each step adds its facts to the key."""

from __future__ import annotations

from collections.abc import Sequence

from flowbench.scenario.exercises.recorder import Recorder
from flowbench.scenario.network import Host
from flowbench.scenario.traffic import Connection

_WORDS = "amber birch cobalt drift ember frost gale hollow iris jade kestrel loom".split()


def invent_domain(recorder: Recorder, *kinds: str) -> str:
    """Return a domain of the intruder's, and note it as an indicator."""
    rng = recorder.rng
    words = [rng.choice(_WORDS), rng.choice(kinds or _WORDS)]
    domain = f"{rng.choice(['eu1', 'cdn', 'api', 'n2'])}.{'-'.join(words)}.example"
    recorder.indicator("domain", domain, "a domain of the intruder")
    return domain


def open_session(
    recorder: Recorder, source: str, host: Host, at: float, *, port: int = 22
) -> float:
    """Add an administrative session from an external address, and return when it ended."""
    seconds = recorder.rng.uniform(400, 1_500)
    _add_shell(recorder, source, host.address, port, at, seconds)
    recorder.fact("traffic", "administrative session", source, host.address, at)
    recorder.indicator("address", source, "logged in to a host")
    recorder.involve(host.address)
    return at + seconds


def open_internal_session(recorder: Recorder, host: Host, other: Host, at: float) -> float:
    """Add a session from one host to another, and return when it ended."""
    seconds = recorder.rng.uniform(300, 900)
    _add_shell(recorder, host.address, other.address, 22, at, seconds)
    recorder.fact("traffic", "internal session", host.address, other.address, at)
    recorder.involve(host.address, other.address)
    return at + seconds


def _add_shell(
    recorder: Recorder, source: str, host: str, port: int, at: float, seconds: float
) -> None:
    sent = int(seconds * recorder.rng.uniform(40, 80))
    recorder.connect(
        source,
        host,
        port,
        at,
        seconds=seconds,
        bytes_out=sent,
        bytes_in=4 * sent,
        packet_bytes=130,
    )


def mine(recorder: Recorder, host: Host, at: float, until: float) -> list[Connection]:
    """Add a miner's connections to a pool, which disconnects it now and then."""
    rng = recorder.rng
    pool, port = recorder.organisation.take_address(), rng.choice([3333, 4444, 5555, 7777, 14444])
    domain = invent_domain(recorder, "pool", "mining", "hash")
    recorder.look_up(host, domain, pool, at - 2)
    recorder.fact("dns", "DNS query", host.address, domain, at - 2)
    recorder.fact("traffic", "mining begins", host.address, pool, at)
    recorder.indicator("address", pool, "a mining pool")
    added = []
    while at < until - 60:
        seconds = min(rng.uniform(3, 7) * 3_600, until - at)
        added.append(
            recorder.connect(
                host.address,
                pool,
                port,
                at,
                seconds=seconds,
                bytes_out=int(seconds / 60 * 410),
                bytes_in=int(seconds / 60 * 530),
                packet_bytes=130,
            )
        )
        at += seconds + rng.uniform(8, 25)
    end = added[-1].start + added[-1].seconds
    recorder.fact("traffic", "mining ends", host.address, pool, end)
    recorder.alert(host, "CryptoCurrency:EC2/BitcoinTool.B", added, 8.0)
    return added


def beacon(recorder: Recorder, host: Host, at: float, until: float) -> str:
    """Add check-ins with a server of the intruder's, and return its address."""
    rng = recorder.rng
    server, port = recorder.organisation.take_address(), rng.choice([443, 8443, 8080])
    domain = invent_domain(recorder, "update", "sync", "telemetry")
    interval = rng.uniform(120, 300) * recorder.difficulty.quiet
    jitter = rng.uniform(0.02, 0.1) * recorder.difficulty.quiet
    recorder.look_up(host, domain, server, at - 1)
    recorder.fact("dns", "DNS query", host.address, domain, at - 1)
    recorder.indicator("address", server, "a command and control server")
    added = []
    while at < until - 10:
        sizes = {"bytes_out": rng.randrange(480, 560), "bytes_in": rng.randrange(900, 1_400)}
        added.append(recorder.connect(host.address, server, port, at, seconds=2, **sizes))
        at += interval * rng.uniform(1 - jitter, 1 + jitter)
    recorder.fact("traffic", "beaconing begins", host.address, server, added[0].start)
    recorder.fact("traffic", "beaconing ends", host.address, server, added[-1].start + 2)
    recorder.alert(host, "Backdoor:EC2/C&CActivity.B", added, 8.0)
    recorder.involve(host.address)
    return server


def try_services(
    recorder: Recorder, host: Host, services: Sequence[tuple[Host, int]], at: float
) -> float:
    """Add rejected attempts to connect to internal services, and return when they ended."""
    rng = recorder.rng
    for target, port in services:
        recorder.fact("traffic", "rejected attempts", host.address, target.address, at)
        for _ in range(4):
            recorder.connect(host.address, target.address, port, at, rejected=True, attempts=3)
            at += rng.uniform(4, 60)
    return at


def send_out(
    recorder: Recorder, host: Host, at: float, size: float, *, parts: int = 3, gap: float = 600
) -> str:
    """Add a large transfer to a server of the intruder's, and return the server's address."""
    rng = recorder.rng
    server = recorder.organisation.take_address()
    domain = invent_domain(recorder, "files", "drop", "share")
    recorder.look_up(host, domain, server, at - 1)
    recorder.fact("dns", "DNS query", host.address, domain, at - 1)
    recorder.fact("traffic", "data transfer", host.address, server, at)
    recorder.indicator("address", server, "received the data")
    for _ in range(parts):
        sent = int(size / parts * rng.uniform(0.9, 1.1))
        recorder.connect(
            host.address,
            server,
            443,
            at,
            seconds=rng.uniform(200, 400),
            bytes_out=sent,
            bytes_in=sent // 90,
            packet_bytes=1_400,
        )
        at += gap * rng.uniform(0.9, 1.3)
    recorder.involve(host.address)
    return server


def scan(
    recorder: Recorder, source: str, targets: Sequence[str], ports: Sequence[int], at: float
) -> float:
    """Add attempts at ports of hosts, all rejected, and return when they ended."""
    rng = recorder.rng
    recorder.fact("traffic", "scan", source, None, at)
    is_internal = source in recorder.organisation.network.by_address
    attempts = [(target, port) for target in targets for port in ports]
    rng.shuffle(attempts)
    for target, port in attempts:
        source_port = None if is_internal else rng.randrange(40_000, 62_000)
        recorder.connect(source, target, port, at, source_port=source_port, rejected=True)
        at += rng.uniform(0.2, 2)
    if not is_internal:
        recorder.indicator("address", source, "scanned the network")
    return at


def guess_passwords(recorder: Recorder, source: str, host: Host, at: float) -> float:
    """Add failed logins by SSH, and return when they ended."""
    rng = recorder.rng
    recorder.fact("traffic", "login attempts", source, host.address, at)
    for _ in range(int(rng.uniform(150, 300))):
        recorder.connect(
            source,
            host.address,
            22,
            at,
            source_port=rng.randrange(30_000, 62_000),
            seconds=rng.uniform(1.5, 4),
            bytes_out=rng.randrange(1_900, 2_300),
            bytes_in=rng.randrange(2_500, 2_900),
            packet_bytes=160,
        )
        at += rng.uniform(3, 9)
    recorder.indicator("address", source, "guessed passwords")
    return at
