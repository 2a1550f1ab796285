"""Random labelled incidents that show against what was usual: for the detectors of the unusual.

An estate of ``background`` over several days, the second half of which brings what was not there
before: new doors, peers and countries, an hour far above the others, sessions of many hours,
credentials elsewhere, AWS services of a sudden, logs that fall silent. Beside it stands what is new
and harmless: sites a person comes upon, a country among them, an application deployed, a service
that several hosts begin to use.

As in ``incidents`` DEVELOPMENT is to make and tune detectors on, JUDGED to measure them. LOOKALIKE
gives what is planted the shape of the harmless: new peers and countries are called as people browse
and sessions take like a chat. It shows what a detector that goes by shape cannot see.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from flowbench.scenario import bulk, incidents
from flowbench.scenario.background import HOUR, Estate, Range, build, fill
from flowbench.scenario.bulk import REFUSED, Talks
from flowbench.scenario.companions import event, role
from flowbench.scenario.writer import stamp

FIRST = incidents.FIRST
USUAL, RARE = ("XA", "XB", "XC"), ("QM", "QN", "QO", "QP", "QQ", "QR", "QS", "QT")  # nobody's codes
ADMIN, DATA = (22, 3389, 5985), (5432, 3306, 6379, 2049)
COMMON, POWER = ("s3", "sts", "ssm", "logs", "dynamodb"), ("iam", "secretsmanager", "organizations")
RARER = ("sqs", "athena", "glue", "rds", "kinesis", "batch")

Fact = dict[str, Any]


@dataclass(frozen=True)
class Strength:
    """How strong what is planted is; ranges are (least, most)."""

    estate: str  # the settings of ``incidents``
    days: tuple[int, ...]
    elsewhere: str  # the first half of the addresses that are new
    doors: Range  # hosts whose doors are tried or opened
    door_times: Range
    peer_calls: Range
    peer_bytes: Range  # a call, out
    country_calls: Range
    spike_bytes: Range
    spike_calls: Range
    spike_refused: Range
    session_hours: Range
    session_rate: Range  # bytes a minute, both ways
    calls: Range  # to AWS
    gap_minutes: Range
    finds: Range  # new sites a person comes upon in a day
    out_to_in: tuple[float, float, float] = (3, 0.4, 2)  # of a new peer, a country, a session


DEVELOPMENT = Strength(
    estate="development", days=(3, 4), elsewhere="198.19", doors=(1, 8), door_times=(1, 10),
    peer_calls=(3, 30), peer_bytes=(1_000, 500_000), country_calls=(2, 30),
    spike_bytes=(2e8, 2e9), spike_calls=(2_000, 6_000), spike_refused=(400, 2_000),
    session_hours=(5, 20), session_rate=(500, 50_000), calls=(5, 60), gap_minutes=(45, 600),
    finds=(0, 2),
)  # fmt: skip
JUDGED = replace(
    DEVELOPMENT, estate="judged", days=(3, 5, 6), elsewhere="198.18", doors=(1, 12),
    door_times=(1, 30), peer_calls=(1, 100), peer_bytes=(300, 5_000_000), country_calls=(1, 60),
    spike_bytes=(1.2e8, 5e9), spike_calls=(1_200, 9_000), spike_refused=(250, 4_000),
    session_hours=(4.2, 40), session_rate=(100, 500_000), calls=(2, 200),
    gap_minutes=(35, 1_200), finds=(0, 4),
)  # fmt: skip
LOOKALIKE = replace(DEVELOPMENT, out_to_in=(0.04, 0.04, 0.25))
SETS = {"development": DEVELOPMENT, "judged": JUDGED, "lookalike": LOOKALIKE}


class Incident:
    """An estate, and what becomes of it in the second half of its days."""

    def __init__(self, seed: int, settings: str) -> None:
        self.s = SETS[settings]
        self.rng = rng = np.random.default_rng([seed, sorted(SETS).index(settings), 7])
        self.talks = Talks(rng)
        self.e = Estate(
            incidents.SETS[self.s.estate], rng, self.talks, FIRST, int(rng.choice(self.s.days))
        )
        build(self.e)
        fill(self.e)
        self.middle = FIRST + self.e.span / 2
        self.free = list(self.e.hosts[4:])  # nothing is planted on a host twice
        self.networks = list(rng.permutation(256))
        self.silent: list[tuple[int, float, float]] = []
        self.asked: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []

    def host(self, among: list[int] | None = None) -> int:
        """A host that nothing is planted on yet."""
        able = [one for one in self.free if among is None or one in among]
        (chosen,) = self.e.pick(able)
        self.free.remove(chosen)
        return chosen

    def network(self, *, rare: bool = False) -> int:
        """An address in a network that nobody here knows: /24s from 192 on lie in rare countries.

        Of those 64 each rare country has eight, one after the other.
        """
        place = next(n for n, net in enumerate(self.networks) if (net >= 192) == rare)
        net = self.networks.pop(place)
        return self.talks.address(f"{self.s.elsewhere}.{net}.{self.rng.integers(1, 255)}")

    def late(self, count: int, hours: float = 12) -> np.ndarray:
        """Moments within some hours of the second half."""
        begin = self.rng.uniform(self.middle + HOUR, FIRST + self.e.span - (hours + 1) * HOUR)
        return np.sort(begin + self.rng.uniform(0, hours * HOUR, count))

    def name(self, address: int) -> str:
        """An address as text."""
        return self.talks.addresses[address]

    def fact(self, kind: str, src: int, dst: list[int], **more: object) -> Fact:
        """What was planted, for answers.json."""
        return {"kind": kind, "src": self.name(src), "dst": sorted(map(self.name, dst)), **more}


def write(out: Path, seed: int, *, settings: str = "development", window: int = 60) -> int:
    """Write an incident's evidence, and labels.csv and answers.json beside it, into ``out``.

    Evidence: flow logs, resolver queries, CloudTrail, network interfaces, AWS's ranges (the
    addresses of agents' channels) and a list of countries (by user-assigned codes, so that none is
    accused). Otherwise as ``incidents.write``.
    """
    it = Incident(seed, settings)
    _harmless(it)
    planted = [fact for plant in PLANTS for fact in plant(it)]
    out.mkdir(parents=True, exist_ok=True)
    count = bulk.write(
        it.talks, out, first=FIRST, last=FIRST + it.e.span, window=window, flags=seed % 2 == 1,
        whole=seed % 3 != 2, silent=it.silent,
    )  # fmt: skip
    _papers(it, out)
    incidents.labels(it.talks, planted, out / "labels.csv")
    answers = {
        "scenario": f"novelties, {settings}", "seed": seed, "window": window, "days": it.e.days,
        "flow_records": count, "planted": planted,
    }  # fmt: skip
    (out / "answers.json").write_text(json.dumps(answers, indent=1) + "\n", encoding="utf-8")
    return count


def _harmless(it: Incident) -> None:
    """What is new, and nobody's business."""
    e = it.e
    for desk in e.desks:
        for _ in range(int(it.rng.poisson(it.rng.uniform(*it.s.finds) * e.days))):
            at = FIRST + it.rng.uniform(0, e.span - HOUR) + np.sort(it.rng.uniform(0, 1_800, 4))
            if len(it.networks) > 80:
                where = it.network(rare=it.rng.random() < 0.01)
                it.talks.add("found", desk, where, 443, at, out=4_000, back=e.sizes(3e5, 4))
    (server,) = e.pick(e.data)
    begin = it.middle + it.rng.uniform(0, 0.3) * e.span
    for host in e.pick(e.app, 3):  # an application that is deployed
        at = np.arange(begin, FIRST + e.span - HOUR, 900)
        it.talks.add("deployed", host, server, 3306, at, out=3_000, back=20_000, seconds=2)
    for number, host in enumerate(e.hosts[4:]):
        for service in (*COMMON, RARER[number % 2]):
            for at in FIRST + np.sort(it.rng.uniform(0, e.span, 3 * e.days)):
                _ask(it, host, service, float(at))
    for host in e.pick(e.hosts[4:], 4):  # a release
        _ask(it, host, RARER[-1], begin + float(it.rng.uniform(0, 600)))


