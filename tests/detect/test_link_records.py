"""What links finding groups: sessions by port, internal addresses, and creations."""

from __future__ import annotations

from pathlib import Path

from flowbench.detect.link_records import read_creations, read_internal, read_sessions
from tests.detect.link_cases import FIRST, HOUR, PEER, SECOND, THIRD, at, linked_case, session
from tests.incident_case import api_event
from tests.traffic import T0, connect


def test_sessions_before_and_since_a_time_are_counted(tmp_path: Path) -> None:
    records = [
        *session(FIRST, SECOND, 22, 0),
        *session(FIRST, SECOND, 22, 2 * HOUR, source_port=40_001),
        *session(FIRST, SECOND, 22, 3 * HOUR, source_port=40_002),
        *session(SECOND, FIRST, 3389, 0),
    ]
    case = linked_case(tmp_path, records)
    (row,) = read_sessions(case, {FIRST: at(HOUR), SECOND: at(HOUR), "eve": at(0)})
    assert (row["initiator"], row["responder"], row["service_port"]) == (FIRST, SECOND, 22)
    assert (row["before"], row["connections"]) == (1, 2)
    assert (row["first_seen"], row["last_seen"]) == (at(2 * HOUR), at(3 * HOUR + 59))


def test_internal_addresses_by_their_connections(tmp_path: Path) -> None:
    records = [*session(FIRST, SECOND, 443, 0), *connect(FIRST, PEER, 443, T0)]
    case = linked_case(tmp_path, records)
    assert read_internal(case, [FIRST, SECOND, PEER, "192.0.2.1"]) == {FIRST, SECOND}


def test_who_creates_many_instances_or_fails_is_left_out(tmp_path: Path) -> None:
    def created(event_id: str, *instances: str, user: str, **more: object) -> dict:
        items = [{"instanceId": instance} for instance in instances]
        arn = f"arn:aws:iam::111122223333:user/{user}"
        response = {"instancesSet": {"items": items}}
        return api_event(event_id, "RunInstances", T0, arn=arn, response=response, **more)

    events = [
        created("e1", "i-55555555", user="eve"),
        created("e2", "i-66666666", *(f"i-{n:08x}" for n in range(1, 21)), user="deploy"),
        created("e3", "i-77777777", user="mallory", error="UnauthorizedOperation"),
    ]
    case = linked_case(tmp_path, session(FIRST, SECOND, 443, 0), events)
    ((creator, rows),) = read_creations(case, [FIRST, SECOND, THIRD, "eve"])
    assert (creator, [row["address"] for row in rows]) == ("eve", [FIRST])
