"""Traffic of an intruder: each step has its facts and indicators."""

from __future__ import annotations

from itertools import pairwise

import pytest

from flowbench.scenario.exercises import intruder_traffic as traffic
from flowbench.scenario.exercises.recorder import Recorder
from flowbench.scenario.network import Host

SOURCE = "192.0.2.250"


@pytest.fixture
def host(recorder: Recorder) -> Host:
    recorder.connections.clear()
    recorder.queries.clear()
    return recorder.organisation.pick("web")


def activities(recorder: Recorder) -> list[str]:
    return [fact.activity for fact in recorder.key.facts]


def test_a_miner_looks_the_pool_up_and_stays(recorder: Recorder, host: Host) -> None:
    at, until = recorder.organisation.first + 3_600.0, recorder.organisation.last - 3_600.0
    added = traffic.mine(recorder, host, at, until)
    assert added[-1].start + added[-1].seconds == pytest.approx(until, abs=120)
    (query,) = recorder.queries
    pool = added[0].responder
    assert query["answers"][0]["Rdata"] == pool
    assert activities(recorder)[:3] == ["DNS query", "mining begins", "mining ends"]
    values = [indicator.value for indicator in recorder.key.indicators]
    assert values == [query["query_name"].rstrip("."), pool]


def test_check_ins_are_regular(recorder: Recorder, host: Host) -> None:
    traffic.beacon(recorder, host, 1e9, 1e9 + 36_000)
    starts = [x.start for x in recorder.connections]
    gaps = [later - earlier for earlier, later in pairwise(starts)]
    assert len(gaps) > 80
    assert max(gaps) < 1.25 * min(gaps)


def test_sessions_are_longer_than_failed_logins(recorder: Recorder, host: Host) -> None:
    end = traffic.guess_passwords(recorder, SOURCE, host, 1e9)
    failed = list(recorder.connections)
    traffic.open_session(recorder, SOURCE, host, end)
    session = recorder.connections[-1]
    assert max(x.seconds for x in failed) < 5
    assert session.seconds >= 400
    assert max(x.bytes_out for x in failed) < session.bytes_out
    assert activities(recorder) == ["login attempts", "administrative session"]


def test_attempts_and_scans_are_rejected(recorder: Recorder, host: Host) -> None:
    stores = recorder.organisation.with_role("rds")
    end = traffic.try_services(recorder, host, [(store, 3306) for store in stores], 1e9)
    traffic.scan(recorder, SOURCE, [host.address], range(10), end)
    assert all(x.rejected for x in recorder.connections)
    assert {x.responder for x in recorder.connections} == {
        host.address,
        *(store.address for store in stores),
    }
    assert activities(recorder) == ["rejected attempts"] * len(stores) + ["scan"]


def test_data_goes_out_in_parts(recorder: Recorder, host: Host) -> None:
    server = traffic.send_out(recorder, host, 1e9, 9e9, parts=5)
    sent = [x for x in recorder.connections if x.responder == server]
    assert len(sent) == 5
    assert sum(x.bytes_out for x in sent) == pytest.approx(9e9, rel=0.1)


def test_movement_involves_both_hosts(recorder: Recorder, host: Host) -> None:
    other = recorder.organisation.pick("app")
    traffic.open_internal_session(recorder, host, other, 1e9)
    assert recorder.key.involved == [host.address, other.address]