def _doors(it: Incident) -> Iterator[Fact]:
    """Refused at inside doors; and doors opened that were not its own."""
    for refused in (True, False):
        host, count = it.host(it.e.desks), it.e.count(it.s.doors)
        targets = [one for one in it.e.pick(it.e.hosts[4:], count + 1) if one != host][:count]
        port = int(it.rng.choice(ADMIN + DATA))
        for target in targets:
            at = it.late(it.e.count(it.s.door_times), 2)
            it.talks.add(
                "lateral-movement", host, target, port, at, state=REFUSED if refused else 0,
                out=60 if refused else 30_000, back=60_000, packet=(60, 300),
                seconds=0 if refused else 60,
            )  # fmt: skip
        yield it.fact("lateral-movement", host, targets, port=port, refused=refused)


def _peer(it: Incident) -> Iterator[Fact]:
    """A network nobody knows, in a usual country, called by one host."""
    host, peer, count = it.host(), it.network(), it.e.count(it.s.peer_calls)
    size = float(np.exp(it.rng.uniform(*np.log(it.s.peer_bytes))))
    port = int(it.rng.choice([443, 80, 8443, 22]))
    it.talks.add(
        "rare-peer", host, peer, port, it.late(count), out=size, back=size / it.s.out_to_in[0]
    )
    yield it.fact("rare-peer", host, [peer], calls=count, bytes=int(size))


