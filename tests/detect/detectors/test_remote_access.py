"""Remote access: what counts as a session, and what raises its severity."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flowbench import detect
from flowbench.schema import DEFAULT_FORMAT
from tests.detect.detectors.common import LIST as INDICATORS
from tests.detect.detectors.common import POOL, TOR, run
from tests.incident_case import api_event
from tests.traffic import FIELDS, T0, Record, connect, make_case, reject

HOST, ADMIN, HOST_6, ADMIN_6 = "10.0.0.5", "198.51.100.40", "2001:db8:1::5", "2001:db8:9::66"
V2, DAY, HOUR = DEFAULT_FORMAT, 86_400, 3_600
SAAS = "203.0.113.200"


def session(
    at: int = T0, *, peer: str = ADMIN, host: str = HOST, port: int = 22, minutes: float = 10,
    packets: int = 400, window: int = 60, **more: Any,
) -> Iterator[Record]:  # fmt: skip
    """A session of so many packets each way in all."""
    count = (at + int(minutes * 60)) // window - at // window + 1
    given = {"source_port": 51_515, "out": 40_000, "back": 120_000} | more
    return connect(
        peer, host, port, at, seconds=int(minutes * 60), packets=max(1, packets // count),
        window=window, **given,
    )  # fmt: skip


def guess(
    n: int, *, at: int = T0, peer: str = ADMIN, host: str = HOST, **more: Any
) -> Iterator[Record]:
    """A failed login."""
    return connect(
        peer, host, 22, at + 20 * n, source_port=33_000 + n, out=1_800, back=2_600, packets=18,
        **more,
    )  # fmt: skip


def miner(at: int, port: int = 3333, peer: str = SAAS) -> Iterator[Record]:
    return connect(HOST, peer, port, at, seconds=3 * HOUR, out=70_000, back=90_000)


def other_traffic(host: str) -> Iterator[Record]:
    """A connection to another address, by which the host's interface shows its own."""
    return connect(host, "2001:db8:5::1" if ":" in host else SAAS, 443, T0)


def days_of_use(peer: str = ADMIN, days: int = 4, window: int = 60) -> list[Record]:
    """The office's sessions with a bastion, morning and afternoon."""
    return [
        record
        for day in range(days)
        for n, hour in enumerate((8, 15))
        for record in session(
            T0 + day * DAY + hour * HOUR,
            peer=peer,
            source_port=50_000 + 10 * day + n,
            window=window,
        )
    ]


def found(folder: Path, *records: Any, **evidence: Any) -> list[dict[str, Any]]:
    case = make_case(folder, [r for group in records for r in group], **evidence)
    return run(case, "remote-access").to_dict("records")


@pytest.mark.parametrize(("window", "fields"), [(60, FIELDS), (600, V2)], ids=["v5", "v2"])
def test_a_session_is_low_by_itself(tmp_path: Path, window, fields) -> None:
    ends = [
        *((port, f"198.51.{n}.40", f"10.0.{n}.5")
          for n, port in enumerate((22, 2222, 3389, 5902, 5986, 23))),
        (22, ADMIN_6, HOST_6),
    ]  # fmt: skip
    records = [
        [
            *session(port=port, peer=peer, host=host, window=window, interface_id=f"eni-{host}"),
            *connect(host, "2001:db8:5::1" if ":" in host else SAAS, 443, T0,
                     interface_id=f"eni-{host}"),
        ]
        for port, peer, host in ends
    ]  # fmt: skip
    rows = {row["subject"]: row for row in found(tmp_path, *records, fields=fields)}
    assert rows.keys() == {host for _, _, host in ends}
    for port, peer, host in ends:
        row = rows[host]
        assert (row["peer"], row["service_port"]) == (peer, port)
        assert (row["severity"], row["technique"], row["connections"]) == ("low", "T1133", 1)
        assert row["title"] == "Remote access from an external address"
        assert row["summary"].startswith(f"{peer} held 1 administrative session on {port}/tcp")
        assert f"with {host} from 2026-09-01 00:00 to 2026-09-01 00:" in row["summary"]
        assert 35_000 < row["bytes_in"] <= 40_000
        assert 110_000 < row["bytes_out"] <= 120_000
        assert "shorter than a day" in row["caveats"]


