"""What happens in a generated scenario, and its evidence: one object that all steps add to."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flowbench.scenario import cloudtrail, guardduty, resolver, writer
from flowbench.scenario.exercises.facts import AnswerKey, Fact, Indicator
from flowbench.scenario.exercises.organisation import Difficulty, Organisation
from flowbench.scenario.network import ACCOUNT, REGION, Host, JsonObject, Network, make_id
from flowbench.scenario.traffic import Connection, FlowLogger, Record
from flowbench.scenario.writer import format_time

_NODATA = 0.03  # share of the windows without traffic that have a record, to keep the files small


class Recorder:
    """Collects connections, API events, look-ups, alerts and facts of a scenario.

    Attributes:
        organisation: Its network and people.
        key: The answer key.
        rng: Random choices of the incident.
    """

    def __init__(
        self,
        organisation: Organisation,
        key: AnswerKey,
        difficulty: Difficulty,
        *,
        version: int,
        window: int,
    ) -> None:
        self.organisation = organisation
        self.key = key
        self.difficulty = difficulty
        self.version = version
        self.rng = random.Random(f"{organisation.seed}/incident")
        self.logger = FlowLogger(
            organisation.network, organisation.first, version=version, interval=window
        )
        self.connections: list[Connection] = []
        self.events: list[JsonObject] = []
        self.alerts: list[JsonObject] = []
        self.queries: list[JsonObject] = []
        self.unlogged: list[tuple[str, float]] = []  # VPC, and since when it has no flow log
        self.launched: dict[str, float] = {}  # interface, and when it began to exist
        self.fleet: list[Host] = []  # whose flow logs are written by volume, not from connections
        self.stopped: dict[str, float] = {}  # interface, and when its instance was stopped

    def connect(
        self, source: str, destination: str, port: int, at: float, **more: Any
    ) -> Connection:
        """Add a connection; ``more`` are fields of traffic.Connection."""
        source_port = more.pop("source_port", None) or self.logger.source_port(source)
        connection = Connection(source, destination, port, source_port, at, **more)
        self.connections.append(connection)
        return connection

    def look_up(self, host: Host, name: str, address: str | None, at: float) -> None:
        """Add a host's look-up of a name; without an address it does not exist."""
        answers, rcode = ([address], "NOERROR") if address else ([], "NXDOMAIN")
        self.queries.append(resolver.query(at, host, name, answers, rcode))

    def call(
        self,
        identity: JsonObject,
        at: float,
        service: str,
        name: str,
        source: str,
        *bodies: Any,
        agent: str = "aws-cli/2.17.0",
        **more: Any,
    ) -> None:
        """Add an API event; ``bodies`` are its request and response."""
        event = cloudtrail.event(at, identity, service, name, source, agent, *bodies, **more)
        self.events.append(event)

    def alert(self, host: Host, kind: str, connections: list[Connection], severity: float) -> None:
        """Add a GuardDuty finding about a host's outbound connections, and its fact."""
        first = connections[0]
        last = connections[-1].start + connections[-1].seconds
        action = guardduty.connection_action(host, first.responder, first.port, first.source_port)
        self._keep_alert(
            guardduty.guardduty_finding(
                host,
                kind,
                severity,
                first.start,
                last,
                len(connections),
                action,
                updated=last + 600,
                title=f"{kind} on {host.instance}.",
                resource_role="ACTOR",
                detector=self._detector,
            ),
            Fact("alert", kind, host.address, first.responder, int(first.start)),
        )

    def alert_about_key(
        self, identity: JsonObject, kind: str, at: float, api: tuple[str, str], source: str
    ) -> None:
        """Add a GuardDuty finding about calls of an API (service and name), and its fact."""
        service, name = api
        self._keep_alert(
            guardduty.access_key_finding(
                identity,
                kind,
                8.0,
                at,
                at + 600,
                3,
                guardduty.api_call_action(name, service, source),
                updated=at + 1_800,
                title=f"{kind}: {name}.",
                detector=self._detector,
            ),
            Fact("alert", kind, principal_of(identity), source, int(at)),
        )

    def _keep_alert(self, alert: JsonObject, fact: Fact) -> None:
        if self.rng.random() < self.difficulty.alerts:
            self.alerts.append(alert)
            self.key.facts.append(fact)

    @property
    def _detector(self) -> str:
        return f"d1{self.organisation.name}"

    def fact(self, kind: str, activity: str, actor: str, target: str | None, at: float) -> None:
        """Add a fact to the answer key."""
        self.key.facts.append(Fact(kind, activity, actor, target, int(at)))

    def indicator(self, kind: str, value: str, meaning: str) -> None:
        """Add what is the intruder's to the answer key, once."""
        if all(value != each.value for each in self.key.indicators):
            self.key.indicators.append(Indicator(kind, value, meaning))

    def involve(self, *names: str) -> None:
        """Note principals and hosts that are the intruder's, or that were taken over."""
        self.key.involved += [name for name in names if name not in self.key.involved]

    def add_host(self, host: Host, at: float) -> None:
        """Add a host that is launched during the scenario."""
        self.organisation.hosts.append(host)
        self.launched[host.interface] = at
        self.logger.network = self.organisation.network

    def write_flow_logs(self, root: Path) -> int:
        """Write the flow logs below a folder, and return the number of records."""
        seed = self.organisation.seed
        return writer.write_flow_logs(root, self.records(), seed, version=self.version)

    def write_companions(self, root: Path) -> None:
        """Write the evidence beside flow logs below a folder."""
        organisation = self.organisation
        writer.write_cloudtrail(root, self.events)
        for vpc in sorted({host.vpc_id for host in organisation.hosts}):
            rows = [row for row in self.queries if row["vpc_id"] == vpc]
            writer.write_resolver_logs(root, vpc, rows)
        if self.alerts:
            self._write_alerts(root)
        interfaces = sorted(
            (
                host.describe(
                    format_time(
                        self.launched.get(host.interface, organisation.first - 40 * 86_400),
                        "%Y-%m-%dT%H:%M:%S+00:00",
                    )
                )
                for host in (*organisation.hosts, *self.fleet)
            ),
            key=lambda interface: str(interface["NetworkInterfaceId"]),
        )
        path = root / "inventory" / "describe-network-interfaces.json"
        writer.write_json(path, {"NetworkInterfaces": interfaces})

    def _write_alerts(self, root: Path) -> None:
        day = format_time(self.organisation.last - 86_400, "%Y/%m/%d")
        name = f"{cloudtrail.event_id('guardduty', self.organisation.seed)}.jsonl.gz"
        folder = root / f"AWSLogs/{ACCOUNT}/GuardDuty/{REGION}/{day}"
        lines = [json.dumps(alert, separators=(",", ":")) + "\n" for alert in self.alerts]
        writer.write_gzip(folder / name, "".join(lines))

    def records(self) -> Iterator[Record]:
        """Yield the records of VPCs with a flow log, and of a few windows without traffic.

        A connection with a host whose instance was stopped has none afterwards, at either end.
        """
        organisation, logger = self.organisation, self.logger
        vpc_of = {host.interface: host.vpc_id for host in organisation.hosts}
        since = {make_id("vpc", vpc): at for vpc, at in self.unlogged}
        ended = {host.address: self.stopped.get(host.interface) for host in organisation.hosts}
        busy: set[tuple[str, str]] = set()
        ordered = sorted(self.connections, key=lambda x: (x.start, x.initiator, x.source_port))
        for connection in ordered:
            if not organisation.first <= connection.start < organisation.last:
                continue
            ends = [ended.get(end) for end in (connection.initiator, connection.responder)]
            stop = min(filter(None, ends), default=math.inf)
            for record in logger.records(connection):
                interface, start = _interface_and_start(record)
                if record.end > since.get(vpc_of[interface], organisation.last + 700):
                    continue
                if int(start) > stop:  # a stopped host neither sends nor answers
                    continue
                busy.add((interface, start))
                yield record
        yield from self._empty_records(organisation.network, busy, since)

    def _empty_records(
        self, network: Network, busy: set[tuple[str, str]], since: dict[str, float]
    ) -> Iterator[Record]:
        organisation, logger = self.organisation, self.logger
        rng = random.Random(f"{organisation.seed}/quiet")
        for host in network.hosts:
            begin = self.launched.get(host.interface, organisation.first)
            end = min(since.get(host.vpc_id, organisation.last), organisation.last)
            end = min(end, self.stopped.get(host.interface, end))
            first, last = (logger.window(host.interface, at) for at in (begin, end))
            for window in range(first + 1, last):
                start = str(logger.bounds(host.interface, window)[0])
                if rng.random() < _NODATA and (host.interface, start) not in busy:
                    yield logger.empty_record(host, window)


def _interface_and_start(record: Record) -> tuple[str, str]:
    fields = record.text.split(" ", 11)
    return fields[2], fields[10]


def principal_of(identity: JsonObject) -> str:
    """Return the name of a principal: the user, or role/session."""
    session = str(identity["arn"]).partition(":assumed-role/")[2]
    return session or str(identity["userName"])