def _country(it: Incident) -> Iterator[Fact]:
    """A country nobody here used to reach."""
    host, peer, count = it.host(), it.network(rare=True), it.e.count(it.s.country_calls)
    it.talks.add(
        "geography", host, peer, 443, it.late(count), out=2_000, back=2_000 / it.s.out_to_in[1]
    )
    yield it.fact("geography", host, [peer], calls=count)


def _spikes(it: Incident) -> Iterator[Fact]:
    """An hour with far more sent, calls or refusals."""
    place = it.e.outside()
    for host in it.e.hosts:  # a service that all know
        it.talks.add("shared", host, place, 443, it.e.every(HOUR, 0.3), out=20_000)
    at = float(it.late(1)[0])
    host, size = it.host(), it.e.between(it.s.spike_bytes)
    it.talks.add("spike", host, place, 443, at, seconds=900, out=size, packet=(1_400, 60))
    yield it.fact("spike", host, [], what="sent", bytes=int(size))
    for what in ("calls", "refused"):
        host = it.host()
        count = it.e.count(it.s.spike_calls if what == "calls" else it.s.spike_refused)
        when = float(it.late(1)[0]) // HOUR * HOUR + np.sort(it.rng.uniform(60, 3_500, count))
        where = place if what == "calls" else it.e.pick([h for h in it.e.data if h != host])[0]
        port, state = (443, 0) if what == "calls" else (9_300, REFUSED)
        it.talks.add("spike", host, where, port, when, state=state, packet=(60, 300), out=120)
        yield it.fact("spike", host, [], what=what, count=count)


def _sessions(it: Incident) -> Iterator[Fact]:
    """A session of many hours with one outside address."""
    host, peer = it.host(), it.e.outside()
    hours = min(it.e.between(it.s.session_hours), it.e.span / HOUR - 2)
    begin = FIRST + it.rng.uniform(0.5, it.e.span / HOUR - hours - 1) * HOUR
    rate = float(np.exp(it.rng.uniform(*np.log(it.s.session_rate))))
    port = int(it.rng.choice([443, 22, 8443, 51_000]))
    it.talks.add(
        "long-connection", host, peer, port, begin, seconds=hours * HOUR, out=rate * hours * 60,
        back=rate * hours * 60 / it.s.out_to_in[2], packet=(200, 200),
    )  # fmt: skip
    yield it.fact("long-connection", host, [peer], hours=round(hours, 1), rate=round(rate))


def _abuse(it: Incident) -> Iterator[Fact]:
    """An instance's credentials elsewhere; and AWS services that are new to a host."""
    exit_ = it.name(it.e.outside())
    for host in it.e.hosts[4:]:
        for at in FIRST + np.sort(it.rng.uniform(0, it.e.span, 4 * it.e.days)):
            _call(it, host, float(at), exit_)
    host, thief = it.host(), it.e.outside()
    for at in it.late(it.e.count(it.s.calls), 6):
        _call(it, host, float(at), it.name(thief))
    yield it.fact("service-abuse", host, [thief], what="carried off")
    host, service = it.host(), str(it.rng.choice(POWER + RARER[2:-1]))
    for at in it.late(it.e.count(it.s.calls), 6):
        _ask(it, host, service, float(at))
    yield it.fact("service-abuse", host, [], what=service)