NO_SESSIONS = [
    lambda ends: guess(0, **ends),  # a failed login
    # three failed logins in one connection; in one window of ten minutes
    lambda ends: session(minutes=1.9, packets=50, back=9_000, out=6_000, **ends),
    lambda ends: session(minutes=9, packets=50, window=600, back=9_000, out=6_000, **ends),
    lambda ends: session(minutes=60, packets=10 * 61, port=8022, **ends),  # no login
    lambda ends: session(port=3389, minutes=1, packets=100, **ends),  # an RDP login screen
    lambda ends: (r for r in session(**ends) if r.srcaddr == ends["peer"]),  # nobody answered
    lambda ends: (reject(ends["peer"], ends["host"], 22, T0 + n, source_port=33_000 + n)
                  for n in range(90)),
    lambda ends: session(**(ends | {"peer": "10.0.7.7"})),  # internal
    lambda ends: session(**(ends | {"peer": ends["host"], "host": ends["peer"]})),  # outbound
    lambda ends: session(port=443, **ends),
    lambda ends: (r for n in range(40) for r in guess(n, **ends)),  # brute force that failed
]  # fmt: skip


def test_what_is_no_session(tmp_path: Path) -> None:
    ends = [
        {"peer": f"198.51.{n}.40", "host": f"10.0.{n}.5", "interface_id": f"eni-{n}"}
        for n in range(len(NO_SESSIONS))
    ]
    groups = [records(ends[n]) for n, records in enumerate(NO_SESSIONS)]
    (row,) = found(tmp_path, *groups, session(peer="198.51.99.40", host="10.0.99.5"))
    assert row["subject"] == "10.0.99.5"  # the only session


def test_an_idle_session_outlasts_the_time_for_a_login(tmp_path: Path) -> None:
    (row,) = found(tmp_path, session(minutes=6, packets=21))  # three packets a minute
    assert row["severity"] == "low"


def test_without_flags_a_guessed_initiator_is_not_accused(tmp_path: Path) -> None:
    # Both ports are those of services: the host may as well have called the other end's port 8080.
    records = [
        record for n in range(3) for record in session(T0 + n * HOUR, port=3389, source_port=8080)
    ]
    assert found(tmp_path, records, fields=V2) == []


@pytest.mark.parametrize(("window", "fields"), [(60, FIELDS), (600, V2)], ids=["v5", "v2"])
def test_what_the_host_does_afterwards(tmp_path: Path, window, fields) -> None:
    afterwards = [
        (3333, SAAS, "a port that mining pools use"),
        (10_128, SAAS, "a port that mining pools use"),
        (443, POOL, "on an indicator list"),
        (9001, TOR, "on an indicator list"),
    ]
    records = [
        [
            *session(window=window, host=f"10.0.{n}.5", interface_id=f"eni-{n}"),
            *connect(f"10.0.{n}.5", peer, port, T0 + 20 * 60, seconds=HOUR, window=window,
                     source_port=44_482, interface_id=f"eni-{n}"),
        ]
        for n, (port, peer, _) in enumerate(afterwards)
    ]  # fmt: skip
    rows = found(tmp_path, *records, fields=fields, indicators=INDICATORS)
    by_host = {row["subject"]: row for row in rows}
    assert len(rows) == len(by_host) == len(afterwards)
    for n, (port, peer, ground) in enumerate(afterwards):
        host, row = f"10.0.{n}.5", by_host[f"10.0.{n}.5"]
        assert (row["severity"], row["scores"]) == ("high", {"afterwards": 0.8})
        first = f"Within 6 h of a session, {host} first connected to {peer} on {port}/tcp"
        assert first in row["summary"]
        assert f", {ground}, at 2026-09-01 00:20 UTC." in row["summary"]


@pytest.mark.parametrize(
    "before",
    [
        lambda: miner(T0 - 2 * HOUR),  # it mined before
        lambda: miner(T0 + 8 * HOUR),  # hours later
        lambda: connect(HOST, SAAS, 443, T0 + 600),  # an update
        lambda: connect(HOST, SAAS, 8888, T0 + 600, back=0, packets=1),  # new host: all is new
    ],
    ids=["before", "later", "update", "unknown-history"],
)
def test_what_says_nothing_about_the_session(tmp_path: Path, before) -> None:
    records = [r for r in before() if r.bytes]  # without bytes there was no answer
    (row,) = found(tmp_path, session(), records)
    assert row["severity"] == "low"


