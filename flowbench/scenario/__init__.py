"""Generated scenarios with known answers, for training, tests and measurement.

The same seed gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from flowbench.errors import InputError
from flowbench.scenario import winterday, winterday_facts

NAMES: dict[str, Callable[[Path, int], None]] = {"winterday": winterday.write}


def write(name: str, out: Path, seed: int = winterday_facts.SEED) -> None:
    """Write a scenario's evidence and answers.json.

    Args:
        name: One of ``NAMES``.
        out: A new or empty folder.
        seed: Of all random choices.

    Raises:
        InputError: There is no such scenario, or the folder is not empty.
    """
    if name not in NAMES:
        raise InputError(f"unknown scenario {name!r}; known: {', '.join(NAMES)}")
    if out.exists() and any(out.iterdir()):
        raise InputError(f"{out} is not empty: choose another folder")
    NAMES[name](out, seed)
