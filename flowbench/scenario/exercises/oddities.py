"""Benign activity that looks odd at first; each notes in the key who did it and why."""

from __future__ import annotations

import random
from collections.abc import Callable

from flowbench.scenario import cloudtrail
from flowbench.scenario.daily_traffic import DAY, HOUR
from flowbench.scenario.exercises.organisation import make_key
from flowbench.scenario.exercises.recorder import Recorder
from flowbench.scenario.exercises.usual_traffic import call_service
from flowbench.scenario.network import ACCOUNT
from flowbench.scenario.writer import format_time


def add_oddities(recorder: Recorder, count: int) -> None:
    """Add some benign oddities, chosen by the seed."""
    rng = random.Random(f"{recorder.organisation.seed}/odd")
    for oddity in rng.sample(ODDITIES, min(count, len(ODDITIES))):
        oddity(recorder, random.Random(f"{recorder.organisation.seed}/{oddity.__name__}"))


def _licence_server(recorder: Recorder, rng: random.Random) -> None:
    (host,) = recorder.organisation.with_role("batch")
    at = recorder.organisation.first + rng.random() * 1_800
    while at < recorder.organisation.last - 60:
        call_service(recorder, host, "licence", at + rng.uniform(0, 9), 1_050, 700)
        at += 1_800
    recorder.key.benign[host.address] = "the only client of a licence server, every 30 minutes"


def _partner_session(recorder: Recorder, rng: random.Random) -> None:
    host = recorder.organisation.pick("app")
    for day in range(recorder.organisation.first, recorder.organisation.last, DAY):
        hours = 7 + rng.random()
        more = {"port": 22, "seconds": hours * HOUR}
        at = day + 9 * HOUR
        call_service(recorder, host, "clearing", at, int(hours * 9e6), int(hours * 9e6), **more)
    recorder.key.benign[host.address] = "keeps a session with a partner open all day"


def _moved_service(recorder: Recorder, rng: random.Random) -> None:
    host, store = recorder.organisation.pick("devbox"), recorder.organisation.pick("rds")
    at = recorder.organisation.first + rng.random() * 5_400
    while at < recorder.organisation.last - 60:
        recorder.connect(host.address, store.address, 6379, at, rejected=True, attempts=2)
        at += 5_400 * rng.uniform(0.7, 1.3)
    recorder.key.benign[host.address] = "is rejected by a service that moved"


def _rotated_key(recorder: Recorder, rng: random.Random) -> None:
    organisation = recorder.organisation
    person, office = organisation.people[-1], organisation.office
    at = organisation.at(rng.randrange(_days(recorder)), rng.uniform(9, 16))
    identity = cloudtrail.user(person.name, person.key)
    key = make_key(f"{person.name}/rotated", organisation.seed)
    request = {"userName": person.name}
    response = {"accessKey": {"userName": person.name, "accessKeyId": key, "status": "Active"}}
    recorder.call(
        identity, at, "iam", "CreateAccessKey", office, request, response, read_only=False
    )
    new, old = cloudtrail.user(person.name, key), {"accessKeyId": person.key}
    recorder.call(new, at + 300, "sts", "GetCallerIdentity", office)
    for gap, name, more in (
        (600, "UpdateAccessKey", {"status": "Inactive"}),
        (1_200, "DeleteAccessKey", {}),
    ):
        recorder.call(new, at + gap, "iam", name, office, request | old | more, read_only=False)
    recorder.key.benign[person.name] = "replaced an access key, from the office"


def _new_colleague(recorder: Recorder, rng: random.Random) -> None:
    organisation = recorder.organisation
    admin, office = organisation.people[0], organisation.office
    name = rng.choice(["v.eriksen", "w.adeyemi", "x.laurent"])
    at = organisation.at(rng.randrange(_days(recorder)), rng.uniform(9, 16))
    created = {
        "userName": name,
        "userId": cloudtrail.principal_id("AIDA", name),
        "arn": f"arn:aws:iam::{ACCOUNT}:user/{name}",
        "path": "/",
        "createDate": format_time(at),
    }
    identity = cloudtrail.user(admin.name, admin.key)
    group = {"userName": name, "groupName": "developers"}
    for gap, call, request, response in (
        (0, "CreateUser", {"userName": name}, {"user": created}),
        (60, "AddUserToGroup", group, None),
    ):
        recorder.call(identity, at + gap, "iam", call, office, request, response, read_only=False)
    recorder.key.benign[admin.name] = "set up a new colleague, from the office"
    recorder.key.benign[name] = "is a new colleague"


def _travel(recorder: Recorder, rng: random.Random) -> None:
    """An employee works a day from elsewhere, with a second factor."""
    organisation = recorder.organisation
    person, hotel = organisation.people[-2], organisation.take_address()
    day = rng.randrange(_days(recorder))
    at = organisation.at(day, 19)
    recorder.call(
        cloudtrail.user(person.name),
        at,
        "signin",
        "ConsoleLogin",
        hotel,
        None,
        {"ConsoleLogin": "Success"},
        agent="Mozilla/5.0",
        read_only=False,
        kind="AwsConsoleSignIn",
        additionalEventData={"MFAUsed": "Yes"},
    )
    for i in range(4):
        identity = cloudtrail.user(person.name, person.key)
        recorder.call(identity, at + 120 * (i + 1), "ec2", "DescribeInstances", hotel)
    recorder.key.benign[person.name] = "worked from a hotel, with a second factor"
    recorder.key.benign[hotel] = "the hotel"


def _migration(recorder: Recorder, rng: random.Random) -> None:
    """A host that makes backups each night makes one more by day."""
    organisation = recorder.organisation
    (host,) = organisation.with_role("batch")
    at = organisation.at(rng.randrange(_days(recorder)), rng.uniform(10, 15))
    more = {"seconds": 2_400, "packet_bytes": 1_400}
    call_service(recorder, host, "storage", at, int(4e9), int(4e7), **more)
    recorder.key.benign[host.address] = "made a backup by day"


def _days(recorder: Recorder) -> int:
    return (recorder.organisation.last - recorder.organisation.first) // DAY


ODDITIES: tuple[Callable[[Recorder, random.Random], None], ...] = (
    _licence_server,
    _partner_session,
    _moved_service,
    _rotated_key,
    _new_colleague,
    _travel,
    _migration,
)
