"""Remote access: what counts as a session, and what raises its severity."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flowbench import detect
from flowbench.case import Case
from flowbench.schema import DEFAULT_FORMAT
from tests.detect.detectors.common import LIST as INDICATORS
from tests.detect.detectors.common import POOL, TOR, run, run_named
from tests.incident_case import api_event
from tests.traffic import FIELDS, T0, Record, connect, make_case, move, moved, reject

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


KNOWN_TO_LISTS = {TOR: "high", "198.18.7.20": "medium", "192.0.2.66": "low"}
PORTS = {6667: "medium", 8443: "medium", 443: "low", 22: "low"}  # severity of the first use
NEWCOMERS = {"not from the start": range(1, 4), "two days": range(2)}

Rows = dict[Any, list[dict[str, Any]]]


def rows_of(folder: Path, each: dict[Any, list[Record]], **more: Any) -> Rows:
    """Return the findings by situation."""
    found = run_named(folder, "remote-access", each, **more)
    return {name: rows.to_dict("records") for name, rows in found.items()}


def of_hours() -> dict[Any, list[Record]]:
    """Sessions in logs of less than a day."""
    ends = [
        {"peer": f"198.51.{n}.40", "host": f"10.0.{n}.5", "interface_id": f"eni-{n}"}
        for n in range(len(NO_SESSIONS))
    ]
    groups = [records(ends[n]) for n, records in enumerate(NO_SESSIONS)]
    groups.append(session(peer="198.51.99.40", host="10.0.99.5"))
    says_nothing = {
        "before": miner(T0 - 2 * HOUR),  # it mined before
        "later": miner(T0 + 8 * HOUR),  # hours later
        "update": connect(HOST, SAAS, 443, T0 + 600),
        # A new host: all is new. Without bytes there was no answer.
        "unknown history": (
            r for r in connect(HOST, SAAS, 8888, T0 + 600, back=0, packets=1) if r.bytes
        ),
    }
    return {
        "no session": [r for group in groups for r in group],
        "idle": list(session(minutes=6, packets=21)),  # three packets a minute
        **{name: [*session(), *records] for name, records in says_nothing.items()},
        **{
            count: [*(r for n in range(count) for r in guess(n)), *session(T0 + HOUR)]
            for count in (12, 4)
        },
        **{peer: list(session(peer=peer)) for peer in KNOWN_TO_LISTS},
    }


@pytest.fixture(scope="module")
def hours(tmp_path_factory) -> Rows:
    each, text = of_hours(), INDICATORS
    for peer in KNOWN_TO_LISTS:
        listed = peer.replace(".7.20", ".7.0")  # of the scanners the list has the network
        text = text.replace(listed, move(listed, list(each).index(peer) + 1))
    return rows_of(tmp_path_factory.mktemp("hours"), each, indicators=text)


@pytest.fixture(scope="module")
def known_hosts(tmp_path_factory) -> Rows:
    known = [r for n in range(3) for r in connect(HOST, POOL, 25, T0 - DAY - n * HOUR)]
    each = {port: [*known, *session(), *connect(HOST, SAAS, port, T0 + HOUR)] for port in PORTS}
    return rows_of(tmp_path_factory.mktemp("ports"), each)


@pytest.fixture(scope="module")
def four_days(tmp_path_factory) -> Rows:
    neighbour = ADMIN.rpartition(".")[0] + ".41"
    office = [*days_of_use(), *session(T0 + DAY, peer=neighbour, source_port=60_000)]
    later = [r for day in range(4) for r in miner(T0 + day * DAY + 9 * HOUR, peer=POOL)]
    quiet = [r for day in range(4) for r in connect(HOST, SAAS, 443, T0 + day * DAY)]
    each = {
        "listed": days_of_use(peer=TOR),
        "office": [*office, *later],
        "stranger": [*days_of_use(), *session(T0 + 3 * DAY, peer=SAAS, source_port=60_000)],
    }
    for name, days in NEWCOMERS.items():
        own = [
            r for day in days for r in session(T0 + day * DAY + 8 * HOUR, source_port=50_000 + day)
        ]
        each[name] = [*quiet, *own]
    listed = INDICATORS.replace(TOR, move(TOR, 1))
    return rows_of(tmp_path_factory.mktemp("days"), each, indicators=listed)


@pytest.fixture(scope="module")
def networks(tmp_path_factory) -> Rows:
    """Findings about services that several networks log in to."""
    one = [list(session(T0 + n * HOUR, peer=f"198.18.{n}.9")) for n in range(25)]
    many, few = ([r for records in some for r in records] for some in (one, one[:8]))
    each = {"many": many, "miner": [*many, *miner(T0 + 5 * HOUR)], "few": few}
    return rows_of(tmp_path_factory.mktemp("networks"), each)


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


def test_what_is_no_session(hours: Rows) -> None:
    (row,) = hours["no session"]
    assert row["subject"] == "10.0.99.5"  # the only session


def test_an_idle_session_outlasts_the_time_for_a_login(hours: Rows) -> None:
    (row,) = hours["idle"]
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


@pytest.mark.parametrize("name", ["before", "later", "update", "unknown history"])
def test_what_says_nothing_about_the_session(hours: Rows, name: str) -> None:
    (row,) = hours[name]
    assert row["severity"] == "low"


@pytest.mark.parametrize(("port", "severity"), PORTS.items())
def test_a_port_new_to_a_known_host_is_medium(known_hosts: Rows, port: int, severity: str) -> None:
    (row,) = known_hosts[port]
    assert row["severity"] == severity


@pytest.mark.parametrize(("count", "severity"), [(12, "high"), (4, "low")])
def test_failed_logins_before_the_session(hours: Rows, count: int, severity: str) -> None:
    (row,) = hours[count]
    assert row["severity"] == severity
    opened = f"the address opened {count} connections that look like failed logins"
    assert (opened in row["summary"]) == (severity == "high")
    assert row["connections"] == 1


def test_failed_logins_of_others_and_of_last_week_do_not_count(tmp_path: Path) -> None:
    others = [r for n in range(40) for r in guess(n, peer="198.18.3.4")]
    old = [r for n in range(40) for r in guess(n, at=T0 - 2 * DAY)]
    (row,) = found(tmp_path, others, old, session(T0 + HOUR))
    assert row["severity"] == "low"


@pytest.mark.parametrize(("peer", "severity"), KNOWN_TO_LISTS.items())
def test_an_address_on_an_indicator_list(hours: Rows, peer: str, severity: str) -> None:
    # A Tor exit, a scanner, and a command server whose entry expired a year ago.
    (row,) = hours[peer]
    assert row["severity"] == severity
    assert ("Indicator match: " in row["summary"]) == (severity != "low")


def calls(prefix: str, *, since: int, name: str, peer: str) -> list[dict[str, Any]]:
    """Later calls of a user from ``peer``, whose ids begin with a prefix."""
    new = {"arn": f"arn:aws:iam::111122223333:user/{name}", "ip": peer}
    return [
        *(api_event(f"{prefix}{n}", "RunInstances", since + 60 * n, **new) for n in range(3)),
        api_event(f"{prefix}x", "CreateUser", since + 300, error="AccessDenied", **new),
    ]


CALLERS = {  # by the prefix of the events: user, peer, host, hours until the calls
    "e4-": ("eve", ADMIN, HOST, 40),
    "e6-": ("eva", ADMIN_6, HOST_6, 40),
    "k4-": ("ada", ADMIN, HOST, 40),
    "k6-": ("ada", ADMIN_6, HOST_6, 40),
    "start-": ("sam", ADMIN, HOST, 1),
    "two-": ("joe", ADMIN, HOST, 40),
}
HOSTILE = "arn:aws:iam::111122223333:user/e\x1b[2Jve\u202e"


@pytest.fixture(scope="module")
def callers(tmp_path_factory) -> tuple[Case, dict[str, dict[str, Any]]]:
    """A case with three days of an administrator's calls; findings about others, by prefix."""
    ada = {"arn": "arn:aws:iam::111122223333:user/ada", "key": "AKIAADA", "ip": "192.0.2.10"}
    events = [api_event(f"a{n}", "ListBuckets", T0 + n * HOUR, **ada) for n in range(72)]
    records, hosts = [], {}
    for n, (prefix, (name, peer, host, hours)) in enumerate(CALLERS.items(), 1):
        own = [*other_traffic(host), *session(T0 + 41 * HOUR, peer=peer, host=host)]
        if prefix == "two-":
            own += miner(T0 + 41 * HOUR + 1_200)
        records += moved(own, n)
        hosts[move(host, n)] = prefix
        events += calls(prefix, since=T0 + hours * HOUR, name=name, peer=move(peer, n))
    records += moved(session(), 9)
    hosts[move(HOST, 9)] = "hostile"
    events.append(api_event("hostile", "X", T0 + 40 * HOUR, arn=HOSTILE, ip=move(ADMIN, 9)))
    case = make_case(tmp_path_factory.mktemp("callers"), records, json_lines=events)
    rows = run(case, "remote-access").to_dict("records")
    assert len(rows) == len(hosts)
    return case, {hosts[row["subject"]]: row for row in rows}


