"""Small scenarios, simulated without writing their evidence."""

from __future__ import annotations

from functools import cache

import pytest

from flowbench.scenario import exercises
from flowbench.scenario.exercises.recorder import Recorder


@cache
def simulated(name: str, seed: int = 1, difficulty: str = "easy") -> Recorder:
    return exercises.simulate(name, seed, difficulty=difficulty, days=1)


@pytest.fixture
def recorder() -> Recorder:
    """A scenario in which nothing has happened, of which nobody else has a part."""
    return exercises.simulate("nothing-happened", 7, difficulty="easy", days=1)
