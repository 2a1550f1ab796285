"""The Winterday evidence, read with json and gzip, independent of flowbench's loaders."""

from __future__ import annotations

import gzip
import json
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from flowbench.scenario import intrusions
from tests.conftest import ROOT

DATA = ROOT / "data" / "winterday"


def content(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


@pytest.fixture(scope="session")
def flows() -> list[dict[str, str]]:
    found = []
    for path in sorted(DATA.glob("evidence/AWSLogs/*/vpcflowlogs/**/*.gz")):
        lines = content(path).decode().splitlines()
        names = lines[0].split(" ")
        assert len(names) == 29
        found += [dict(zip(names, line.split(" "), strict=True)) for line in lines[1:]]
    return found


@pytest.fixture(scope="session")
def events() -> list[dict[str, Any]]:
    paths = sorted(DATA.glob("evidence/AWSLogs/*/CloudTrail/**/*.gz"))
    return [event for path in paths for event in json.loads(content(path))["Records"]]


@cache
def queries() -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for path in sorted(DATA.glob("evidence/AWSLogs/*/vpcdnsquerylogs/**/*.gz"))
        for line in content(path).decode().splitlines()
    ]


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.fixture(scope="session")
def intrusion_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The evidence of intrusions for each form of network; the last two have flags."""
    made = {}
    for form, seed in {"private": 0, "public": 4, "overlapping": 5}.items():
        made[form] = tmp_path_factory.mktemp(form)
        intrusions.write(made[form], seed, window=600)
    return made