@pytest.mark.parametrize(
    ("prefix", "severity"), [("e4-", "high"), ("e6-", "high"), ("k4-", "medium"), ("k6-", "medium")]
)
def test_api_calls_from_the_same_address(callers, prefix: str, severity: str) -> None:
    case, row = callers[0], callers[1][prefix]
    assert (row["severity"], list(row["scores"])) == (severity, ["api_calls"])
    name = CALLERS[prefix][0]
    assert f"From the same address, {name} made 4 API calls from 2026-09-02 " in row["summary"]
    assert "; 1 failed or were denied." in row["summary"]
    evidence = case.evidence_for(row)
    assert set(evidence["event_id"].dropna()) == {f"{prefix}{end}" for end in "012x"}
    assert evidence["srcaddr"].notna().sum() == 22


def test_an_address_that_called_from_the_start_is_an_administrators(callers) -> None:
    row = callers[1]["start-"]
    assert (row["severity"], row["scores"]) == ("low", {})


def test_two_grounds_are_critical(callers) -> None:
    row = callers[1]["two-"]
    assert (row["severity"], row["score"]) == ("critical", 0.95)
    assert list(row["scores"]) == ["api_calls", "afterwards"]


def test_hostile_names_of_principals_are_escaped(callers) -> None:
    assert "From the same address, e\\x1b[2Jve" in callers[1]["hostile"]["summary"]


