"""Far more than a usual day leaves is found; nightly jobs, shared places and busy hosts are not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flowbench.schema import DEFAULT_FORMAT
from tests.detect.detectors.common import run, run_each
from tests.traffic import T0, Record, connect, interface, make_case, move

HOST, DROP, SAAS = "10.0.0.5", "198.51.100.9", "203.0.113.200"
HOUR, DAY = 3_600, 86_400


def usual(host: str = HOST, *, out: int = 250_000, days: int = 3) -> Iterator[Record]:
    """6 MB a day to a service that several hosts use."""
    for n in range(24 * days):
        yield from connect(host, SAAS, 443, T0 + n * HOUR, source_port=33_000 + n, out=out)


def sent(at: int, size: float, *, peer: str = DROP, n: int = 0, **more: object) -> list[Record]:
    return list(
        connect(HOST, peer, 443, at, seconds=600, out=int(size), back=90_000,
             source_port=50_000 + n, **more)
    )  # fmt: skip


def test_in_one_go_it_is_found_with_its_measure(tmp_path: Path) -> None:
    case = make_case(tmp_path, [*usual(), *sent(T0 + 40 * HOUR, 60e6)], fields=DEFAULT_FORMAT)
    (row,) = run(case, "exfiltration").to_dict("records")
    assert (row["subject"], row["peer"], row["severity"]) == (HOST, DROP, "medium")
    assert (row["bytes_out"], row["service_port"]) == (59_999_995, 443)
    assert "10 times its daily average to all other external addresses (6.1 MB" in row["summary"]


def test_the_form_of_a_theft(tmp_path: Path) -> None:
    hours = [3, 9, 17, 26, 39, 45, 50, 61, 66, 70]
    spread = [r for n, hour in enumerate(hours) for r in sent(T0 + hour * HOUR, 5e6, n=n)]
    both = [*sent(T0 + 40 * HOUR, 60e6), *sent(T0 + 50 * HOUR, 90e6, peer="198.51.100.10", n=1)]
    fetched = connect(DROP, HOST, 22, T0 + 30 * HOUR, seconds=900, out=50_000, back=90_000_000)
    parts, two, gets = run_each(
        tmp_path, "exfiltration", *([*usual(), *theft] for theft in (spread, both, fetched))
    )
    # Spread over all days it is found too.
    assert parts[["peer", "connections"]].to_numpy().tolist() == [[DROP, 10]]
    # Two thefts from one host do not excuse each other.
    assert two["peer"].tolist() == ["198.51.100.10", DROP]
    assert (
        "10 times its daily average to all other external addresses (6.1 MB"
        in two["summary"].iloc[1]
    )
    # It may be fetched from outside.
    (row,) = gets.to_dict("records")
    assert "(initiated by the peer)" in row["summary"]
    assert row["bytes_out"] > 89_000_000


def test_a_gigabyte_or_a_listed_place_makes_it_high(tmp_path: Path) -> None:
    listed, over = move(DROP, 2), move(DROP, 3)
    found = run_each(
        tmp_path,
        "exfiltration",
        *([*usual(), *sent(T0 + 40 * HOUR, size)] for size in (2e9, 60e6, 60e6)),
        indicators="indicator,kind,feed,valid_until\n"
        f"{listed},c2,list,\n{over},c2,list,2026-08-31\n",
    )
    assert [rows["severity"].tolist() for rows in found] == [["high"], ["high"], ["medium"]]


def test_a_few_attachments_are_no_theft(tmp_path: Path) -> None:
    cases = [(5e6, 8, 0), (5e6, 12, 1), (25e6, 2, 1)]
    records = [
        [r for n in range(count) for r in sent(T0 + (9 + 5 * n) * HOUR, size, n=n)]
        for size, count, _found in cases
    ]
    first = sent(T0 + 40 * HOUR, 11e6)
    # Two of one hour are two, unless the second follows soon.
    late, soon = (sent(T0 + 40 * HOUR + after, 12e6, n=1) for after in (3_000, 900))
    records += [[*first, *late], [*first, *soon]]
    found = run_each(tmp_path, "exfiltration", *([*usual(out=100_000), *some] for some in records))
    assert [len(rows) for rows in found[:3]] == [count for *_, count in cases]
    assert found[3].empty
    assert found[4]["bytes_out"].tolist() == [22_999_999]


def night(hosts: int) -> list[Record]:
    """Backups of 100 MB of some hosts to one address, at two."""
    return [
        r
        for n in range(hosts)
        for r in connect(f"10.0.0.{n + 20}", "192.0.2.7", 443, T0 + 2 * HOUR + 300 * n, seconds=900,
                      out=100_000_000)
    ]  # fmt: skip


def test_in_logs_of_one_day_the_estates_backup_window_tells(tmp_path: Path) -> None:
    cases = {  # by host: hour, size, found
        5: (2.0, 80e6, 0),  # as the others do it
        6: (2.4, 80e6, 0),
        7: (9.0, 80e6, 1),  # at another hour
        8: (2.0, 300e6, 1),  # more than any of them
    }
    records = night(4)
    for n, (hour, size, _found) in cases.items():
        host, at = f"10.0.0.{n}", T0 + int(hour * HOUR)
        records += usual(host, days=1)
        records += connect(
            host, f"198.51.100.{n}", 443, at, seconds=600, out=int(size), back=90_000,
            interface_id=f"eni-{n}",
        )  # fmt: skip
    found = run(make_case(tmp_path, records), "exfiltration")
    subjects = found[found["peer"].str.startswith("198.51.100.")]["subject"]
    assert sorted(subjects) == [f"10.0.0.{n}" for n, (*_, found) in cases.items() if found]


@pytest.mark.parametrize(
    ("hosts", "days"),
    [
        (3, 1),  # three make no common destination
        (4, 3),  # of three nights it came in one only
    ],
)
def test_there_is_no_backup_window(tmp_path: Path, hosts: int, days: int) -> None:
    records = [*usual(days=days), *night(hosts), *sent(T0 + 2 * HOUR, 80e6)]
    found = run(make_case(tmp_path, records), "exfiltration")
    assert found["peer"].tolist().count(DROP) == 1


def test_the_nightly_job_and_the_usual_are_silent(tmp_path: Path) -> None:
    nightly = [r for d in range(3) for r in sent(T0 + d * DAY + 2 * HOUR, 80e6, n=d)]
    busy = [*usual(out=1_500_000), *sent(T0 + 40 * HOUR, 60e6)]
    both_ways = connect(HOST, DROP, 443, T0, seconds=600, out=60_000_000, back=60_000_000)
    found = run_each(tmp_path, "exfiltration", [*usual(), *nightly], busy, [*usual(), *both_ways])
    assert [len(rows) for rows in found] == [0, 0, 0]


def senders(count: int, at: int, size: int, *, days: int = 0) -> list[Record]:
    """Other hosts that live as long as the logs and send to the same address, daily if ``days``."""
    records = []
    for n in range(count):
        host = f"10.0.7.{n + 20}"
        records += usual(host)
        for day in range(max(days, 1)):
            begun = (at if not days else T0 + 5 * HOUR + day * DAY) + 60 * n
            records += connect(
                host, DROP, 443, begun, source_port=52_000 + day, seconds=300, out=size, back=9_000
            )
    return records


def test_that_others_newly_send_there_excuses_nothing(tmp_path: Path) -> None:
    cases = [(count, size) for count in (1, 3, 4, 12) for size in (400_000, 14_000_000)]
    theft = [*usual(out=100_000), *sent(T0 + 40 * HOUR, 14e6)]
    found = run_each(
        tmp_path,
        "exfiltration",
        *([*theft, *senders(count, T0 + 40 * HOUR, size)] for count, size in cases),
    )
    for n, (count, size) in enumerate(cases):
        (own,) = found[n][found[n]["subject"] == HOST].to_dict("records")
        # Hosts with 6 MB a day are not beyond their baseline at 14 MB.
        several = count + 1 >= 3 and size >= 1_000_000
        assert own["severity"] == ("high" if several else "medium"), (count, size)
        sentence = f"{count + 1} internal hosts sent data to {move(DROP, n + 1)}"
        assert (sentence in own["summary"]) == several, (count, size)


def test_a_theft_in_parts_by_several_hosts_is_found(tmp_path: Path) -> None:
    hosts = [f"10.0.0.{n}" for n in range(20, 26)]
    quiet = [r for host in hosts for r in usual(host, out=20_000)]
    parts = [
        r
        for n, host in enumerate(hosts)
        for r in connect(
            host, DROP, 443, T0 + (40 + n) * HOUR, seconds=300, out=4_000_000, back=900
        )
    ]
    found, one = run_each(tmp_path, "exfiltration", [*quiet, *parts], [*quiet, *parts[:14]])
    assert sorted(found["subject"]) == hosts
    assert set(found["severity"]) == {"high"}
    assert one.empty


def test_an_established_service_of_several_hosts_is_silent(tmp_path: Path) -> None:
    four, two = run_each(
        tmp_path,
        "exfiltration",
        *(
            [*usual(days=4), *senders(count, 0, 9_000_000, days=4), *sent(T0 + 60 * HOUR, 80e6)]
            for count in (4, 2)
        ),
    )
    assert HOST not in set(four["subject"])
    assert two["subject"].tolist().count(HOST) == 1


WORKER, COLLECTOR = "10.0.9.77", "203.0.113.{}"


def worker(
    hours: float,
    size: int,
    *,
    collectors: int = 1,
    host: str = WORKER,
    peer: str = COLLECTOR,
    begin: float = 48,
    every: int = 120,
    **more: object,
) -> list[Record]:
    """A host that sends ``size`` bytes to each collector every two minutes of its life."""
    records = []
    for n in range(int(hours * HOUR / every)):
        for k in range(collectors):
            at = T0 + int(begin * HOUR) + n * every
            records += connect(
                host, peer.format(10 + k), 443, at, source_port=33_000 + n * collectors + k,
                out=size, back=900, **more,
            )  # fmt: skip
    return records


def log(days: int = 5) -> list[Record]:
    return list(usual(days=days))


def test_a_worker_that_sends_steadily_all_its_life_is_silent(tmp_path: Path) -> None:
    workers = [
        (hours, size, collectors)
        for hours, size in ((20, 80_000), (5, 200_000), (9, 60_000))
        for collectors in (1, 3)
    ]
    records = [
        [*log(), *worker(hours, size, collectors=collectors)] for hours, size, collectors in workers
    ]
    found = run_each(tmp_path, "exfiltration", *records)
    assert [given for given, rows in zip(workers, found, strict=True) if len(rows)] == []


@pytest.mark.parametrize(("window", "fields"), [(60, None), (600, DEFAULT_FORMAT)])
def test_one_that_sends_much_or_lives_for_less_than_four_hours_is_low(
    tmp_path: Path, window: int, fields: list[str] | None
) -> None:
    workers = [(20, 800_000), (2, 400_000)]
    found = run_each(
        tmp_path,
        "exfiltration",
        *([*log(), *worker(hours, size, collectors=3, window=window)] for hours, size in workers),
        **({"fields": fields} if fields else {}),
    )
    for (hours, size), rows in zip(workers, found, strict=True):
        (row,) = rows.to_dict("records")
        assert (row["subject"], row["severity"], len(row["peers"])) == (WORKER, "low", 3)
        assert "times" not in row["summary"]
        assert "sent 0 B to all other external addresses in the" in row["summary"]
        assert row["bytes_out"] == pytest.approx(size * 3 * hours * 30, rel=0.05)


def test_workers_launched_one_after_the_other_are_a_fleet(tmp_path: Path) -> None:
    launches = {  # by hours of launch: findings
        (6, 30, 80): 0,  # a fleet
        (80, 81, 82): 3,  # launched together
        (6, 80): 2,
    }
    records = [
        [
            *log(),
            *(
                r
                for n, begin in enumerate(begins)
                for r in worker(5, 3_000_000, host=f"10.0.9{n}.77", begin=begin, every=360)
            ),
        ]
        for begins in launches
    ]
    found = run_each(tmp_path, "exfiltration", *records)
    for rows, count in zip(found, launches.values(), strict=True):
        assert rows["severity"].tolist() == ["low"] * count


def test_an_agent_that_several_hosts_begin_to_use_is_not_high(tmp_path: Path) -> None:
    def records(step: int, size: int) -> list[Record]:
        return [
            r
            for n in range(4)
            for hour in range(40, 72, step)
            for r in connect(
                f"10.0.9{n}.5", DROP, 443, T0 + hour * HOUR, source_port=50_000 + hour, out=size,
                back=900,
            )
        ]  # fmt: skip

    hosts = [r for n in range(4) for r in usual(f"10.0.9{n}.5", out=20_000)]
    steady, bursts = run_each(
        tmp_path,
        "exfiltration",
        [*hosts, *records(1, 1_000_000)],
        [*hosts, *records(8, 8_000_000)],
    )
    assert set(steady["severity"]) == {"medium"}
    assert set(bursts["severity"]) == {"high"}
    assert len(steady) == len(bursts) == 4


@pytest.mark.parametrize(
    ("host", "peer"), [(WORKER, COLLECTOR), ("2001:db8:1::77", "2001:db8:9::{}")]
)
def test_a_host_that_exists_to_take_data_out_is_found(tmp_path: Path, host: str, peer: str) -> None:
    burst = connect(
        host,
        peer.format(10),
        443,
        T0 + 49 * HOUR,
        seconds=1_500,
        out=40_000_000_000,
        back=2_000_000,
        interface_id="eni-w",
    )
    six = "2001:db8:1::77"
    hosts = [
        interface(move(WORKER, n), f"w{n}", Ipv6Addresses=[{"Ipv6Address": move(six, n)}])
        for n in (1, 2)
    ]
    start = connect(host, peer.format(9), 443, T0 + 49 * HOUR - 300, interface_id="eni-w")
    flood = worker(6, 100_000_000, host=host, peer=peer, interface_id="eni-w")  # 3 GB an hour
    bursts, floods = run_each(
        tmp_path, "exfiltration", [*log(), *start, *burst], [*log(), *flood], interfaces=hosts
    )
    (row,) = bursts.to_dict("records")
    assert (row["subject"], row["severity"], row["bytes_out"] >= 39e9) == (host, "high", True)
    (row,) = floods.to_dict("records")
    assert (row["subject"], row["severity"]) == (host, "high")


def test_a_new_host_is_compared_with_its_like(tmp_path: Path) -> None:
    def batch(host: str, begin: float, out: int) -> list[Record]:
        result = connect(
            host,
            f"198.51.7.{int(begin)}",
            443,
            T0 + int(begin * HOUR),
            seconds=300,
            out=out,
            back=9_000,
        )
        return [*connect(host, SAAS, 443, T0 + int((begin - 3) * HOUR), out=5_000), *result]

    like = [r for n in range(3) for r in batch(f"10.0.9.{n + 5}", 4 + 3 * n, 50_000_000)]
    as_much, more = run_each(
        tmp_path,
        "exfiltration",
        *([*log(), *like, *batch(WORKER, 80, size)] for size in (60_000_000, 400_000_000)),
    )
    assert WORKER not in set(as_much["subject"])
    (summary,) = more[more["subject"] == WORKER]["summary"]
    assert "8 times the daily median of similar hosts (50.0 MB)" in summary


def people(host: str) -> list[Record]:
    """Page visits to networks that no other host visits."""
    third = int(host.rsplit(".", 1)[1])
    return [
        r
        for n in range(5)
        for r in connect(host, f"198.18.{third}{n}.7", 443, T0 + 9 * HOUR, out=900, back=60_000)
    ]


def files(*, browse: bool, spread: float, days: int) -> list[Record]:
    """Files that hosts send to a service, some hours after each other."""
    hosts = [f"10.0.0.{n}" for n in range(11, 16)]
    records = [r for host in hosts for r in usual(host, out=50_000, days=days)]
    for n, host in enumerate(hosts):
        at = T0 + int((24 * (days - 1) + 10 + spread * n) * HOUR)
        records += connect(host, DROP, 443, at, seconds=120, out=45_000_000, back=9_000)
        records += people(host) if browse else []
    return records


def test_files_that_people_send_to_a_service_in_logs_of_a_day(tmp_path: Path) -> None:
    day = [
        files(browse=True, spread=1.5, days=1),  # colleagues use the service during the day
        files(browse=False, spread=1.5, days=1),  # servers
        files(browse=True, spread=0.1, days=1),  # all within half an hour
    ]
    found = run_each(tmp_path / "day", "exfiltration", *day)
    assert [len(rows) for rows in found] == [0, 5, 5]
    long = make_case(tmp_path / "long", files(browse=True, spread=1.5, days=3))
    assert len(run(long, "exfiltration")) == 5  # in longer logs a new service is new