@pytest.mark.parametrize(
    ("port", "severity"), [(6667, "medium"), (8443, "medium"), (443, "low"), (22, "low")]
)
def test_a_port_new_to_a_known_host_is_medium(tmp_path: Path, port: int, severity: str) -> None:
    known = [r for n in range(3) for r in connect(HOST, POOL, 25, T0 - DAY - n * HOUR)]
    (row,) = found(tmp_path, known, session(), connect(HOST, SAAS, port, T0 + HOUR))
    assert row["severity"] == severity


@pytest.mark.parametrize(("count", "severity"), [(12, "high"), (4, "low")])
def test_failed_logins_before_the_session(tmp_path: Path, count: int, severity: str) -> None:
    guesses = [r for n in range(count) for r in guess(n)]
    (row,) = found(tmp_path, guesses, session(T0 + HOUR))
    assert row["severity"] == severity
    opened = f"the address opened {count} connections that look like failed logins"
    assert (opened in row["summary"]) == (severity == "high")
    assert row["connections"] == 1


def test_failed_logins_of_others_and_of_last_week_do_not_count(tmp_path: Path) -> None:
    others = [r for n in range(40) for r in guess(n, peer="198.18.3.4")]
    old = [r for n in range(40) for r in guess(n, at=T0 - 2 * DAY)]
    (row,) = found(tmp_path, others, old, session(T0 + HOUR))
    assert row["severity"] == "low"


@pytest.mark.parametrize(
    ("peer", "severity"), [(TOR, "high"), ("198.18.7.20", "medium"), ("192.0.2.66", "low")]
)
def test_an_address_on_an_indicator_list(tmp_path: Path, peer: str, severity: str) -> None:
    # A Tor exit, a scanner, and a command server whose entry expired a year ago.
    (row,) = found(tmp_path, session(peer=peer), indicators=INDICATORS)
    assert row["severity"] == severity
    assert ("Indicator match: " in row["summary"]) == (severity != "low")


def calls(*, since: int, name: str = "eve", peer: str = ADMIN) -> list[dict[str, Any]]:
    """Three days of an administrator's calls, and later calls of a user from ``peer``."""
    ada = {"arn": "arn:aws:iam::111122223333:user/ada", "key": "AKIAADA", "ip": "192.0.2.10"}
    new = {"arn": f"arn:aws:iam::111122223333:user/{name}", "ip": peer}
    return [
        *(api_event(f"a{n}", "ListBuckets", T0 + n * HOUR, **ada) for n in range(72)),
        *(api_event(f"e{n}", "RunInstances", since + 60 * n, **new) for n in range(3)),
        api_event("x", "CreateUser", since + 300, error="AccessDenied", **new),
    ]


