"""The usual traffic of a generated scenario, in which an incident is to be found."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

from flowbench.scenario.daily_traffic import DAY, HOUR
from flowbench.scenario.exercises.recorder import Recorder
from flowbench.scenario.network import Host

_SCANNED_PORTS = (22, 23, 80, 443, 445, 3306, 3389, 5432, 6379, 8080, 9200)


def add_usual_traffic(recorder: Recorder) -> None:
    """Add customers, agents, backups, developers and internet scans."""
    for source in (_customers, _agents, _nightly, _developers, _internet_scans):
        source(recorder, random.Random(f"{recorder.organisation.seed}/{source.__name__}"))


def call_service(
    recorder: Recorder, host: Host, kind: str, at: float, sent: int, received: int, **more: object
) -> None:
    """Add a host's connection to a service of another organisation, after a look-up of its name.

    Args:
        recorder: The scenario.
        host: The initiator.
        kind: First label of the service's name.
        at: Epoch seconds.
        sent: Bytes.
        received: Bytes.
        more: Fields of traffic.Connection; port.
    """
    services = recorder.organisation.services
    name = next(name for name in services if name.startswith(f"{kind}."))
    if int(at) % 3 == 0:  # otherwise the answer is cached
        recorder.look_up(host, name, services[name], at - 0.3)
    port = int(str(more.pop("port", 443)))
    recorder.connect(
        host.address, services[name], port, at, bytes_out=sent, bytes_in=received, **more
    )


def _times(
    recorder: Recorder, rng: random.Random, period: float, jitter: float = 0.02
) -> Iterator[float]:
    organisation = recorder.organisation
    period /= recorder.difficulty.load
    at = organisation.first + rng.random() * period
    while at < organisation.last - 60:
        yield at + rng.uniform(0, jitter) * period
        at += period


def _customers(recorder: Recorder, rng: random.Random) -> None:
    """Web clients, through the load balancer to web, app and data, by the time of day."""
    organisation = recorder.organisation
    web, app = organisation.with_role("web"), organisation.with_role("app")
    balancer = organisation.with_role("alb")[0]
    stores = [host for host in organisation.with_role("rds") if host.vpc_id == balancer.vpc_id]
    at = float(organisation.first)
    while at < organisation.last - 60:
        hour = at % DAY / DAY
        busy = 0.55 - 0.45 * math.cos((hour - 0.125) * 2 * math.pi)
        at += rng.expovariate(busy * recorder.difficulty.load / 240)
        client = f"198.18.{rng.randrange(256)}.{rng.randrange(1, 255)}"
        server, worker, store = rng.choice(web), rng.choice(app), rng.choice(stores)
        size = int(rng.lognormvariate(9.5, 1.0))
        recorder.connect(
            client, balancer.address, 443, at, bytes_in=size, source_port=rng.randrange(1024, 61000)
        )
        recorder.connect(balancer.address, server.address, 8080, at + 0.1, bytes_in=size)
        recorder.connect(server.address, worker.address, 8443, at + 0.2, bytes_in=size // 3)
        recorder.connect(worker.address, store.address, 5432, at + 0.3, bytes_in=size // 4)


def _agents(recorder: Recorder, rng: random.Random) -> None:
    """Agents for metrics, clocks and Systems Manager: periodic and benign."""
    organisation = recorder.organisation
    servers = [host for host in organisation.hosts if host.instance]
    balancers = {host.vpc_id: host for host in organisation.with_role("alb")}
    endpoints = {host.vpc_id: host for host in organisation.with_role("endpoint")}
    for host in servers:
        for at in _times(recorder, rng, 1_200):
            call_service(recorder, host, "metrics", at, 2_600 + rng.randrange(400), 900)
        for at in _times(recorder, rng, 2_048, 0.003):
            call_service(
                recorder, host, "clock", at, 76, 76, port=123, protocol=17, source_port=123
            )
        for at in _times(recorder, rng, 1_800):
            endpoint = endpoints[host.vpc_id].address
            recorder.connect(host.address, endpoint, 443, at, bytes_out=1_900, bytes_in=5_200)
        if host.role in ("web", "ci"):
            balancer = balancers[host.vpc_id].address
            for at in _times(recorder, rng, 1_200, 0.001):
                recorder.connect(balancer, host.address, 8080, at, bytes_out=420, bytes_in=380)


def _nightly(recorder: Recorder, rng: random.Random) -> None:
    """Packages each day, and backups to object storage each night."""
    organisation = recorder.organisation
    for day in range(organisation.first, organisation.last, DAY):
        for host in (host for host in organisation.hosts if host.instance):
            at, size = day + rng.uniform(4, 6) * HOUR, int(rng.lognormvariate(14, 1))
            call_service(recorder, host, "packages", at, 9_000, size, seconds=20)
        for host in organisation.with_role("batch", "ci"):
            at, size = day + 2 * HOUR + rng.uniform(0, 600), int(rng.gauss(3e9, 2e8))
            call_service(
                recorder, host, "storage", at, size, size // 90, seconds=1_200, packet_bytes=1_400
            )


def _developers(recorder: Recorder, rng: random.Random) -> None:
    """Working hours: SSH through the bastion, git, test databases, web services."""
    organisation = recorder.organisation
    (bastion,) = organisation.with_role("bastion")
    boxes = organisation.with_role("devbox", "ci")
    stores = [host for host in organisation.with_role("rds") if host.vpc_id == bastion.vpc_id]
    for day in range(organisation.first, organisation.last, DAY):
        for _ in range(4):
            at, seconds = day + rng.uniform(8, 17) * HOUR, rng.uniform(300, 2_000)
            shell = {"seconds": seconds, "bytes_out": int(seconds * 60), "packet_bytes": 130}
            shell["bytes_in"] = 4 * shell["bytes_out"]
            box = rng.choice(boxes)
            recorder.connect(organisation.office, bastion.address, 22, at, **shell)
            recorder.connect(bastion.address, box.address, 22, at + 2, **shell)
        for _ in range(int(60 * recorder.difficulty.load)):
            at, host = day + rng.uniform(8, 18) * HOUR, rng.choice(boxes)
            size = int(rng.lognormvariate(10, 1.6))
            kind = rng.choice(["git", "widgets", "store"])
            if kind == "store":
                recorder.connect(host.address, rng.choice(stores).address, 5432, at, bytes_in=size)
            else:
                call_service(recorder, host, kind, at, 3_000, size, seconds=4)


def _internet_scans(recorder: Recorder, rng: random.Random) -> None:
    """Scans from the internet: many sources, mostly rejected.

    A NAT gateway has no security group and drops unsolicited packets; the bastion's allows SSH from
    anywhere, while the host's own firewall does not.
    """
    organisation = recorder.organisation
    days = (organisation.last - organisation.first) / DAY
    for host in (host for host in organisation.hosts if host.public):
        for _ in range(int(days * 120 * recorder.difficulty.load)):
            at = rng.uniform(organisation.first, organisation.last - 60)
            source = f"198.19.{rng.randrange(256)}.{rng.randrange(1, 255)}"
            port = rng.choice(_SCANNED_PORTS) if rng.random() < 0.7 else rng.randrange(1, 65_000)
            is_open = host.role == "alb" and port == 443
            drops = host.role == "nat" or (host.role == "bastion" and port == 22)
            recorder.connect(
                source,
                host.address,
                port,
                at,
                source_port=rng.randrange(40_000, 62_000),
                seconds=0.2,
                bytes_out=700 if is_open else 60,
                bytes_in=500,
                rejected=not (is_open or drops),
                answered=is_open,
            )