def _silences(it: Incident) -> Iterator[Fact]:
    """An interface that leaves no record for a while."""
    host, minutes = it.host(), it.e.between(it.s.gap_minutes)
    begin = FIRST + it.rng.uniform(2, it.e.span / HOUR - minutes / 60 - 2) * HOUR
    it.silent.append((host, begin, begin + minutes * 60))
    yield {
        "kind": "blind-spot", "src": bulk.interface(host), "dst": [], "minutes": round(minutes)
    }  # fmt: skip


PLANTS: tuple[Callable[[Incident], Iterator[Fact]], ...] = (
    _doors, _peer, _country, _spikes, _sessions, _abuse, _silences,
)  # fmt: skip


def _instance(host: int) -> str:
    return f"i-{host:017x}"


def _ask(it: Incident, host: int, service: str, at: float) -> None:
    it.asked.append(
        {
            "version": "1.100000", "account_id": str(bulk.ACCOUNT), "region": "us-east-1",
            "vpc_id": "vpc-0", "query_timestamp": stamp(at), "query_type": "A", "rcode": "NOERROR",
            "query_name": f"{service}.us-east-1.amazonaws.com.", "query_class": "IN",
            "answers": [{"Rdata": "192.0.2.200", "Type": "A", "Class": "IN"}],
            "srcaddr": it.name(host), "srcport": "40000", "transport": "UDP",
            "srcids": {"instance": _instance(host)},
        }
    )  # fmt: skip


def _call(it: Incident, host: int, at: float, source: str) -> None:
    who = role("app", _instance(host), at)
    it.events.append(event(at, who, "sts", "GetCallerIdentity", source, "aws-sdk"))


def _papers(it: Incident, out: Path) -> None:
    """What lies beside the flow logs."""
    asked = sorted(it.asked, key=lambda q: (q["query_timestamp"], q["srcaddr"], q["query_name"]))
    (out / "dns.jsonl").write_text("".join(json.dumps(one) + "\n" for one in asked), "utf-8")
    events = sorted(it.events, key=lambda one: (one["eventTime"], one["eventID"]))
    (out / "cloudtrail.json").write_text(json.dumps({"Records": events}), "utf-8")
    listed = [
        {
            "NetworkInterfaceId": bulk.interface(host), "PrivateIpAddress": it.name(host),
            "VpcId": "vpc-0", "SubnetId": "subnet-0", "Status": "in-use",
            "InterfaceType": "interface", "OwnerId": str(bulk.ACCOUNT),
            "PrivateIpAddresses": [{"PrivateIpAddress": it.name(host), "Primary": True}],
            "Attachment": {"InstanceId": _instance(host), "Status": "attached"},
        }
        for host in it.e.hosts
    ]  # fmt: skip
    (out / "interfaces.json").write_text(json.dumps({"NetworkInterfaces": listed}), "utf-8")
    channels = sorted({it.name(d) for _, d, k in it.talks.pairs() if k == "agent-channel"})
    cloud = [
        {"ip_prefix": f"{one}/32", "region": "us-east-1", "service": service,
         "network_border_group": "us-east-1"}
        for one in channels for service in ("AMAZON", "SSM")
    ]  # fmt: skip
    ranges = {"syncToken": str(FIRST), "createDate": "2026-09-01-00-00-00", "prefixes": cloud}
    (out / "ip-ranges.json").write_text(json.dumps(ranges | {"ipv6_prefixes": []}), "utf-8")
    rows = [f"{it.e.settings.world}.{n}.0/24,{USUAL[n % 3]}" for n in range(256)]
    rows += [
        f"{it.s.elsewhere}.{n}.0/24,{USUAL[n % 3] if n < 192 else RARE[(n - 192) // 8]}"
        for n in range(256)
    ]
    (out / "countries.csv").write_text("network,country_code\n" + "\n".join(rows) + "\n", "utf-8")
