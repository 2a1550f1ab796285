"""Generated scenarios for exercises: incidents and false alarms whose details vary by seed.

The answer key is separate from the evidence, so that a trainee sees the evidence alone.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from flowbench.errors import InputError
from flowbench.scenario.exercises import volume
from flowbench.scenario.exercises.facts import AnswerKey
from flowbench.scenario.exercises.fleet import build_fleet
from flowbench.scenario.exercises.incidents import INCIDENTS
from flowbench.scenario.exercises.oddities import add_oddities
from flowbench.scenario.exercises.organisation import DIFFICULTIES, Difficulty, build
from flowbench.scenario.exercises.recorder import Recorder
from flowbench.scenario.exercises.usual_calls import add_usual_calls
from flowbench.scenario.exercises.usual_traffic import add_usual_traffic
from flowbench.scenario.record_format import FIELD_COUNTS, INTERVALS

NAMES = tuple(INCIDENTS)
_MORE_ODDITIES = 5  # of benign-but-odd, beside the difficulty's


def write(
    name: str,
    out: Path,
    key: Path,
    seed: int,
    *,
    difficulty: str = "normal",
    version: int = 5,
    window: int = 60,
    days: int | None = None,
    records: int | None = None,
    progress: volume.Progress | None = None,
) -> AnswerKey:
    """Write a scenario's evidence, and its separate answer key.

    Args:
        name: One of NAMES.
        out: A new or empty folder for the evidence.
        key: A new file for the answer key, not in ``out``.
        seed: Seed of the random choices: names, addresses, times, order of the steps.
        difficulty: easy, normal or hard: size of the network, benign oddities, how quiet the
            intruder is, whether GuardDuty reports all.
        version: Version of the flow log records, one of record_format.FIELD_COUNTS.
        window: Aggregation interval in seconds, one of record_format.INTERVALS.
        days: Of the logs; without it, those of the difficulty.
        records: Flow log records in all, within a few per cent: the usual traffic of a fleet is
            added (see volume). Without it, those of the scenario alone.
        progress: Told of records written, records and what is done.

    Returns:
        The answer key.

    Raises:
        InputError: An argument is none of these, a file is there already, or the scenario alone
            has more records.
    """
    _check(name, out, key, difficulty, version, window)
    recorder = simulate(
        name, seed, difficulty=difficulty, version=version, window=window, days=days
    )
    try:
        out.mkdir(parents=True, exist_ok=True)
        own = recorder.write_flow_logs(out)
        if records is not None:
            _add_fleet(recorder, out, records, own, progress)
        recorder.write_companions(out)
        key.parent.mkdir(parents=True, exist_ok=True)
        recorder.key.write(key)
    except BaseException:  # a stop by the user too: half an exercise is none
        for each in out.iterdir():
            shutil.rmtree(each)
        key.unlink(missing_ok=True)
        raise
    return recorder.key


def _add_fleet(
    recorder: Recorder, out: Path, records: int, own: int, progress: volume.Progress | None
) -> None:
    if records < own:
        raise InputError(
            f"the scenario itself has {own:,} flow log records, more than {records:,}: ask for more"
            " records, or for an easier one or fewer days"
        )
    organisation = recorder.organisation
    recorder.fleet = build_fleet(organisation, records - own)
    vpc = recorder.fleet[0].subnet.vpc
    deleted = [at for unlogged, at in recorder.unlogged if unlogged == vpc]
    volume.write(
        out,
        recorder.fleet,
        organisation.seed,
        records - own,
        period=(organisation.first, organisation.last),
        logged_until=min(deleted, default=organisation.last),
        version=recorder.version,
        window=recorder.logger.interval,
        progress=progress,
    )
    _name_the_benign(recorder)


def simulate(
    name: str,
    seed: int,
    *,
    difficulty: str = "normal",
    version: int = 5,
    window: int = 60,
    days: int | None = None,
) -> Recorder:
    """Return what happens in a scenario, and its answer key; the arguments are those of write."""
    settings = DIFFICULTIES[difficulty]
    organisation = build(f"{name}/{seed}/{difficulty}", settings, days or settings.days)
    shown = {"seed": seed, "difficulty": difficulty, "version": version, "window": window}
    answers = AnswerKey(name, shown)
    recorder = Recorder(organisation, answers, settings, version=version, window=window)
    add_usual_traffic(recorder)
    add_usual_calls(recorder)
    add_oddities(recorder, _count_oddities(name, settings))
    answers.summary = INCIDENTS[name](recorder)
    _name_the_benign(recorder)
    return recorder


def _check(name: str, out: Path, key: Path, difficulty: str, version: int, window: int) -> None:
    for given, known, what in (
        (name, NAMES, "scenario"),
        (difficulty, DIFFICULTIES, "difficulty"),
        (version, FIELD_COUNTS, "version of VPC flow logs"),
        (window, INTERVALS, "aggregation interval"),
    ):
        if given not in known:
            choices = ", ".join(map(str, known))
            raise InputError(f"no {what} is {given!r}; choose one of {choices}")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} is not an empty folder: choose another one")
    if key.exists():
        raise InputError(f"{key} exists: choose another file for the answer key")
    if key.resolve().is_relative_to(out.resolve()):
        raise InputError(f"{key} is in the folder of the evidence: put the answer key elsewhere")


def _count_oddities(name: str, difficulty: Difficulty) -> int:
    if name == "nothing-happened":
        return 0
    return difficulty.oddities + (_MORE_ODDITIES if name == "benign-but-odd" else 0)


def _name_the_benign(recorder: Recorder) -> None:
    """Sort the facts, and complete who did nothing wrong, and the other names of hosts."""
    key, organisation = recorder.key, recorder.organisation
    key.facts.sort(key=lambda fact: (fact.time, fact.kind, fact.activity, fact.object or ""))
    hosts = [*organisation.hosts, *recorder.fleet]
    usual = {host.address: f"{host.tags.get('Name', host.role)}, as usual" for host in hosts}
    usual |= {person.name: "an employee" for person in organisation.people}
    usual |= {address: name for name, address in organisation.services.items()}
    usual |= {"deploy/pipeline": "deploys each day"}
    involved = set(key.involved) | {indicator.value for indicator in key.indicators}
    key.benign = {
        name: meaning
        for name, meaning in sorted((usual | key.benign).items())
        if name not in involved
    }
    for host in hosts:
        others = [host.interface, host.instance, host.tags.get("Name"), host.public, host.ipv6]
        others += host.secondary
        key.aliases[host.address] = [each for each in others if each]
