"""The facts of a generated scenario: what happened, as typed tuples for its answer key.

A fact is (kind, activity, actor, object, time). Its words are AWS's where AWS logs the activity:
the name of an API call, the type of a GuardDuty finding. For traffic they are those of
``TRAFFIC_ACTIVITIES``. A key does not depend on what flowbench finds, nor on how it words it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from flowbench.errors import InputError
from flowbench.scenario import writer

KINDS = ("api", "alert", "dns", "traffic")
TRAFFIC_ACTIVITIES = {
    "administrative session": "an accepted administrative session from an external address",
    "internal session": "an accepted session from one internal host to another",
    "mining begins": "the first connection to a mining pool",
    "mining ends": "the end of the last connection to it",
    "beaconing begins": "the first check-in",
    "beaconing ends": "the last check-in",
    "data transfer": "an unusual volume of data sent to an external address",
    "scan": "connection attempts to many services or hosts",
    "login attempts": "many short connections to a login service",
    "rejected attempts": "attempts to connect to an internal service, which are rejected",
    "logging gap": "the start of a gap in the flow logs",
}


@dataclass(frozen=True)
class Fact:
    """Something that happened.

    Attributes:
        kind: One of KINDS: the kind of log that records it.
        activity: The name of an API call, a type of GuardDuty finding, ``DNS query``, or one of
            TRAFFIC_ACTIVITIES.
        actor: Who acted: an address, or a principal (user, or role/session).
        object: What it was done to; None for a call without one.
        time: When, in epoch seconds.
    """

    kind: str
    activity: str
    actor: str
    object: str | None
    time: int


@dataclass(frozen=True)
class Indicator:
    """An address, domain, access key or user that belongs to the intruder."""

    type: str  # address, domain, access-key, user
    value: str
    meaning: str


@dataclass
class AnswerKey:
    """What a scenario's evidence holds: facts, indicators, and the benign hosts and principals.

    Attributes:
        scenario: Its name.
        settings: Seed, difficulty, version and aggregation interval of the flow logs.
        summary: What happened, in a sentence or two.
        facts: In order of time.
        indicators: What is the intruder's.
        involved: Names of the intruder's principals and hosts, and of those that were taken over.
        benign: Benign principals and hosts, each with its unusual activity.
        aliases: Other names of a host or principal: interface, instance, Name tag.
    """

    scenario: str
    settings: dict[str, Any]
    summary: str = ""
    facts: list[Fact] = field(default_factory=list)
    indicators: list[Indicator] = field(default_factory=list)
    involved: list[str] = field(default_factory=list)
    benign: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, list[str]] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Write it as JSON; times as UTC text."""
        content = asdict(self)
        content["facts"] = [
            asdict(fact) | {"time": writer.format_time(fact.time)} for fact in self.facts
        ]
        writer.write_json(path, content)


def read_key(path: Path) -> AnswerKey:
    """Read an answer key.

    Raises:
        InputError: The file cannot be read, or is not an answer key.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return AnswerKey(
            content["scenario"],
            content["settings"],
            content["summary"],
            list(_read_facts(content["facts"])),
            [Indicator(**each) for each in content["indicators"]],
            list(content["involved"]),
            dict(content["benign"]),
            {name: list(others) for name, others in content["aliases"].items()},
        )
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} is not an answer key: give the file that `flowbench scenario` wrote"
        ) from error


def _read_facts(facts: Iterable[Mapping[str, Any]]) -> Iterable[Fact]:
    for fact in facts:
        yield Fact(**{**fact, "time": writer.parse_time(fact["time"])})
