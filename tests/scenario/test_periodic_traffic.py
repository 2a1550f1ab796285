"""Ordinary periodic traffic: every kind is there, and has the shape that its name says."""

from __future__ import annotations

import numpy as np
import pytest

from flowbench.scenario.bulk import BACKSCATTER, REJECTED_BACKSCATTER, Traffic
from flowbench.scenario.intrusion_settings import DEVELOPMENT
from flowbench.scenario.periodic_traffic import KINDS, add_periodic_traffic
from flowbench.scenario.random_network import HOUR, RandomNetwork, add_hosts

FIRST = 1_788_220_800


@pytest.fixture(scope="module")
def network() -> RandomNetwork:
    rng = np.random.default_rng(5)
    network = RandomNetwork(DEVELOPMENT.network, rng, Traffic(rng), FIRST, 2)
    add_hosts(network)
    add_periodic_traffic(network, DEVELOPMENT)
    return network


def columns(network: RandomNetwork, kind: str) -> dict[str, np.ndarray]:
    every = network.traffic.columns()
    own = every["kind"] == network.traffic.kinds.index(kind)
    return {name: column[own] for name, column in every.items()}


def test_every_kind_is_there(network: RandomNetwork) -> None:
    assert set(network.traffic.kinds) == set(KINDS)


@pytest.mark.parametrize(
    "kind", ["internal-check", "internal-agent", "cron", "scrape", "connection-pool", "heartbeat"]
)
def test_internal_kinds_stay_internal_and_have_few_callers(
    network: RandomNetwork, kind: str
) -> None:
    c, internal = columns(network, kind), np.asarray(network.traffic.internal)
    assert internal[c["src"]].all()
    assert internal[c["dst"]].all()
    callers = {(int(dst), int(port)): set() for dst, port in zip(c["dst"], c["port"], strict=True)}
    for src, dst, port in zip(c["src"], c["dst"], c["port"], strict=True):
        callers[int(dst), int(port)].add(int(src))
    assert max(map(len, callers.values())) <= 4


def test_checks_are_equal_and_several_in_a_window(network: RandomNetwork) -> None:
    c = columns(network, "internal-check")
    for src in np.unique(c["src"]):
        own = c["src"] == src
        assert len(np.unique(c["bytes_out"][own])) == 1
        one = np.sort(c["start"][own & (c["dst"] == c["dst"][own][0])])
        assert np.median(np.diff(one)) <= DEVELOPMENT.check_seconds[1] * 1.1
    assert len(np.unique(c["dst"])) >= DEVELOPMENT.check_targets[0]


def test_pools_open_their_connections_together(network: RandomNetwork) -> None:
    c = columns(network, "connection-pool")
    for src in np.unique(c["src"]):
        gaps = np.diff(np.sort(c["start"][c["src"] == src]))
        assert (gaps < 2).sum() >= (gaps > 60).sum() >= 10


@pytest.mark.parametrize(("kind", "least"), [("short-lived-worker", 4), ("lone-worker", 1)])
def test_workers_live_for_some_hours_of_the_log(
    network: RandomNetwork, kind: str, least: int
) -> None:
    c = columns(network, kind)
    every = network.traffic.columns()
    workers = np.unique(c["src"])
    assert len(workers) >= least
    for worker in workers:
        lived = every["start"][(every["src"] == worker) | (every["dst"] == worker)]
        assert HOUR < np.ptp(lived) <= DEVELOPMENT.worker_hours[1] * HOUR
        sent = c["bytes_out"][c["src"] == worker]
        assert np.std(sent) < 0.1 * np.mean(sent)
        # Like instances send the same to the same collectors.
        assert np.mean(sent) == pytest.approx(np.mean(c["bytes_out"]), rel=0.02)
        assert set(c["dst"][c["src"] == worker]) == set(c["dst"])


def test_backscatter_comes_from_outside_and_gets_no_answer(network: RandomNetwork) -> None:
    c, internal = columns(network, "backscatter"), np.asarray(network.traffic.internal)
    assert set(c["state"]) == {BACKSCATTER, REJECTED_BACKSCATTER}
    assert not internal[c["src"]].any()
    assert set(c["sport"]) <= {22, 80, 443}
    every = network.traffic.columns()
    pairs = set(zip(c["dst"].tolist(), c["src"].tolist(), strict=True))
    assert not pairs & set(zip(every["src"].tolist(), every["dst"].tolist(), strict=True))


def test_the_office_logs_in_from_the_first_day_on(network: RandomNetwork) -> None:
    c = columns(network, "office-session")
    assert len(np.unique(c["src"])) == 1
    assert (np.bincount(((c["start"] - FIRST) // 86_400).astype(int)) > 0).all()
