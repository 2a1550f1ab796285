"""Generated incidents: deterministic bytes, a label for each pair, and the planted activity."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pandas as pd
import pytest

from flowbench.scenario import incidents


@pytest.fixture(scope="module")
def incident(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("incident")
    incidents.write(folder, 4, settings="judged")
    return folder


def records(folder: Path) -> pd.DataFrame:
    return pd.concat(
        [pd.read_csv(path, sep=" ") for path in sorted(folder.glob("*.log"))], ignore_index=True
    )


def labels(folder: Path) -> list[dict[str, str]]:
    with (folder / "labels.csv").open() as lines:
        return list(csv.DictReader(lines))


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path, incident: Path) -> None:
    count = incidents.write(tmp_path, 4, settings="judged")
    names = sorted(path.name for path in incident.iterdir())
    assert names == sorted(path.name for path in tmp_path.iterdir())
    for name in names:
        assert (tmp_path / name).read_bytes() == (incident / name).read_bytes()
    assert json.loads((incident / "answers.json").read_text())["flow_records"] == count
    assert len(records(incident)) == count > 100_000


def test_every_record_has_a_label(incident: Path) -> None:
    frame, known = records(incident), {(row["src"], row["dst"]) for row in labels(incident)}
    ends = set(zip(frame["srcaddr"], frame["dstaddr"], strict=True))
    assert {(a, b) for a, b in ends if (a, b) not in known and (b, a) not in known} == set()


def test_benign_periodic_traffic_outnumbers_beacons_thirty_to_one(incident: Path) -> None:
    kinds = pd.DataFrame(labels(incident))["kind"].value_counts()
    regular = ["ntp", "dns", "agent", "agent-channel", "mirror", "health-check", "monitoring",
               "ssh-check", "configuration", "log-shipping", "backup", "own-service"]  # fmt: skip
    assert kinds.reindex(regular).sum() >= 30 * kinds["beacon"]


def test_windows_have_the_given_length_and_odd_seeds_have_flags(tmp_path: Path) -> None:
    short, long = tmp_path / "60", tmp_path / "600"
    incidents.write(short, 9, settings="judged")
    incidents.write(long, 9, settings="judged", window=600)
    frame, blurred = records(short), records(long)
    assert set(frame["end"] - frame["start"]) == {59}
    assert set(blurred["end"] - blurred["start"]) == {599}
    assert "tcp-flags" in frame
    assert len(blurred) < len(frame)
    # A window that ends after the logs is not written; the rest is the same traffic.
    assert blurred["bytes"].sum() == pytest.approx(frame["bytes"].sum(), rel=0.02)


def test_even_seeds_have_version_2_and_some_have_packet_times(tmp_path: Path) -> None:
    incidents.write(tmp_path, 2, settings="judged")
    frame = records(tmp_path)
    assert set(frame["version"]) == {2}
    assert "tcp-flags" not in frame
    assert (frame["end"] - frame["start"]).nunique() > 10
    assert frame["end"].is_monotonic_increasing


def test_incidents_are_in_the_records(incident: Path) -> None:
    frame = records(incident)
    planted = json.loads((incident / "answers.json").read_text())["planted"]
    kinds = {fact["kind"] for fact in planted}
    assert kinds == {
        "beacon", "mining", "exfiltration", "scan-internal", "scan-inbound", "brute-force"
    }  # fmt: skip
    for fact in planted:
        sent = frame[(frame["srcaddr"] == fact["src"]) & frame["dstaddr"].isin(fact["dst"])]
        assert set(sent["dstaddr"]) == set(fact["dst"])
        if fact["kind"] == "exfiltration":
            assert sent["bytes"].sum() == pytest.approx(fact["bytes"], rel=0.1)
            assert fact["bytes"] >= 5 * fact["usual_day"]
        if fact["kind"] == "beacon":
            starts = sent.drop_duplicates("srcport")["start"]
            gaps = starts.sort_values().diff().dropna() / 60
            shift = 1 - fact["jitter"] / 2 if fact["how"] == "early" else 1
            assert gaps.mean() == pytest.approx(fact["minutes"] * shift, rel=0.1)


def test_unknown_settings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        incidents.write(tmp_path, 1, settings="nope")
