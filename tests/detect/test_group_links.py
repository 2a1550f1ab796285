"""Links between finding groups: sessions, common peers, creators and role credentials."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from flowbench import detect
from flowbench.cli import output
from flowbench.detect import Findings, link_groups
from tests.detect.link_cases import (
    FIRST,
    HOUR,
    PEER,
    SECOND,
    THIRD,
    at,
    finding,
    linked_case,
    session,
)
from tests.incident_case import api_event
from tests.traffic import T0


def links_of(case: Any, *findings: detect.Finding) -> list[tuple]:
    rows = link_groups(case, Findings(findings))
    assert list(rows.columns) == detect.LINKS.columns
    return [
        (row["from_group"], row["to_group"], row["relation"], row["connections"])
        for row in rows.to_dict("records")
    ]


def test_administrative_sessions_link_hosts_in_order_of_time(tmp_path: Path) -> None:
    records = [
        *session(FIRST, SECOND, 22, HOUR),
        *session(FIRST, SECOND, 22, 2 * HOUR, source_port=40_001),
        *session(SECOND, THIRD, 3306, 3 * HOUR),
    ]
    case = linked_case(tmp_path, records)
    found = Findings(
        [
            finding(FIRST, 0),
            finding(SECOND, 2 * HOUR, ["203.0.113.98"]),
            finding(THIRD, 4 * HOUR, ["203.0.113.97"]),
        ]
    )
    rows = link_groups(case, found)
    assert rows["from_group"].tolist() == [FIRST, SECOND]
    assert rows["to_group"].tolist() == [SECOND, THIRD]
    assert rows["service_port"].tolist() == [22, 3306]
    assert rows["connections"].tolist() == [2, 1]
    assert rows["first_seen"].tolist() == [at(HOUR), at(3 * HOUR)]
    assert list(rows["finding_ids"][0]) == [f.finding_id for f in found if f.subject != THIRD]
    assert len(case.evidence_for(rows.iloc[0])) == 4
    mixed = Findings(random.Random(1).sample(list(found), 3))
    assert link_groups(case, mixed).equals(rows)


@pytest.mark.parametrize(
    "records",
    [
        session(FIRST, SECOND, 443, HOUR),  # no administrative service
        session(FIRST, SECOND, 22, HOUR, packets=5),  # too few packets for a login
        session(FIRST, SECOND, 22, -3 * HOUR),  # long before the first finding
        session(SECOND, "10.0.0.99", 22, HOUR),  # a host without findings
        [  # a database that the host used before
            *session(FIRST, SECOND, 3306, -3 * HOUR),
            *session(FIRST, SECOND, 3306, HOUR, source_port=40_001),
        ],
    ],
)
def test_other_connections_link_nothing(tmp_path: Path, records: list) -> None:
    case = linked_case(tmp_path, records)
    assert links_of(case, finding(FIRST, 0), finding(SECOND, HOUR, ["203.0.113.98"])) == []


def test_two_groups_of_low_severity_are_not_linked_by_sessions(tmp_path: Path) -> None:
    case = linked_case(tmp_path, session(FIRST, SECOND, 22, HOUR))
    low = finding(FIRST, 0, severity="low")
    other = finding(SECOND, HOUR, ["203.0.113.98"], severity="low")
    assert links_of(case, low, other) == []
    medium = finding(SECOND, HOUR, ["203.0.113.98"], severity="medium")
    assert links_of(case, low, medium) == [(FIRST, SECOND, "administrative session", 1)]


def test_one_group_has_no_links(tmp_path: Path) -> None:
    case = linked_case(tmp_path, session(FIRST, SECOND, 22, HOUR))
    assert links_of(case) == links_of(case, finding(FIRST, 0)) == []


def test_a_common_external_peer_links_the_first_host_to_the_others(tmp_path: Path) -> None:
    case = linked_case(tmp_path, session(FIRST, SECOND, 443, 0))
    found = [finding(SECOND, 0, [PEER]), finding(FIRST, HOUR, [PEER, "203.0.113.6"])]
    assert links_of(case, *found) == [(SECOND, FIRST, "common external peer", 3)]
    low = finding(THIRD, 0, [PEER], severity="low")
    internal = [finding(THIRD, 0, [SECOND]), finding(FIRST, 0, [SECOND])]
    assert links_of(case, found[0], low) == links_of(case, *internal) == []


def created(event_id: str, instance: str, arn: str, seconds: int) -> dict[str, Any]:
    response = {"instancesSet": {"items": [{"instanceId": instance}]}}
    return api_event(event_id, "RunInstances", T0 + seconds, arn=arn, response=response)


def test_one_creator_links_its_instances(tmp_path: Path) -> None:
    eve, ada = (f"arn:aws:iam::111122223333:user/{name}" for name in ("eve", "ada"))
    events = [
        created("e1", "i-55555555", eve, 0),
        created("e2", "i-66666666", eve, 60),
        created("e3", "i-77777777", ada, 120),
    ]
    case = linked_case(tmp_path, session(FIRST, SECOND, 443, 0), events)
    hosts = [
        finding(FIRST, 0),
        finding(SECOND, 0, ["203.0.113.98"]),
        finding(THIRD, 0, ["203.0.113.97"]),
    ]
    assert links_of(case, *hosts) == [(FIRST, SECOND, "same creator", 1)]
    rows = link_groups(case, Findings([*hosts, finding("ada", 0, ["192.0.2.1"])]))
    assert rows["from_group"].tolist() == [FIRST, "ada"]
    assert rows["to_group"].tolist() == [SECOND, THIRD]
    assert rows["via"].tolist() == ["eve", "ada"]
    assert case.evidence_for(rows.iloc[1])["event_id"].tolist() == ["e3"]


def test_role_credentials_used_elsewhere_link_the_hosts(tmp_path: Path) -> None:
    event = api_event("e1", "ListBuckets", T0 + HOUR, ip=SECOND, key="ASIA1")
    event["userIdentity"] = {
        "type": "AssumedRole",
        "arn": "arn:aws:sts::111122223333:assumed-role/web/i-55555555",
        "accessKeyId": "ASIA1",
    }
    case = linked_case(tmp_path, session(FIRST, SECOND, 443, 0), [event])
    found = [finding(FIRST, 0), finding(SECOND, HOUR, ["203.0.113.98"])]
    (row,) = link_groups(case, Findings(found)).to_dict("records")
    assert (row["from_group"], row["to_group"]) == (FIRST, SECOND)
    assert (row["relation"], row["via"]) == ("role credentials", "web/i-55555555")
    assert case.evidence_for(row)["event_id"].tolist() == ["e1"]


def test_a_terminal_shows_the_links_of_each_group(tmp_path: Path, capsys: Any) -> None:
    case = linked_case(tmp_path, session(FIRST, SECOND, 22, HOUR))
    found = Findings([finding(FIRST, 0), finding(SECOND, HOUR, ["203.0.113.98"], score=0.4)])
    output.print_groups(found, link_groups(case, found))
    lines = capsys.readouterr().out.splitlines()
    text = "(administrative session on 22/tcp (ssh), 1x, from 2026-09-01 01:00 UTC)"
    assert lines[1] == f"  linked to {SECOND} {text}"
    assert f"  linked from {FIRST} {text}" in lines
