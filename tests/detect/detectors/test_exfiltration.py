"""Far more than a usual day leaves is found; nightly jobs, shared places and busy hosts are not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flowbench.schema import DEFAULT_FORMAT
from tests.detect.detectors.common import run
from tests.traffic import T0, Record, connect, interface, make_case

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


def test_spread_over_all_days_it_is_found_too(tmp_path: Path) -> None:
    hours = [3, 9, 17, 26, 39, 45, 50, 61, 66, 70]
    parts = [r for n, hour in enumerate(hours) for r in sent(T0 + hour * HOUR, 5e6, n=n)]
    (row,) = run(make_case(tmp_path, [*usual(), *parts]), "exfiltration").to_dict("records")
    assert (row["peer"], row["connections"]) == (DROP, 10)


def test_a_gigabyte_or_a_listed_place_makes_it_high(tmp_path: Path) -> None:
    case = make_case(tmp_path / "1", [*usual(), *sent(T0 + 40 * HOUR, 2e9)])
    assert run(case, "exfiltration")["severity"].tolist() == ["high"]
    listed = f"indicator,kind,feed\n{DROP},c2,list\n"
    case = make_case(tmp_path / "2", [*usual(), *sent(T0 + 40 * HOUR, 60e6)], indicators=listed)
    assert run(case, "exfiltration")["severity"].tolist() == ["high"]
    over = f"indicator,kind,feed,valid_until\n{DROP},c2,list,2026-08-31\n"
    case = make_case(tmp_path / "3", [*usual(), *sent(T0 + 40 * HOUR, 60e6)], indicators=over)
    assert run(case, "exfiltration")["severity"].tolist() == ["medium"]


def test_two_thefts_from_one_host_do_not_excuse_each_other(tmp_path: Path) -> None:
    both = [*sent(T0 + 40 * HOUR, 60e6), *sent(T0 + 50 * HOUR, 90e6, peer="198.51.100.10", n=1)]
    found = run(make_case(tmp_path, [*usual(), *both]), "exfiltration")
    assert found["peer"].tolist() == ["198.51.100.10", DROP]
    assert (
        "10 times its daily average to all other external addresses (6.1 MB"
        in found["summary"].iloc[1]
    )


@pytest.mark.parametrize(("size", "count", "found"), [(5e6, 8, 0), (5e6, 12, 1), (25e6, 2, 1)])
def test_a_few_attachments_are_no_theft(
    tmp_path: Path, size: float, count: int, found: int
) -> None:
    files = [r for n in range(count) for r in sent(T0 + (9 + 5 * n) * HOUR, size, n=n)]
    case = make_case(tmp_path, [*usual(out=100_000), *files])
    assert len(run(case, "exfiltration")) == found


def test_two_attachments_of_one_hour_are_two(tmp_path: Path) -> None:
    late = sent(T0 + 40 * HOUR + 3_000, 12e6, n=1)
    case = make_case(tmp_path / "1", [*usual(out=100_000), *sent(T0 + 40 * HOUR, 11e6), *late])
    assert run(case, "exfiltration").empty
    soon = sent(T0 + 40 * HOUR + 900, 12e6, n=1)
    case = make_case(tmp_path / "2", [*usual(out=100_000), *sent(T0 + 40 * HOUR, 11e6), *soon])
    assert run(case, "exfiltration")["bytes_out"].tolist() == [22_999_999]


@pytest.mark.parametrize(
    ("hour", "size", "hosts", "days", "found"),
    [
        (2.0, 80e6, 4, 1, 0),  # as the others do it
        (2.4, 80e6, 4, 1, 0),
        (9.0, 80e6, 4, 1, 1),  # at another hour
        (2.0, 300e6, 4, 1, 1),  # more than any of them
        (2.0, 80e6, 3, 1, 1),  # three make no common destination
        (2.0, 80e6, 4, 3, 1),  # of three nights it came in one only
    ],
)
def test_in_logs_of_one_day_the_estates_backup_window_tells(
    tmp_path: Path, hour: float, size: float, hosts: int, days: int, found: int
) -> None:
    night = [
        r
        for n in range(hosts)
        for r in connect(f"10.0.0.{n + 20}", "192.0.2.7", 443, T0 + 2 * HOUR + 300 * n, seconds=900,
                      out=100_000_000)
    ]  # fmt: skip
    case = make_case(tmp_path, [*usual(days=days), *night, *sent(int(T0 + hour * HOUR), size)])
    assert [row for row in run(case, "exfiltration")["peer"] if row == DROP] == [DROP] * found


def test_it_may_be_fetched_from_outside(tmp_path: Path) -> None:
    fetched = connect(DROP, HOST, 22, T0 + 30 * HOUR, seconds=900, out=50_000, back=90_000_000)
    (row,) = run(make_case(tmp_path, [*usual(), *fetched]), "exfiltration").to_dict("records")
    assert "(initiated by the peer)" in row["summary"]
    assert row["bytes_out"] > 89_000_000


def test_the_nightly_job_and_the_usual_are_silent(tmp_path: Path) -> None:
    nightly = [r for d in range(3) for r in sent(T0 + d * DAY + 2 * HOUR, 80e6, n=d)]
    assert run(make_case(tmp_path / "1", [*usual(), *nightly]), "exfiltration").empty
    busy = [*usual(out=1_500_000), *sent(T0 + 40 * HOUR, 60e6)]
    assert run(make_case(tmp_path / "3", busy), "exfiltration").empty
    both_ways = connect(HOST, DROP, 443, T0, seconds=600, out=60_000_000, back=60_000_000)
    assert run(make_case(tmp_path / "4", [*usual(), *both_ways]), "exfiltration").empty


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


@pytest.mark.parametrize("count", [1, 3, 4, 12])
@pytest.mark.parametrize("size", [400_000, 14_000_000])
def test_that_others_newly_send_there_excuses_nothing(
    tmp_path: Path, count: int, size: int
) -> None:
    records = [
        *usual(out=100_000),
        *sent(T0 + 40 * HOUR, 14e6),
        *senders(count, T0 + 40 * HOUR, size),
    ]
    found = run(make_case(tmp_path, records), "exfiltration")
    (own,) = found[found["subject"] == HOST].to_dict("records")
    # Hosts with 6 MB a day are not beyond their baseline at 14 MB.
    several = count + 1 >= 3 and size >= 1_000_000
    assert own["severity"] == ("high" if several else "medium")
    assert (f"{count + 1} internal hosts sent data to {DROP}" in own["summary"]) == several


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
    found = run(make_case(tmp_path / "six", [*quiet, *parts]), "exfiltration")
    assert sorted(found["subject"]) == hosts
    assert set(found["severity"]) == {"high"}
    one = run(make_case(tmp_path / "one", [*quiet, *parts[:14]]), "exfiltration")
    assert one.empty


@pytest.mark.parametrize(("count", "found"), [(4, 0), (2, 1)])
def test_an_established_service_of_several_hosts_is_silent(
    tmp_path: Path, count: int, found: int
) -> None:
    others = senders(count, 0, 9_000_000, days=4)
    records = [*usual(days=4), *others, *sent(T0 + 60 * HOUR, 80e6)]
    rows = run(make_case(tmp_path, records), "exfiltration")
    assert (rows["subject"] == HOST).sum() == found


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


@pytest.mark.parametrize("collectors", [1, 3])
@pytest.mark.parametrize(("hours", "size"), [(20, 80_000), (5, 200_000), (9, 60_000)])
def test_a_worker_that_sends_steadily_all_its_life_is_silent(
    tmp_path: Path, collectors: int, hours: float, size: int
) -> None:
    records = [*log(), *worker(hours, size, collectors=collectors)]
    assert run(make_case(tmp_path, records), "exfiltration").empty


@pytest.mark.parametrize(("window", "fields"), [(60, None), (600, DEFAULT_FORMAT)])
@pytest.mark.parametrize(("hours", "size"), [(20, 800_000), (2, 400_000)])
def test_one_that_sends_much_or_lives_for_less_than_four_hours_is_low(
    tmp_path: Path, hours: float, size: int, window: int, fields: list[str] | None
) -> None:
    records = [*log(), *worker(hours, size, collectors=3, window=window)]
    case = make_case(tmp_path, records, **({"fields": fields} if fields else {}))
    (row,) = run(case, "exfiltration").to_dict("records")
    assert (row["subject"], row["severity"], len(row["peers"])) == (WORKER, "low", 3)
    assert "times" not in row["summary"]
    assert "sent 0 B to all other external addresses in the" in row["summary"]
    assert row["bytes_out"] == pytest.approx(size * 3 * hours * 30, rel=0.05)


@pytest.mark.parametrize(
    ("begins", "found"),
    [
        ((6, 30, 80), 0),  # a fleet
        ((80, 81, 82), 3),  # launched together
        ((6, 80), 2),
    ],
)
def test_workers_launched_one_after_the_other_are_a_fleet(
    tmp_path: Path, begins: tuple[float, ...], found: int
) -> None:
    fleet = [
        r
        for n, begin in enumerate(begins)
        for r in worker(5, 3_000_000, host=f"10.0.{n}.77", begin=begin, every=360)
    ]
    rows = run(make_case(tmp_path, [*log(), *fleet]), "exfiltration")
    assert rows["severity"].tolist() == ["low"] * found


def test_an_agent_that_several_hosts_begin_to_use_is_not_high(tmp_path: Path) -> None:
    def records(step: int, size: int) -> list[Record]:
        return [
            r
            for n in range(4)
            for hour in range(40, 72, step)
            for r in connect(
                f"10.0.{n}.5", DROP, 443, T0 + hour * HOUR, source_port=50_000 + hour, out=size,
                back=900,
            )
        ]  # fmt: skip

    hosts = [r for n in range(4) for r in usual(f"10.0.{n}.5", out=20_000)]
    steady = run(make_case(tmp_path / "agent", [*hosts, *records(1, 1_000_000)]), "exfiltration")
    assert set(steady["severity"]) == {"medium"}
    bursts = run(make_case(tmp_path / "theft", [*hosts, *records(8, 8_000_000)]), "exfiltration")
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
    hosts = [interface(WORKER, "w", Ipv6Addresses=[{"Ipv6Address": "2001:db8:1::77"}])]
    start = connect(host, peer.format(9), 443, T0 + 49 * HOUR - 300, interface_id="eni-w")
    case = make_case(tmp_path / "1", [*log(), *start, *burst], interfaces=hosts)
    (row,) = run(case, "exfiltration").to_dict("records")
    assert (row["subject"], row["severity"], row["bytes_out"] >= 39e9) == (host, "high", True)
    flood = worker(6, 100_000_000, host=host, peer=peer, interface_id="eni-w")  # 3 GB an hour
    case = make_case(tmp_path / "2", [*log(), *flood], interfaces=hosts)
    (row,) = run(case, "exfiltration").to_dict("records")
    assert (row["subject"], row["severity"]) == (host, "high")


@pytest.mark.parametrize(("size", "found"), [(60_000_000, 0), (400_000_000, 1)])
def test_a_new_host_is_compared_with_its_like(tmp_path: Path, size: int, found: int) -> None:
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
    rows = run(make_case(tmp_path, [*log(), *like, *batch(WORKER, 80, size)]), "exfiltration")
    rows = rows[rows["subject"] == WORKER]
    assert len(rows) == found
    if found:
        assert "8 times the daily median of similar hosts (50.0 MB)" in rows["summary"].iloc[0]


def people(host: str) -> list[Record]:
    """Page visits to networks that no other host visits."""
    third = int(host.rsplit(".", 1)[1])
    return [
        r
        for n in range(5)
        for r in connect(host, f"198.18.{third}{n}.7", 443, T0 + 9 * HOUR, out=900, back=60_000)
    ]


@pytest.mark.parametrize(
    ("browse", "spread", "days", "found"),
    [
        (True, 1.5, 1, 0),  # colleagues use the service during the day
        (False, 1.5, 1, 5),  # servers
        (True, 0.1, 1, 5),  # all within half an hour
        (True, 1.5, 3, 5),  # in longer logs a new service is new
    ],
)
def test_files_that_people_send_to_a_service_in_logs_of_a_day(
    tmp_path: Path, browse: bool, spread: float, days: int, found: int
) -> None:
    hosts = [f"10.0.0.{n}" for n in range(11, 16)]
    records = [r for host in hosts for r in usual(host, out=50_000, days=days)]
    for n, host in enumerate(hosts):
        at = T0 + int((24 * (days - 1) + 10 + spread * n) * HOUR)
        records += connect(host, DROP, 443, at, seconds=120, out=45_000_000, back=9_000)
        records += people(host) if browse else []
    assert len(run(make_case(tmp_path, records), "exfiltration")) == found
