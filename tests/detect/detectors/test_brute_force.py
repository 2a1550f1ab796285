"""Login brute force is detected at any target; playbooks, checks and code over SSH are not."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowbench.schema import DEFAULT_FORMAT
from tests.detect.detectors.common import run
from tests.traffic import T0, Record, connect, make_case, reject

HOST, OUTSIDE, TARGET = "10.0.0.5", "198.18.3.4", "10.0.1.7"


def guesses(
    source: str = OUTSIDE, target: str = TARGET, *, port: int = 22, count: int = 60, gap: int = 20,
    spread: float = 0.05, size: int = 2_500,
) -> Iterator[Record]:  # fmt: skip
    chance = random.Random(f"{source}{target}")
    for n in range(count):
        back = int(size * chance.uniform(1 - spread, 1 + spread))
        yield from connect(
            source, target, port, T0 + n * gap, source_port=33_000 + n, out=1_800, back=back,
            interface_id=f"eni-{target}",
        )  # fmt: skip


def test_guessing_from_outside_is_medium(tmp_path: Path) -> None:
    case = make_case(tmp_path, guesses(), fields=DEFAULT_FORMAT)
    (row,) = run(case, "brute-force").to_dict("records")
    assert (row["subject"], row["peer"], row["severity"]) == (TARGET, OUTSIDE, "medium")
    assert (row["connections"], row["service_port"], row["technique"]) == (60, 22, "T1110.001")
    assert f"{OUTSIDE} opened 60 short connections to {TARGET} on 22/tcp (ssh)" in row["summary"]
    assert row["bytes_in"] == 60 * 1_800
    assert (row["scores"]["attempts"], row["scores"]["session"]) == (0.15, 0)
    assert 0.8 < row["scores"]["similarity"] < 1
    assert "no longer or larger session from the source followed" in row["caveats"]


def test_a_session_that_follows_makes_it_high_and_says_when(tmp_path: Path) -> None:
    after = connect(OUTSIDE, TARGET, 22, T0 + 1_300, seconds=2_400, back=90_000, source_port=50_000)
    (row,) = run(make_case(tmp_path, [*guesses(), *after]), "brute-force").to_dict("records")
    assert row["severity"] == "high"
    assert "1 longer or larger session followed, the last at 2026-09-01 00:21" in row["summary"]
    assert row["scores"]["session"] == 1
    assert "Password guessing" not in row["caveats"]


def test_from_inside_at_several_hosts_it_is_one_high_finding(tmp_path: Path) -> None:
    records = [r for n in range(3) for r in guesses(HOST, f"10.0.1.{n}", port=3389, count=40)]
    (row,) = run(make_case(tmp_path, records), "brute-force").to_dict("records")
    assert (row["subject"], row["severity"], row["connections"]) == (HOST, "high", 120)
    assert row["peers"].tolist() == ["10.0.1.0", "10.0.1.1", "10.0.1.2"]


def test_databases_are_judged_from_outside_only(tmp_path: Path) -> None:
    records = [*guesses(port=3306), *guesses(HOST, "10.0.1.8", port=3306)]
    found = run(make_case(tmp_path, records), "brute-force")
    assert found["subject"].tolist() == [TARGET]


@pytest.mark.parametrize(
    "records",
    [
        list(guesses(gap=600, count=144)),  # a check every ten minutes
        list(guesses(size=420, gap=30)),  # a look at the banner
        list(guesses(HOST, spread=0.9, size=9_000)),  # a playbook: no task is like another
        list(guesses(size=200_000)),  # copies
        list(guesses(count=20)),  # a forgotten password
        [reject(OUTSIDE, TARGET, 22, T0 + n, source_port=33_000 + n) for n in range(90)],
        list(guesses(port=443)),
    ],
    ids=["check", "banner", "playbook", "copies", "few", "rejected", "web"],
)
def test_the_harmless_are_silent(tmp_path: Path, records: list[Record]) -> None:
    assert run(make_case(tmp_path, records), "brute-force").empty
