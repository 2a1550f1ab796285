"""Flow log files of many connections at once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from flowbench.scenario import bulk
from flowbench.scenario.bulk import ANSWERED, REJECTED, UNANSWERED, Traffic

START = 1_788_220_800


@pytest.fixture
def traffic() -> Traffic:
    traffic = Traffic(np.random.default_rng(1))
    for name in ("10.0.0.1", "10.0.0.2"):
        traffic.address(name, internal=True)
    traffic.address("192.0.2.1")
    return traffic


def write(traffic: Traffic, folder, **options) -> pd.DataFrame:
    settings = {"first": START, "last": START + 86_400, "window": 60, "flags": True}
    settings |= {"window_times": True, "files": 1} | options
    count = bulk.write(traffic, folder, **settings)
    frame = pd.read_csv(folder / "flows-00.log", sep=" ")
    assert len(frame) == count
    return frame


def test_internal_connections_are_logged_at_both_ends(traffic, tmp_path) -> None:
    traffic.add("web", 0, 1, 443, START + 600, 800, 2_400, seconds=0.0, sport=40_000)
    frame = write(traffic, tmp_path)
    assert frame.groupby("interface-id")["bytes"].sum().tolist() == [3_200, 3_200]
    assert sorted(frame["flow-direction"]) == ["egress", "egress", "ingress", "ingress"]
    assert set(frame["end"] - frame["start"]) == {59}
    assert sorted(frame["tcp-flags"]) == [3, 3, 19, 19]


def test_external_connections_are_logged_at_the_internal_end(traffic, tmp_path) -> None:
    traffic.add("web", 0, 2, 443, START + 600, seconds=0.0)
    assert set(write(traffic, tmp_path)["interface-id"]) == {bulk.interface(0)}


@pytest.mark.parametrize(
    ("state", "actions"), [(REJECTED, ["ACCEPT", "REJECT"]), (UNANSWERED, ["ACCEPT", "ACCEPT"])]
)
def test_connections_without_reply_have_one_direction(traffic, tmp_path, state, actions) -> None:
    traffic.add("scan", 0, 1, 22, START + 600, 60, seconds=0.0, state=state, packet=(60, 60))
    frame = write(traffic, tmp_path)
    assert sorted(frame["action"]) == actions
    assert set(frame["srcaddr"]) == {"10.0.0.1"}
    assert set(frame["packets"]) == {1}


def test_gaps_have_no_records(traffic, tmp_path) -> None:
    traffic.add("stream", 0, 2, 443, START + 600, seconds=7_200.0, state=ANSWERED)
    frame = write(traffic, tmp_path, gaps=[(0, START + 3_000, START + 4_000)])
    assert not ((frame["end"] > START + 3_000) & (frame["start"] < START + 4_000)).any()
    assert (frame["start"] > START + 4_000).any()


def test_numbers_hold_for_all_and_no_connection_adds_nothing(traffic) -> None:
    traffic.add("none", 0, 2, 443, [])
    traffic.add("web", 0, [1, 2], 443, [START, START + 1], [10, 20])
    columns = traffic.columns()
    assert columns["src"].tolist() == [0, 0]
    assert columns["bytes_out"].tolist() == [10, 20]
    assert traffic.pairs() == [(0, 1, "web"), (0, 2, "web")]


def test_version_2_has_no_flags(traffic, tmp_path) -> None:
    traffic.add("web", 0, 2, 443, START + 600)
    frame = write(traffic, tmp_path, flags=False)
    assert list(frame) == bulk.V2.split(" ")
    assert set(frame["version"]) == {2}
