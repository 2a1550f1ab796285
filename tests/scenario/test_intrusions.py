"""Generated intrusions: deterministic bytes, three forms of network, complete labels."""

from __future__ import annotations

import csv
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from flowbench.scenario import intrusions
from flowbench.scenario.intrusions import FORMS
from tests.scenario.test_incidents import labels


@cache
def records(folder: Path) -> pd.DataFrame:
    paths = sorted(folder.glob("*.log"))
    return pd.concat([pd.read_csv(path, sep=" ", engine="pyarrow") for path in paths])


def planted(folder: Path) -> list[dict[str, Any]]:
    answers = json.loads((folder / "answers.json").read_text())
    return list(answers["planted"])


def test_the_same_seed_gives_the_same_bytes(
    tmp_path: Path, intrusion_folders: dict[str, Path]
) -> None:
    count = intrusions.write(tmp_path, 4, window=600)
    for path in intrusion_folders["public"].iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()
    assert json.loads((tmp_path / "answers.json").read_text())["flow_records"] == count > 100_000


@pytest.mark.parametrize("form", FORMS)
def test_every_record_has_a_label_and_every_fact_records(
    intrusion_folders: dict[str, Path], form: str
) -> None:
    frame = records(intrusion_folders[form])
    known = {(row["src"], row["dst"]) for row in labels(intrusion_folders[form])}
    pairs = frame[["srcaddr", "dstaddr"]].drop_duplicates()
    ends = set(pairs.itertuples(index=False, name=None))
    assert {(a, b) for a, b in ends if (a, b) not in known and (b, a) not in known} == set()
    facts = [fact for fact in planted(intrusion_folders[form]) if fact["dst"]]
    kinds = {fact["kind"] for fact in facts}
    assert kinds - {"beacon-twin"} == {
        "campaign", "beacon-fast", "beacon-slow", "beacon-varied", "beacon-one-port",
        "beacon-internal", "remote-access", "mining", "scan-icmp", "scan-udp",
    }  # fmt: skip
    assert ("beacon-twin" in kinds) == (form == "overlapping")
    for fact in facts:
        peer, *others = fact["dst"]
        if others:
            continue
        own = frame[frame["interface-id"] == fact["interface"]]
        sent = own[(own["srcaddr"] == fact["src"]) & (own["dstaddr"] == peer)]
        sent = sent[sent["dstport"] == fact["port"]]
        assert len(sent) > 0, fact
        if fact["kind"] not in ("remote-access", "mining", "beacon-fast", "beacon-one-port"):
            assert sent["srcport"].nunique() == pytest.approx(fact["check_ins"], rel=0.2)


def test_a_public_network_has_public_addresses(intrusion_folders: dict[str, Path]) -> None:
    frame = records(intrusion_folders["public"])
    assert {"tcp-flags", "flow-direction"} <= set(frame)
    own = frame.loc[frame["flow-direction"] == "egress", "srcaddr"]
    assert own.str.startswith("198.19.").all()


def test_overlapping_vpcs_share_addresses_and_nothing_else(
    intrusion_folders: dict[str, Path],
) -> None:
    frame = records(intrusion_folders["overlapping"])
    own = frame.loc[frame["flow-direction"] == "egress"]
    hosts = own.groupby("srcaddr")[["interface-id", "vpc-id", "account-id"]].nunique()
    shared = hosts[hosts["interface-id"] == 2]
    assert len(shared) >= 20
    assert (shared == 2).all(axis=None)
    assert (own.groupby("interface-id")[["vpc-id", "account-id"]].nunique() == 1).all(axis=None)
    twins = [
        fact for fact in planted(intrusion_folders["overlapping"]) if fact["kind"] == "beacon-twin"
    ]
    assert len({fact["interface"] for fact in twins}) == 2
    assert len({fact["src"] for fact in twins}) == 1


def test_backscatter_has_only_its_second_packet(intrusion_folders: dict[str, Path]) -> None:
    frame = records(intrusion_folders["public"])
    with (intrusion_folders["public"] / "labels.csv").open() as lines:
        rows = [row for row in csv.DictReader(lines) if row["kind"] == "backscatter"]
    assert {row["label"] for row in rows} == {"benign"}
    sources = {row["src"] for row in rows}
    stray = frame[frame["srcaddr"].isin(sources)]
    assert set(stray["tcp-flags"]) == {18}
    assert set(stray["action"]) == {"ACCEPT", "REJECT"}
    assert not frame["dstaddr"].isin(sources).any()


@pytest.mark.parametrize(("seed", "version", "window_times"), [(3, 5, False), (6, 2, True)])
def test_seeds_choose_the_fields_and_the_times(
    tmp_path: Path, seed: int, version: int, window_times: bool
) -> None:
    intrusions.write(tmp_path, seed, settings="judged", window=600)
    frame: pd.DataFrame = records(tmp_path)
    assert set(frame["version"]) == {version}
    assert (np.unique(frame["end"] - frame["start"]) == [599]).all() == window_times
