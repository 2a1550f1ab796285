"""Scenarios for exercises: the same seed gives the same bytes, another one other names."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowbench.errors import InputError
from flowbench.scenario import exercises
from flowbench.scenario.exercises.facts import read_key
from flowbench.scenario.record_format import FIELD_COUNTS
from tests.scenario.conftest import content
from tests.scenario.exercises.conftest import simulated


def write(folder: Path, seed: int = 3, name: str = "insider", **more: object) -> dict[str, bytes]:
    exercises.write(
        name, folder / "out", folder / "key.json", seed, difficulty="easy", days=1, **more
    )
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): content(path) for path in files}


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = (write(tmp_path / name) for name in ("a", "b"))
    assert first == second
    kinds = ("vpcflowlogs", "CloudTrail", "vpcdnsquerylogs", "GuardDuty", "inventory")
    assert all(any(kind in path for path in first) for kind in kinds)
    assert "key.json" in first


def test_names_addresses_and_times_vary_by_seed() -> None:
    one, two = (simulated("insider", seed).key for seed in (1, 2))
    assert {fact.time for fact in one.facts}.isdisjoint(fact.time for fact in two.facts)
    values = [{indicator.value for indicator in key.indicators} for key in (one, two)]
    assert values[0].isdisjoint(values[1])
    assert [f.activity for f in one.facts] != [f.activity for f in two.facts]


@pytest.mark.parametrize("name", exercises.NAMES)
@pytest.mark.parametrize("difficulty", ["easy", "hard"])
def test_facts_are_within_the_logs_and_the_benign_apart(name: str, difficulty: str) -> None:
    recorder = simulated(name, 1, difficulty)
    key, organisation = recorder.key, recorder.organisation
    assert all(organisation.first < fact.time < organisation.last for fact in key.facts)
    assert [fact.time for fact in key.facts] == sorted(fact.time for fact in key.facts)
    assert set(key.benign).isdisjoint({*key.involved, *(i.value for i in key.indicators)})
    assert bool(key.facts) == (name not in ("nothing-happened", "benign-but-odd"))
    assert bool(key.facts) == bool(key.indicators)
    odd = [meaning for meaning in key.benign.values() if not meaning.endswith("as usual")]
    assert len(odd) > (12 if name == "benign-but-odd" else 10)


@pytest.mark.parametrize("version", sorted(FIELD_COUNTS))
def test_records_have_the_fields_of_their_version(tmp_path: Path, version: int) -> None:
    files = write(tmp_path, name="nothing-happened", version=version, window=600)
    lines = next(data for path, data in files.items() if "vpcflowlogs" in path).decode()
    rows = [line.split(" ") for line in lines.splitlines()]
    assert {len(row) for row in rows} == {FIELD_COUNTS[version]}
    assert {row[0] for row in rows} == {"version", str(version)}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"name": "unknown"}, "no scenario is 'unknown'; choose one of crypto-mining"),
        ({"difficulty": "mild"}, "no difficulty is 'mild'; choose one of easy, normal, hard"),
        ({"version": 6}, "no version of VPC flow logs is 6; choose one of 2, 3, 4, 5, 7"),
        ({"window": 61}, "no aggregation interval is 61; choose one of 60, 600"),
    ],
)
def test_wrong_arguments_are_refused(
    tmp_path: Path, changed: dict[str, object], message: str
) -> None:
    given = {"name": "insider", "out": tmp_path / "out", "key": tmp_path / "k", "seed": 1} | changed
    with pytest.raises(InputError, match=message):
        exercises.write(**given)  # type: ignore[arg-type]


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    out, key = tmp_path / "out", tmp_path / "key.json"
    with pytest.raises(InputError, match="put the answer key elsewhere"):
        exercises.write("insider", out, out / "key.json", 1)
    out.mkdir()
    (out / "mine.txt").touch()
    with pytest.raises(InputError, match="is not an empty folder"):
        exercises.write("insider", out, key, 1)
    key.touch()
    with pytest.raises(InputError, match="exists: choose another file for the answer key"):
        exercises.write("insider", tmp_path / "new", key, 1)


def test_the_key_is_read_as_it_was_written(tmp_path: Path) -> None:
    key = exercises.write(
        "crypto-mining", tmp_path / "out", tmp_path / "key.json", 2, difficulty="easy", days=1
    )
    assert read_key(tmp_path / "key.json") == key