def test_what_the_office_does_every_day_is_not_reported(four_days: Rows) -> None:
    assert four_days["office"] == []


def test_the_office_on_an_indicator_list_is(four_days: Rows, tmp_path: Path) -> None:
    office = days_of_use(peer=TOR, window=600)
    for rows in (four_days["listed"], found(tmp_path, office, indicators=INDICATORS)):
        (row,) = rows
        assert (row["severity"], row["connections"]) == ("high", 8)


@pytest.mark.parametrize("name", NEWCOMERS)
def test_a_newcomer_of_several_days_is_not_usual(four_days: Rows, name: str) -> None:
    (row,) = four_days[name]
    assert (row["peer"], row["connections"]) == (ADMIN, len(NEWCOMERS[name]))
    assert "shorter than a day" not in row["caveats"]


def test_a_stranger_beside_the_office_is_reported(four_days: Rows) -> None:
    (row,) = four_days["stranger"]
    assert (row["peer"], row["connections"]) == (SAAS, 1)


@pytest.mark.parametrize(("name", "severity"), [("many", "low"), ("miner", "high")])
def test_a_service_that_many_networks_log_in_to_is_one_finding(
    networks: Rows, name: str, severity: str
) -> None:
    (row,) = networks[name]
    assert (row["severity"], row["connections"], len(row["peers"])) == (severity, 25, 25)
    first, second = (move(f"198.18.{n}.9", list(networks).index(name) + 1) for n in (0, 1))
    assert row["summary"].startswith(f"25 external addresses ({first}, {second}, ")
    assert ("first connected to" in row["summary"]) == (name == "miner")


def test_a_service_of_a_few_networks_has_a_finding_for_each(networks: Rows) -> None:
    assert len(networks["few"]) == 8


def test_a_corporate_network_on_an_allow_list_is_suppressed(tmp_path: Path) -> None:
    allow = f"indicator,kind,feed\n{ADMIN}/32,allow,offices\n"
    case = make_case(tmp_path, session(), indicators=allow)
    findings = detect.run(case, only=["remote-access"])
    assert not findings
    assert [f.suppressed_by for f in findings.suppressed] == ["offices"]


def test_a_case_without_flow_logs(tmp_path: Path) -> None:
    case = make_case(tmp_path, connect(HOST, SAAS, 443, T0))
    assert run(case, "remote-access").empty
