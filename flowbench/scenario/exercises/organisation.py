"""The organisation of a generated scenario: its network, people and services, drawn from a seed."""

from __future__ import annotations

import ipaddress
import random
from dataclasses import dataclass, field

from flowbench.scenario import cloudtrail
from flowbench.scenario.daily_traffic import DAY
from flowbench.scenario.network import SERVICE_INTERFACES, Host, Network, Subnet, make_id

_FIRST_DAY = 1_767_571_200  # 2026-01-05 00:00:00 UTC
_NAMES = "harbour meadow quarry lantern orchard granite juniper estuary foundry marigold".split()
_PEOPLE = (
    "a.lindqvist b.okoro c.duarte d.marlow e.tanaka f.rossi g.haddad h.novak i.petrov j.keller"
    " k.mensah l.moreau m.silva n.bakker o.farah p.jansen r.costa s.okafor t.virtanen u.brandt"
).split()
_SERVICES = ("metrics", "licence", "packages", "git", "clearing", "storage", "widgets", "clock")
_OWN_TIERS = {"public": 0, "app": 16, "data": 32}


@dataclass(frozen=True)
class Difficulty:
    """How much a scenario's evidence holds beside its facts.

    Attributes:
        two_vpcs: Whether there is a second VPC.
        servers: Of each kind in a VPC.
        load: Factor of the usual traffic.
        oddities: Number of benign oddities.
        days: Of the logs.
        quiet: Factor of the intruder's intervals; his volumes are divided by it.
        alerts: Share of the GuardDuty findings that there are.
    """

    two_vpcs: bool
    servers: int
    load: float
    oddities: int
    days: int
    quiet: float
    alerts: float


DIFFICULTIES = {
    "easy": Difficulty(False, 2, 0.5, 1, 2, 1.0, 1.0),
    "normal": Difficulty(True, 2, 1.0, 2, 2, 1.5, 1.0),
    "hard": Difficulty(True, 3, 1.5, 4, 3, 2.5, 0.5),
}


@dataclass(frozen=True)
class Person:
    """An employee with an IAM user and an access key."""

    name: str
    key: str


@dataclass
class Organisation:
    """The network and people of a scenario; addresses and names are handed out once each."""

    rng: random.Random
    seed: str
    name: str
    first: int
    last: int
    hosts: list[Host]
    people: list[Person]
    services: dict[str, str] = field(default_factory=dict)  # name to address
    _addresses: list[str] = field(default_factory=list)

    @property
    def network(self) -> Network:
        """The network."""
        return Network(self.hosts)

    @property
    def office(self) -> str:
        """The address that employees call from."""
        return self.services["office"]

    @property
    def responder(self) -> Person:
        """The one who contains incidents."""
        return self.people[0]

    def take_address(self) -> str:
        """Return an external address that nothing else has."""
        return self._addresses.pop()

    def with_role(self, *roles: str) -> list[Host]:
        """Return the hosts with one of the roles."""
        return [host for host in self.hosts if host.role in roles]

    def pick(self, *roles: str) -> Host:
        """Return a host with one of the roles."""
        return self.rng.choice(self.with_role(*roles))

    def at(self, day: float, hour: float) -> float:
        """Return a time within a quarter of an hour after an hour of a day of the logs."""
        return self.first + day * DAY + hour * 3_600 + self.rng.uniform(0, 900)


def make_key(name: str, seed: str) -> str:
    """Return an example long-term access key, AKIA…."""
    digits = cloudtrail.event_id(name, seed).replace("-", "")[:9].upper()
    return f"AKIAEXAMPLE{digits}"


def build(seed: str, difficulty: Difficulty, days: int) -> Organisation:
    """Draw an organisation.

    Args:
        seed: Of all its random choices.
        difficulty: Decides about its size.
        days: Of the logs.
    """
    rng = random.Random(f"{seed}/organisation")
    addresses = [
        f"{prefix}.{number}"
        for prefix in ("192.0.2", "198.51.100", "203.0.113")  # documentation ranges (RFC 5737)
        for number in range(1, 255)
    ]
    rng.shuffle(addresses)
    first = _FIRST_DAY + rng.randrange(200) * DAY
    name = rng.choice(_NAMES)
    people = [Person(each, make_key(each, seed)) for each in rng.sample(_PEOPLE, 5)]
    organisation = Organisation(rng, seed, name, first, first + days * DAY, [], people)
    organisation._addresses = addresses
    organisation.services = {"office": addresses.pop()} | {
        f"{each}.{rng.choice(_NAMES)}.example": addresses.pop() for each in _SERVICES
    }
    octets = rng.sample(range(10, 250), 2)
    for env, octet in zip(("prod", "dev")[: 1 + difficulty.two_vpcs], octets, strict=False):
        organisation.hosts += _hosts_of(organisation, env, octet, difficulty)
    return organisation


def _hosts_of(
    organisation: Organisation, env: str, octet: int, difficulty: Difficulty
) -> list[Host]:
    """Return the hosts of a VPC; the bastion is in the last one."""
    more = difficulty.servers
    has_bastion = env == "dev" or not difficulty.two_vpcs
    roles = [("nat", "public", 1), ("alb", "public", 1), ("endpoint", "app", 1)]
    roles += [("rds", "data", 2), ("efs", "data", 1)]
    if env == "prod":
        roles += [("web", "app", more), ("app", "app", more), ("batch", "app", 1)]
    if has_bastion:
        roles += [("bastion", "public", 1), ("devbox", "app", more), ("ci", "app", 1)]
    used: set[str] = set()
    return [
        make_host(organisation, env, octet, role, tier, str(number), used)
        for role, tier, count in roles
        for number in range(1, count + 1)
    ]


def make_host(
    organisation: Organisation,
    env: str,
    octet: int,
    role: str,
    tier: str,
    label: str,
    used: set[str],
) -> Host:
    """Return a host with an address that ``used`` lacks, which is then added to it."""
    rng, name = organisation.rng, f"{organisation.name}-{env}-{role}-{label}"
    cidr = f"10.{octet}.{_OWN_TIERS[tier]}.0/24"
    vpc = f"{organisation.seed}/{env}"  # ids are made from it
    subnet = Subnet(f"{vpc}/{tier}", cidr, vpc, "a", public=tier == "public")
    free = [str(a) for a in list(ipaddress.ip_network(cidr).hosts())[9:] if str(a) not in used]
    address = rng.choice(free)
    used.add(address)
    details = dict(SERVICE_INTERFACES.get(role, {}))
    if role == "nat":
        details["description"] = f"Interface for NAT Gateway {make_id('nat', vpc, name)}"
    elif role == "alb":
        details["description"] = f"ELB app/{name}/{make_id('x', vpc, name)[3:]}"
    elif role == "efs":
        mount = f"{make_id('fs', vpc)} ({make_id('fsmt', vpc, name)})"
        details["description"] = f"EFS mount target for {mount}"
    elif role == "endpoint":
        details["description"] = f"VPC Endpoint Interface {make_id('vpce', vpc, name)}"
    tags = {} if "requester" in details else {"Name": name, "env": env, "app": role}
    public = organisation.take_address() if subnet.public else None
    return Host(
        f"{organisation.seed}/{name}",
        address,
        subnet,
        role,
        public=public,
        group=f"{env}-{role}",
        tags=tags,
        **details,
    )