@pytest.mark.parametrize(("peer", "host"), [(ADMIN, HOST), (ADMIN_6, HOST_6)], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize(
    ("name", "hours", "severity"),
    [("eve", 40, "high"), ("ada", 40, "medium")],
    ids=["new-principal", "known-principal"],
)
def test_api_calls_from_the_same_address(tmp_path: Path, name, hours, severity, peer, host) -> None:
    events = calls(since=T0 + hours * HOUR, name=name, peer=peer)
    records = [*other_traffic(host), *session(T0 + 41 * HOUR, peer=peer, host=host)]
    case = make_case(tmp_path, records, json_lines=events)
    (row,) = run(case, "remote-access").to_dict("records")
    assert (row["severity"], list(row["scores"])) == (severity, ["api_calls"])
    assert (
        f"From the same address, {name} made 4 API calls from 2026-09-0{1 + hours // 24} "
        in row["summary"]
    )
    assert "; 1 failed or were denied." in row["summary"]
    (finding,) = detect.run(case, only=["remote-access"])
    evidence = case.evidence_for(finding)
    assert set(evidence["event_id"].dropna()) == {"e0", "e1", "e2", "x"}
    assert evidence["srcaddr"].notna().sum() == 22


def test_an_address_that_called_from_the_start_is_an_administrators(tmp_path: Path) -> None:
    events = calls(since=T0 + HOUR)
    (row,) = found(tmp_path, session(T0 + 41 * HOUR), json_lines=events)
    assert (row["severity"], row["scores"]) == ("low", {})


def test_two_grounds_are_critical(tmp_path: Path) -> None:
    events = calls(since=T0 + 40 * HOUR)
    at = T0 + 41 * HOUR
    records = [*session(at), *miner(at + 1_200)]
    (row,) = found(tmp_path, records, json_lines=events)
    assert (row["severity"], row["score"]) == ("critical", 0.95)
    assert list(row["scores"]) == ["api_calls", "afterwards"]


def test_what_the_office_does_every_day_is_not_reported(tmp_path: Path) -> None:
    neighbour = ADMIN.rpartition(".")[0] + ".41"
    office = [*days_of_use(), *session(T0 + DAY, peer=neighbour, source_port=60_000)]
    later = [r for day in range(4) for r in miner(T0 + day * DAY + 9 * HOUR, peer=POOL)]
    case = make_case(tmp_path, [*office, *later])
    assert run(case, "remote-access").empty


@pytest.mark.parametrize("window", [60, 600])
def test_the_office_on_an_indicator_list_is(tmp_path: Path, window: int) -> None:
    office = days_of_use(peer=TOR, window=window)
    (row,) = found(tmp_path, office, indicators=INDICATORS)
    assert (row["severity"], row["connections"]) == ("high", 8)


@pytest.mark.parametrize("days", [range(1, 4), range(2)], ids=["not-from-the-start", "two-days"])
def test_a_newcomer_of_several_days_is_not_usual(tmp_path: Path, days: range) -> None:
    quiet = [r for day in range(4) for r in connect(HOST, SAAS, 443, T0 + day * DAY)]
    own = [r for day in days for r in session(T0 + day * DAY + 8 * HOUR, source_port=50_000 + day)]
    (row,) = found(tmp_path, quiet, own)
    assert (row["peer"], row["connections"]) == (ADMIN, len(days))
    assert "shorter than a day" not in row["caveats"]


def test_a_stranger_beside_the_office_is_reported(tmp_path: Path) -> None:
    stranger = session(T0 + 3 * DAY, peer=SAAS, source_port=60_000)
    (row,) = found(tmp_path, days_of_use(), stranger)
    assert (row["peer"], row["connections"]) == (SAAS, 1)


@pytest.mark.parametrize(("mines", "severity"), [(False, "low"), (True, "high")])
def test_a_service_that_many_networks_log_in_to_is_one_finding(
    tmp_path: Path, mines: bool, severity: str
) -> None:
    customers = [r for n in range(25) for r in session(T0 + n * HOUR, peer=f"198.18.{n}.9")]
    later = miner(T0 + 5 * HOUR) if mines else ()
    (row,) = found(tmp_path, customers, later)
    assert (row["severity"], row["connections"], len(row["peers"])) == (severity, 25, 25)
    assert row["summary"].startswith("25 external addresses (198.18.0.9, 198.18.1.9, ")
    assert ("first connected to" in row["summary"]) == mines


def test_a_service_of_a_few_networks_has_a_finding_for_each(tmp_path: Path) -> None:
    few = [r for n in range(8) for r in session(T0 + n * HOUR, peer=f"198.18.{n}.9")]
    assert len(found(tmp_path, few)) == 8


def test_a_corporate_network_on_an_allow_list_is_suppressed(tmp_path: Path) -> None:
    allow = f"indicator,kind,feed\n{ADMIN}/32,allow,offices\n"
    case = make_case(tmp_path, session(), indicators=allow)
    findings = detect.run(case, only=["remote-access"])
    assert not findings
    assert [f.suppressed_by for f in findings.suppressed] == ["offices"]


def test_hostile_names_of_principals_are_escaped(tmp_path: Path) -> None:
    events = [api_event("e1", "X", T0, arn="arn:aws:iam::111122223333:user/e\x1b[2Jve\u202e")]
    events[0]["sourceIPAddress"] = ADMIN
    (row,) = found(tmp_path, session(), json_lines=events)
    assert "From the same address, e\\x1b[2Jve" in row["summary"]


def test_a_case_without_flow_logs(tmp_path: Path) -> None:
    case = make_case(tmp_path, connect(HOST, SAAS, 443, T0))
    assert run(case, "remote-access").empty
