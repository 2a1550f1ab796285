"""What is asked about the sources of administrative sessions."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from flowbench.detect import remote_sources
from flowbench.enrich.admin_sessions import find_sessions, mark_sessions
from tests.incident_case import api_event
from tests.traffic import T0, Record, connect, make_case

HOST, PEER, POOL, SAAS = "10.0.0.5", "198.51.100.40", "203.0.113.50", "203.0.113.200"
DAY, HOUR = 86_400, 3_600
LIST = f"indicator,kind,feed,valid_from\n{PEER},tor,exits,\n{SAAS},c2,old,2027-01-01T00:00:00Z\n"


def session(at: int = T0, peer: str = PEER, n: int = 0) -> list[Record]:
    return list(connect(peer, HOST, 22, at, seconds=60, packets=80, source_port=50_000 + n))


def at(seconds: int) -> pd.Timestamp:
    return pd.Timestamp(T0 + seconds, unit="s", tz="UTC")


def test_sources_are_summed_and_their_networks_counted_by_days(tmp_path: Path) -> None:
    neighbour = "198.51.100.99"  # of the same network
    records = [*session(), *session(T0 + DAY, n=1), *session(T0 + 2 * DAY, peer=neighbour, n=2)]
    sessions = find_sessions(make_case(tmp_path, records).connections)
    one, other = remote_sources.read_sources(sessions, at(HOUR)).to_dict("records")
    assert (one["host"], one["peer"], one["service_port"], one["sessions"]) == (HOST, PEER, 22, 2)
    assert (one["first_seen"], one["last_seen"]) == (at(0), at(DAY + 119))
    assert (one["bytes_from_peer"], one["bytes_to_peer"]) == (1_600, 6_000)
    assert (other["peer"], other["sessions"]) == (neighbour, 1)
    for row in (one, other):
        assert (row["network"], row["days"], row["is_early"]) == ("198.51.100", 3, True)
    for quarter in (None, at(-1)):
        assert not remote_sources.read_sources(sessions, quarter)["is_early"].any()


def test_sessions_of_one_role_are_one_principal(tmp_path: Path) -> None:
    role = "arn:aws:sts::111122223333:assumed-role/deploy/run-"
    events = [api_event("e0", "X", T0, arn=f"{role}1", ip="192.0.2.10")]
    events += [api_event("e1", "X", T0 + DAY, arn=f"{role}2", ip=PEER)]
    events += [api_event("e2", "X", T0 + DAY, ip=PEER)]
    case = make_case(tmp_path, session(), json_lines=events)
    sources = pd.DataFrame({"host": [HOST], "peer": [PEER]})
    (calls,) = remote_sources.find_calls(case, sources, at(HOUR)).values()
    is_new = dict(zip(calls["principal_name"], calls["is_new"], strict=True))
    assert is_new == {"deploy/run-2": False, "eve": True}
    assert not calls["is_known"].any()
    (unknown,) = remote_sources.find_calls(case, sources, None).values()
    assert not unknown["is_new"].any()


def test_failures_before_the_first_session_with_the_same_host(tmp_path: Path) -> None:
    def tried(when: int, peer: str = PEER, host: str = HOST, back: int = 2_600) -> list[Record]:
        given = {"source_port": 30_000 + when % 20_000, "packets": 18, "back": back}
        given["interface_id"] = "eni-a" if host == HOST else "eni-b"
        return list(connect(peer, host, 22, T0 + when, **given))

    records = [*session(T0 + 10 * HOUR), *session(T0 + 20 * HOUR, n=1)]
    records += [*tried(HOUR), *tried(2 * HOUR), *tried(11 * HOUR)]  # the last one after a session
    records += [*tried(3 * HOUR, back=300), *tried(3 * HOUR, host="10.0.0.6")]
    marked = mark_sessions(make_case(tmp_path, records).connections)
    sources = remote_sources.read_sources(marked.filter(marked.is_session), None)
    failures = marked.filter(~marked.is_session)
    assert remote_sources.count_failures(failures, sources, 24, 1) == {(HOST, PEER): 2}
    assert remote_sources.count_failures(failures, sources, 8.5, 1) == {(HOST, PEER): 1}
    assert remote_sources.count_failures(failures, sources, 24, 3) == {}


def test_first_contacts_after_a_session_and_their_grounds(tmp_path: Path) -> None:
    old = connect(HOST, "203.0.113.9", 25, T0 - 2 * DAY)
    contacts = [(POOL, 3333, HOUR), (SAAS, 6667, HOUR), (SAAS, 443, HOUR), (POOL, 4444, 9 * HOUR)]
    records = [*old, *session()]
    for n, (peer, port, after) in enumerate(contacts):
        records += connect(HOST, peer, port, T0 + after, source_port=40_000 + n)
    case = make_case(tmp_path, records, indicators=LIST)
    sessions = find_sessions(case.connections)
    sources = remote_sources.read_sources(sessions, None)

    def found(hours: float, history: float) -> list[tuple[str, int, str]]:
        contacts = remote_sources.find_new_contacts(
            case, sessions, sources, hours=hours, history=history
        )
        return [
            (row.responder, row.service_port, row.ground)
            for rows in contacts.values()
            for row in rows.itertuples()
        ]

    assert found(6, 24) == [(SAAS, 6667, "new port"), (POOL, 3333, "pool port")]
    assert found(6, 72) == [(POOL, 3333, "pool port")]  # the host is not known for so long
    assert found(10, 72) == [(POOL, 3333, "pool port"), (POOL, 4444, "pool port")]
    assert found(0.1, 24) == []
    indicators = remote_sources.find_indicators(case, sources)
    assert indicators[HOST, PEER]["kind"].tolist() == ["tor"]
