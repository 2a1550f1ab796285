"""New inside paths are one story a host; what was to expect of a host or its like is none."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pytest

from flowbench import detect
from flowbench.case import Case
from flowbench.detect.detectors import lateral_movement
from flowbench.schema import DEFAULT_FORMAT
from tests.detect.detectors.common import run_each, run_named
from tests.traffic import FIELDS, T0, Record, connect, interface, make_case, move, reject

HOUR, DAY = 3_600, 86_400
HOST, DB, SAAS = "10.0.0.5", "10.0.9.10", "203.0.113.200"


def ssh(
    host: str, targets: Iterable[str], at: float, port: int = 22, **more: object
) -> list[Record]:
    """Sessions of a minute, ten minutes apart, with an answer."""
    return [
        record
        for n, target in enumerate(targets)
        for record in connect(
            host, target, port, T0 + int(at) + 600 * n, seconds=60, source_port=40_000 + n, **more
        )
    ]


def alive(*hosts: str, days: float = 4, window: int = 60) -> list[Record]:
    """Hosts that call an outside service a few times a day, so that the logs have a length."""
    return [
        record
        for host in hosts
        for hour in range(0, int(days * 24), 5)
        for record in connect(host, SAAS, 443, T0 + hour * HOUR, source_port=45_000, window=window)
    ] + list(
        connect(hosts[0], SAAS, 443, T0 + int(days * DAY) - 60, source_port=46_000, window=window)
    )


def run(case: Case) -> pd.DataFrame:
    found = detect.run(case, only=["lateral-movement"]).to_pandas()
    for _, row in found.iterrows():
        assert len(case.evidence_for(row)) > 0
    return found


def daily(host: str, target: str, port: int, days: Iterable[int] = range(4)) -> list[Record]:
    return [r for day in days for r in ssh(host, [target], day * DAY + 7 * HOUR, port)]


NAME = "<b>x</b>,\x1b[31m=1+1"
WRONG_SETTINGS = [  # services, start and interval (s): severity
    (1, 0, 900, None),  # wrong before the logs begin
    (2, 0, 900, None),
    (3, 0, 900, "high"),  # three services are a pattern
    (1, 30 * HOUR, 900, "medium"),  # it began meanwhile
    (1, 0, 9_000, "medium"),  # now and then
]
HOSTS = [f"10.0.{n}.1" for n in range(20, 25)]
SECOND, TARGETS = "10.0.4.4", ["10.0.5.1", "10.0.6.1", "10.0.7.1"]
NEW = "10.0.50.9"


def of_four_days() -> dict[object, list[Record]]:
    late = ssh(HOST, ["10.0.77.1"], 3 * DAY)
    grown = [r for n in range(20, 26) for r in ssh(f"10.0.0.{n}", [DB], 3 * DAY, 5432)]
    clients = [f"10.0.{n}.5" for n in range(6)]
    moved = [r for host in clients for r in ssh(host, [DB], 3 * DAY, 5432)]
    two = [*alive(HOST), *ssh(NEW, ["10.0.1.1", "10.0.2.2"], 3 * DAY)]
    mute = [r for r in ssh(HOST, ["10.0.1.1"], 3 * DAY) if r.srcaddr == HOST]
    chain = [*alive(HOST, SECOND, *TARGETS), *ssh(HOST, [SECOND], 3 * DAY)]
    rejected = reject(HOST, DB, 3306, T0 + 3 * DAY, interface_id="eni-z")
    return {
        "one path": [*alive(HOST, DB), *ssh(HOST, [DB], 3 * DAY)],
        "rejected": [*alive(HOST, DB), rejected, *ssh(HOST, ["10.0.1.1"], 3 * DAY)],
        "chain": [*chain, *ssh(SECOND, TARGETS, 3 * DAY + HOUR)],
        "daily": [*alive(HOST), *daily(HOST, DB, 3306)],
        "bastion": [*alive(HOST), *ssh(HOST, HOSTS, HOUR), *late],
        "no bastion": [*alive(HOST), *ssh(HOST, HOSTS[:4], HOUR), *late],
        "cluster": [
            *alive(HOST),
            *daily(HOST, DB, 6379),
            *ssh(HOST, ["10.0.9.11"], 3 * DAY, 6379),
        ],
        "group": [*alive("10.0.0.6"), *daily("10.0.0.6", DB, 5432), *grown],
        "moved": [*alive(*clients), *moved],
        "two": two,
        "three": [*two, *ssh(NEW, ["10.0.3.3"], 3.2 * DAY)],
        "others": [
            *alive(HOST),
            *ssh(HOST, [DB], 3 * DAY, 8443),
            *ssh(HOST, [SAAS], 3 * DAY),
            *mute,
        ],
        **{
            (services, start, every): wrong_setting(services, start, every)
            for services, start, every, _severity in WRONG_SETTINGS
        },
    }


def wrong_setting(services: int, start: int, every: int) -> list[Record]:
    return [
        *alive(HOST, DB),
        *(
            reject(
                HOST, f"10.0.9.{10 + n}", 6379, T0 + at,
                source_port=33_000 + at // every % 20_000,
            )
            for n in range(services)
            for at in range(start, 4 * DAY - 60, every)
        ),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def four_days(tmp_path_factory) -> dict[object, pd.DataFrame]:
    listed = [interface(move(DB, 2), NAME)]
    folder = tmp_path_factory.mktemp("four-days")
    return run_named(folder, "lateral-movement", of_four_days(), interfaces=listed)


def test_one_new_path_is_low_and_says_where_and_when(four_days) -> None:
    (row,) = four_days["one path"].to_dict("records")
    assert (row["severity"], row["subject"], row["peer"]) == ("low", HOST, DB)
    assert (row["title"], row["service_port"]) == ("New internal connections", 22)
    assert row["first_seen"] == pd.Timestamp(T0 + 3 * DAY, unit="s", tz="UTC")
    assert (
        f"{move(HOST, 1)} connected for the first time in the logs to 1 internal service on 1 host"
        in row["summary"]
    )
    assert f"{move(DB, 1)} 22/tcp (ssh): 1 connection" in row["summary"]
    assert "the first 48.0 h of the logs;" in row["caveats"]


def test_the_more_targets_the_graver(tmp_path: Path) -> None:
    cases = []
    for seed in (11, 12, 13):
        for prefix, host in (
            (f"fd00:1:{seed}:9::", f"fd00:1:{seed}:3::5"),
            (f"10.{seed}.9.", f"10.{seed}.3.5"),
        ):
            chance = random.Random(seed)
            count = chance.randrange(3, 12)
            port = chance.choice([22, 3389, 5985, 445, 3306])
            hosts = [f"{prefix}{n}" for n in chance.sample(range(10, 99), count)]
            cases.append((host, hosts, chance.uniform(2.1, 3.5) * DAY, port))
    records = [
        r
        for host, hosts, at, port in cases
        for r in (*alive(host, *hosts), *ssh(host, hosts, at, port))
    ]
    found = run(make_case(tmp_path, records)).set_index("subject")
    assert len(found) == len(cases)
    for host, hosts, _at, _port in cases:
        row = found.loc[host]
        assert row["severity"] == ("high" if len(hosts) >= 8 else "medium"), host
        assert set(row["peers"]) == set(hosts)
        assert row["connections"] == len(hosts)


def test_a_chain_of_connections_is_high(four_days) -> None:
    found = four_days["chain"].set_index("subject")
    assert found["severity"].to_dict() == {SECOND: "high", HOST: "low"}
    assert (
        f"Before that, {move(HOST, 3)} connected to it for the first time on 22/tcp"
        in found.loc[SECOND, "summary"]
    )


def test_the_same_on_old_logs_with_long_windows(tmp_path: Path) -> None:
    hosts = [f"10.0.{n}.1" for n in range(4, 8)]
    records = [*alive(HOST, *hosts, window=600), *ssh(HOST, hosts, 3 * DAY, window=600)]
    case = make_case(tmp_path, records, fields=DEFAULT_FORMAT)
    assert run(case)["severity"].tolist() == ["medium"]


# ---- what was to expect ---------------------------------------------------------------------


def test_what_is_daily_is_usual(four_days) -> None:
    assert four_days["daily"].empty


def test_a_bastion_reaches_one_host_more(four_days) -> None:
    assert four_days["bastion"].empty
    assert not four_days["no bastion"].empty


def test_a_cluster_gets_a_node_more(four_days) -> None:
    assert four_days["cluster"].empty


def test_a_group_that_grows_goes_where_its_like_went(four_days) -> None:
    assert four_days["group"].empty


def test_a_service_that_moved_is_called_by_many(four_days) -> None:
    assert four_days["moved"].empty


def test_a_new_host_has_no_past_but_may_do_too_much(four_days) -> None:
    assert four_days["two"].empty
    found = four_days["three"]
    assert found[["subject", "severity"]].to_numpy().tolist() == [[NEW, "medium"]]


def test_web_ports_external_and_unanswered_connections_do_not_count(four_days) -> None:
    assert four_days["others"].empty


def test_hosts_that_always_open_new_connections_are_not_reported(tmp_path: Path) -> None:
    restless = [f"10.8.{n}.7" for n in range(6)]
    records = alive(HOST, *restless)
    for n, host in enumerate(restless):  # one new database every ten hours, each day, the same pace
        targets = [f"10.9.{n}.{turn}" for turn in range(9)]
        records += [
            r
            for turn, at in enumerate(targets)
            for r in ssh(host, [at], turn * 10 * HOUR + n, 3306)
        ]
    records += ssh(restless[0], [f"10.8.77.{n}" for n in range(40)], 3.1 * DAY)
    found = run(make_case(tmp_path, records))
    assert found[["subject", "severity"]].to_numpy().tolist() == [[restless[0], "high"]]


# ---- too short, too many, refusals too --------------------------------------------------------


def test_short_logs_have_no_baseline_and_the_caveat_reports_it(tmp_path: Path) -> None:
    day, hosts = alive(HOST, days=1), [f"10.0.{n}.1" for n in range(9)]
    one, many, early, attempt = run_each(
        tmp_path,
        "lateral-movement",
        [*day, *ssh(HOST, [DB], 20 * HOUR)],
        [*day, *ssh(HOST, hosts, 20 * HOUR)],
        [*day, *ssh(HOST, hosts[:7], 60), *ssh(HOST, hosts[7:], 7200)],
        [*day, reject(HOST, DB, 22, T0 + 9 * HOUR)],
    )
    assert one.empty
    (row,) = many.to_dict("records")
    assert (row["severity"], row["title"]) == ("low", "New internal connections")
    assert "too short for a baseline" in row["caveats"]
    assert early.empty  # in use when the logs begin
    (row,) = attempt.to_dict("records")
    assert (row["severity"], row["title"]) == ("medium", "Rejected internal connection attempts")
    assert "too short for a baseline" in row["caveats"]


def test_rejected_and_new_connections_are_one_finding(four_days) -> None:
    (row,) = four_days["rejected"].to_dict("records")
    assert (row["severity"], row["title"]) == ("medium", "Rejected internal connection attempts")
    assert row["peers"] == ["10.0.1.1", DB]
    assert f"{move(HOST, 2)} attempted 1 connection to 1 internal service" in row["summary"]
    assert (
        "connected for the first time in the logs to 1 internal service on 1 host" in row["summary"]
    )
    assert pd.isna(row["service_port"])


def test_of_many_low_findings_the_largest_are_listed(tmp_path: Path) -> None:
    hosts = [f"10.{n}.0.5" for n in range(1, 6)]
    records = alive(*hosts, *(f"10.{n}.9.1" for n in range(1, 6)))
    records += [r for n, host in enumerate(hosts, 1) for r in ssh(host, [f"10.{n}.9.1"], 3 * DAY)]
    records += ssh(hosts[4], ["10.5.8.1"], 3.1 * DAY)
    case = make_case(tmp_path, records)
    assert len(lateral_movement.find(case)) == 5
    told = lateral_movement.find(case, most_low=2)
    assert [one.subject for one in told] == ["10.1.0.5", "10.5.0.5"]
    assert "5 hosts have such connections; 2 are listed." in told[0].caveats


@pytest.mark.parametrize(("services", "start", "every", "severity"), WRONG_SETTINGS)
def test_a_service_that_rejects_all_day_is_a_wrong_setting(
    four_days, services: int, start: int, every: int, severity: str | None
) -> None:
    found = four_days[services, start, every]
    assert found["severity"].tolist() == ([severity] if severity else [])


@pytest.mark.parametrize("window", [60, 600])
def test_sudden_connections_in_a_short_log_are_reported_with_their_caveat(
    tmp_path: Path, window: int
) -> None:
    target, hop = "10.0.1.33", "10.0.3.3"
    records = []
    for host in (HOST, hop):
        for minute in range(0, 40, 4):
            records += connect(
                host, SAAS, 443, T0 + 60 * minute, source_port=45_000 + minute, window=window
            )
    for n, port in enumerate((445, 135, 5985, 3389, 22)):
        records += connect(
            HOST, target, port, T0 + 1500 + 60 * n, source_port=40_000 + n, window=window
        )
    # Another host had opened as many connections to it before: a chain.
    earlier = [
        record
        for n, port in enumerate((445, 5985, 3389))
        for record in connect(
            hop, HOST, port, T0 + 1250 + 20 * n, source_port=41_000 + n, window=window
        )
    ]
    fields = FIELDS if window == 60 else DEFAULT_FORMAT
    one, chain = run_each(
        tmp_path, "lateral-movement", records, [*records, *earlier], fields=fields
    )
    (row,) = one.to_dict("records")
    assert (row["severity"], row["title"]) == ("low", "New internal connections")
    assert (row["subject"], row["peer"], row["connections"]) == (HOST, target, 5)
    sentence = "connected for the first time in the logs to 5 internal services on 1 host from"
    assert f"{move(HOST, 1)} {sentence}" in row["summary"]
    assert "too short for a baseline: what it usually connects to is not known" in row["caveats"]
    severities = dict(zip(chain["subject"], chain["severity"], strict=True))
    assert severities == {HOST: "medium", hop: "low"}
